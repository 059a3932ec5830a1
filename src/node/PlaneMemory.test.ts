import fc from "fast-check"
import { describe, expect, it } from "vitest"
import type { ViewChange } from "../model/MeshView.ts"
import { NodeName, type PeerKey, ServiceName } from "../model/Names.ts"
import type { Session } from "../model/Session.ts"
import type { PlaneFact, ToPlane } from "../request/PlaneMessages.ts"
import { defaultPolicy } from "../schema/PolicySchema.ts"
import { alice, bob } from "../testing/LinkTestPair.ts"
import { PlaneMemory } from "./PlaneMemory.ts"

const web = ServiceName.make("web")
const raw = ServiceName.make("raw")

const endOf = (fact: PlaneFact): number => {
  if (fact.kind === "silent") return 0
  const { news } = fact
  return news.state === "open" || news.state === "out" || news.state === "spared" ? news.until : 0
}

/** What a request plane knows by what it was told, as its parts keep it. */
class Told {
  readonly latest = new Map<string, unknown>()
  readonly health = new Map<string, unknown>()
  readonly peers = new Map<PeerKey, unknown>()
  readonly missing = new Map<ServiceName, string>()
  readonly sessions = new Map<PeerKey, Session>()
  readonly listeners = new Map<number, unknown>()
  readonly facts = new Map<string, PlaneFact>()
  #present = new Set<string>()

  hear(message: ToPlane): void {
    switch (message.type) {
      case "view":
      case "policies":
      case "rights":
      case "out":
      case "access":
      case "sample":
      case "sockets":
      case "drain":
        this.latest.set(message.type, message)
        return
      case "services":
        this.latest.set(message.type, message)
        this.#present = new Set(
          message.services.flatMap(({ name, endpoints }) =>
            endpoints.map(({ id }) => `${name} ${id}`)
          )
        )
        for (const key of this.health.keys()) if (!this.#present.has(key)) this.health.delete(key)
        return
      case "health": {
        const key = `${message.service} ${message.endpoint}`
        if (this.#present.has(key)) this.health.set(key, message)
        return
      }
      case "peer":
        this.peers.set(message.facts.peer, message.facts)
        return
      case "peer.gone":
        this.peers.delete(message.peer)
        return
      case "missing":
        if (message.reason === undefined) this.missing.delete(message.service)
        else this.missing.set(message.service, message.reason)
        return
      case "session":
        this.sessions.set(message.session.peer, message.session)
        return
      case "session.end":
        this.sessions.delete(message.peer)
        return
      case "listen":
        this.listeners.set(message.id, message.spec)
        return
      case "listen.stop":
      case "listen.drain":
      case "listen.close":
        this.listeners.delete(message.id)
        return
      case "fact":
        if (message.fact.kind === "silent") return
        this.facts.set(
          `${message.fact.kind} ${message.fact.service} ${message.fact.endpoint}`,
          message.fact
        )
    }
  }

  /** What of it holds at that time, in an order of its own. */
  at(now: number) {
    const sorted = (map: ReadonlyMap<unknown, unknown>) =>
      [...map].sort(([a], [b]) => (String(a) < String(b) ? -1 : 1))
    return {
      latest: sorted(this.latest),
      health: sorted(this.health),
      peers: sorted(this.peers),
      missing: sorted(this.missing),
      sessions: sorted(this.sessions),
      listeners: sorted(this.listeners),
      facts: sorted(this.facts).filter(([, fact]) => endOf(fact as PlaneFact) > now) // as put there
    }
  }
}

const service = fc.constantFrom(web, raw)
const endpoint = fc.constantFrom("0", "1", "2")
const peer = fc.constantFrom(alice, bob)
const id = fc.integer({ min: 1, max: 3 })
const reason = fc.constantFrom("one", "another")
const time = fc.integer({ min: 0, max: 100 })

const fact: fc.Arbitrary<PlaneFact> = fc.oneof(
  fc.record({
    kind: fc.constant("circuit" as const),
    service,
    endpoint,
    news: fc.oneof(
      fc.record({ state: fc.constantFrom("open" as const, "probed" as const), until: time }),
      fc.constant({ state: "closed" as const })
    )
  }),
  fc.record({
    kind: fc.constant("ejection" as const),
    service,
    endpoint,
    news: fc.oneof(
      fc.record({
        state: fc.constantFrom("out" as const, "spared" as const),
        until: time,
        reason: fc.constantFrom("consecutive_5xx" as const, "success_rate" as const)
      }),
      fc.constant({ state: "well" as const })
    )
  }),
  fc.record({ kind: fc.constant("silent" as const), peer })
)

const message: fc.Arbitrary<ToPlane> = fc.oneof(
  fc.record({
    type: fc.constant("policies" as const),
    policies: fc.subarray([web, raw]).map((some) => new Map(some.map((it) => [it, defaultPolicy])))
  }),
  fc.record({ type: fc.constant("sample" as const), share: fc.constantFrom(0, 0.5, 1) }),
  fc.record({ type: fc.constant("drain" as const), reason }),
  fc.record({
    type: fc.constant("access" as const),
    settings: fc.subarray([
      { name: "a", mode: "enforce" as const, services: ["web"], allow: [], deny: [] },
      { name: "b", mode: "audit" as const, services: ["*"], allow: [], deny: [] }
    ])
  }),
  fc.record({
    type: fc.constant("rights" as const),
    facts: fc.constantFrom({ services: ["*"], speaks: [] }, { services: [], speaks: ["web"] })
  }),
  fc.record({
    type: fc.constant("sockets" as const),
    total: fc.nat(9),
    spare: fc.nat(9),
    clients: fc.boolean(),
    programs: fc.boolean()
  }),
  fc.record({
    type: fc.constant("services" as const),
    services: fc.uniqueArray(
      fc.record({
        name: service,
        protocol: fc.constant("http" as const),
        endpoints: fc.uniqueArray(
          fc.record({
            id: endpoint,
            host: fc.constant("127.0.0.1"),
            port: fc.constant(80),
            weight: fc.constant(100)
          }),
          { selector: (it) => it.id }
        )
      }),
      { selector: (it) => it.name }
    )
  }),
  fc.record({
    type: fc.constant("health" as const),
    service,
    endpoint,
    healthy: fc.boolean(),
    reason
  }),
  fc.record({
    type: fc.constant("peer" as const),
    facts: fc.record({ peer, name: reason, addresses: fc.array(reason, { maxLength: 2 }) })
  }),
  fc.record({ type: fc.constant("peer.gone" as const), peer }),
  fc.record({
    type: fc.constant("session" as const),
    session: fc.record({
      id: fc.constantFrom("1", "2", "3"),
      secret: fc.constant(new Uint8Array(32)),
      peer,
      peerName: fc.constant(NodeName.make("host")),
      until: time,
      facts: fc.constant({ services: [], speaks: [] })
    })
  }),
  fc.record({ type: fc.constant("session.end" as const), peer, reason }),
  fc.record({ type: fc.constant("session.none" as const), peer, reason }),
  fc.record({ type: fc.constant("fact" as const), fact }),
  fc.record({
    type: fc.constant("missing" as const),
    service,
    reason: fc.option(reason, { nil: undefined })
  }),
  fc.record({ type: fc.constant("out" as const), reason: fc.option(reason, { nil: undefined }) }),
  fc.record({
    type: fc.constant("listen" as const),
    id,
    spec: fc.record({
      kind: fc.constant("tcp" as const),
      host: fc.constant("127.0.0.1"),
      port: fc.nat(9),
      service
    })
  }),
  fc.record({ type: fc.constantFrom("listen.stop" as const, "listen.close" as const), id }),
  fc.record({ type: fc.constant("listen.drain" as const), id, deadline: time }),
  fc.record({
    type: fc.constant("ask" as const),
    id,
    question: fc.constant({ kind: "load" as const })
  }),
  fc.record({ type: fc.constantFrom("relay.end" as const, "relay.reset" as const), id })
)

const view = (version: number): ViewChange => ({
  version,
  since: undefined,
  services: [],
  gone: []
})

describe("a thread that is told everything at once", () => {
  it("knows the same as one that has heard all along", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(message, fc.nat(10)), { maxLength: 60 }), (history) => {
        let now = 0
        let version = 0
        const memory = new PlaneMemory(() => now)
        memory.wholeView = () => view(version)
        const along = new Told()
        for (const [said, pause] of history) {
          now += pause
          memory.note(said)
          along.hear(said)
          version++
          along.hear({ type: "view", change: view(version) })
        }
        if (version === 0) along.hear({ type: "view", change: view(0) })
        const late = new Told()
        for (const said of memory.all()) late.hear(said)
        expect(late.at(now)).toEqual(along.at(now))
      }),
      { numRuns: 500 }
    )
  })

  it("is told nothing that concerned a moment only", () => {
    const memory = new PlaneMemory(() => 0)
    memory.note({ type: "ask", id: 1, question: { kind: "load" } })
    memory.note({ type: "relay.end", id: 1 })
    memory.note({ type: "session.none", peer: bob, reason: "gone" })
    memory.note({ type: "fact", fact: { kind: "silent", peer: bob } })
    memory.note({ type: "stop" })
    expect([...memory.all()]).toEqual([])
  })

  it("hears of the view first and opens ports last, when all else is known", () => {
    const memory = new PlaneMemory(() => 0)
    memory.wholeView = () => view(7)
    memory.note({ type: "listen", id: 1, spec: { kind: "proxy", host: "::1", port: 1 } })
    memory.note({ type: "peer", facts: { peer: bob, name: "host-b", addresses: [] } })
    memory.note({ type: "sample", share: 1 })
    expect(Array.from(memory.all(), ({ type }) => type)).toEqual([
      "view",
      "sample",
      "peer",
      "listen"
    ])
  })
})

describe("what is remembered is bounded", () => {
  it("of facts, the oldest are forgotten", () => {
    const memory = new PlaneMemory(() => 0)
    for (let n = 0; n < 5_000; n++) {
      memory.note({
        type: "fact",
        fact: {
          kind: "circuit",
          service: web,
          endpoint: String(n),
          news: { state: "open", until: 1 }
        }
      })
    }
    const kept = [...memory.all()].flatMap((it) =>
      it.type === "fact" && it.fact.kind === "circuit" ? [it.fact.endpoint] : []
    )
    expect([kept.length, kept[0], kept.at(-1)]).toEqual([4_096, "904", "4999"])
  })

  it("of health, what concerns no endpoint of this host", () => {
    const memory = new PlaneMemory(() => 0)
    for (let n = 0; n < 5_000; n++) {
      memory.note({
        type: "health",
        service: web,
        endpoint: String(n),
        healthy: false,
        reason: "refused"
      })
    }
    expect([...memory.all()]).toEqual([])
  })
})
