import { describe, expect, it } from "vitest"
import type { EndpointView } from "../../model/MeshView.ts"
import { ServiceName } from "../../model/Names.ts"
import type { Protocol } from "../../model/NodeRecord.ts"
import { defaultPolicy, makePolicy, type PolicyInput } from "../../schema/PolicySchema.ts"
import {
  endpointView,
  Fixture,
  microtasks,
  payments,
  peerKey,
  serviceView
} from "../../testing/OutboundFixture.ts"
import { latencyBounds } from "../cells/Cells.ts"

const two = [endpointView("a"), endpointView("b")]
const inTurn: PolicyInput = { balance: { kind: "round_robin" } }

const answer = (mesh: Fixture, status: number, count = 1): void => {
  for (let i = 0; i < count; i++) {
    mesh.request()
    mesh.last.respond(status)
  }
}

describe("nodes that contradict each other about the protocol", () => {
  const torn = (used: Protocol, other: Protocol, member: EndpointView["member"] = "alive") => {
    const mesh = new Fixture({}, [])
    const leftOut = [{ protocol: other, endpoint: endpointView("b", { member }) }]
    mesh.view.set(new Map([[payments, { ...serviceView([endpointView("a")], used), leftOut }]]))
    return mesh
  }

  it("a call for what the others say is refused with who says what", async () => {
    const mesh = torn("tcp", "http")
    const { receiver } = mesh.request()
    await microtasks()
    expect(receiver.fault).toMatchObject({
      code: "no_healthy_endpoint",
      sent: false,
      message:
        "nodes contradict each other about payments: the mesh uses tcp, and node-b, which says http, gets no calls; see `skein doctor`"
    })
    expect(mesh.sent).toEqual([])
    // Tunnels go where most say.
    mesh.tunnel()
    expect(mesh.trail).toBe("a")
  })

  it("HTTP goes on where the mesh uses it, and once they agree", () => {
    const mesh = torn("http", "tcp")
    mesh.request()
    expect(mesh.trail).toBe("a")
    // Who is dead contradicts nobody: the call goes on, and the endpoint's node answers it.
    const dead = torn("tcp", "http", "dead")
    dead.request()
    expect(dead.trail).toBe("a")
    const mended = torn("tcp", "http")
    mended.show([endpointView("a"), endpointView("b")], "http")
    mended.request()
    expect(mended.sent.length).toBe(1)
  })
})

describe("the circuit of an endpoint", () => {
  const policy: PolicyInput = { ...inTurn, retry: "off", ejection: "off" }

  it("opens after seven failures in a row, is probed by one request, and closes", () => {
    const mesh = new Fixture(policy, two)
    for (let i = 0; i < 14; i++) {
      mesh.request()
      mesh.last.respond(i % 2 === 0 ? 500 : 200)
    }
    const state = () => mesh.outbound.endpoints(payments)[0]
    expect(state()).toMatchObject({ breaker: "open", selected: false, failures: 7, requests: 7 })
    expect(mesh.observer.all.at(-2)?.events).toEqual(["breaker_open"])
    const before = mesh.trail.length
    answer(mesh, 200, 4)
    expect(mesh.trail.slice(before)).toBe("bbbb")

    mesh.ticker.advance(1_500)
    answer(mesh, 200)
    mesh.request()
    const probe = mesh.last
    expect(mesh.trail.at(-1)).toBe("a")
    expect(state()).toMatchObject({ breaker: "half_open", selected: false })
    const during = mesh.trail.length
    answer(mesh, 200, 4)
    expect(mesh.trail.slice(during)).toBe("bbbb")
    probe.respond(200)
    expect(state()).toMatchObject({ breaker: "closed", selected: true })
    expect(mesh.counter("skein_breaker_transitions_total")).toEqual({
      [`${two[0]!.key} open`]: 1,
      [`${two[0]!.key} half_open`]: 1,
      [`${two[0]!.key} closed`]: 1
    })
  })

  it("does not wait for the end of the probe's response", () => {
    const mesh = new Fixture({ ...policy, breaker: { consecutiveFailures: 1 } }, two)
    answer(mesh, 500)
    mesh.ticker.advance(1_500)
    answer(mesh, 200)
    mesh.request()
    expect(mesh.outbound.endpoints(payments)[0]?.breaker).toBe("half_open")
    mesh.last.head(200)
    expect(mesh.outbound.endpoints(payments)[0]?.breaker).toBe("closed")
  })

  it("is probed by the next request when the probe's caller leaves", () => {
    const mesh = new Fixture({ ...policy, breaker: { consecutiveFailures: 1 } }, [
      endpointView("a")
    ])
    answer(mesh, 500)
    mesh.ticker.advance(1_500)
    mesh.request().cancel()
    expect(mesh.outbound.endpoints(payments)[0]?.breaker).toBe("open")
    answer(mesh, 200)
    expect(mesh.sent).toHaveLength(3)
    expect(mesh.outbound.endpoints(payments)[0]?.breaker).toBe("closed")
  })

  it("may be probed early when the endpoint's owner says it is healthy again", () => {
    const mesh = new Fixture({ ...policy, breaker: { consecutiveFailures: 1 } }, two)
    answer(mesh, 500)
    mesh.show([endpointView("a", { healthy: false }), two[1]!])
    mesh.show([...two])
    expect(mesh.outbound.endpoints(payments)[0]).toMatchObject({ breaker: "open", selected: true })
  })
})

describe("ejection", () => {
  it("takes an endpoint out that fails five times in a row, and lets it back", () => {
    const mesh = new Fixture({ ...inTurn, retry: "off" }, two)
    for (let i = 0; i < 10; i++) {
      mesh.request()
      mesh.last.respond(i % 2 === 0 ? 503 : 200)
    }
    const [a] = mesh.outbound.endpoints(payments)
    expect(a).toMatchObject({ selected: false, timesEjected: 1, breaker: "closed" })
    expect(a?.ejectedUntil).toBe(mesh.ticker.wall() + 30_000)
    expect(mesh.counter("skein_ejections_total")).toEqual({ [`${two[0]!.key} consecutive_5xx`]: 1 })
    expect(mesh.observer.all.at(-2)?.events).toEqual(["ejected"])
    const before = mesh.trail.length
    answer(mesh, 200, 3)
    expect(mesh.trail.slice(before)).toBe("bbb")
    mesh.ticker.advance(30_000)
    answer(mesh, 200, 2)
    expect(
      mesh.trail
        .slice(before + 3)
        .split("")
        .toSorted()
        .join("")
    ).toBe("ab")
  })
})

describe("a link that breaks", () => {
  it("takes its endpoints out at once, and back when it is up", () => {
    const mesh = new Fixture(inTurn, two)
    mesh.outbound.peerDown(peerKey("a"))
    expect(mesh.outbound.endpoints(payments)[0]).toMatchObject({ linked: false, selected: false })
    answer(mesh, 200, 3)
    expect(mesh.trail).toBe("bbb")
    mesh.outbound.peerUp(peerKey("a"))
    answer(mesh, 200, 2)
    expect(mesh.trail.slice(3)).toContain("a")
  })

  it("forgives its endpoints what they did before, once it is up", () => {
    const mesh = new Fixture({ ...inTurn, retry: "off", ejection: { consecutive5xx: 1 } }, two)
    answer(mesh, 500)
    expect(mesh.outbound.endpoints(payments)[0]?.ejectedUntil).toBeDefined()
    mesh.outbound.peerDown(peerKey("a"))
    mesh.outbound.peerUp(peerKey("a"))
    expect(mesh.outbound.endpoints(payments)[0]).toMatchObject({
      ejectedUntil: undefined,
      selected: true
    })
  })

  it("stays down while what it carried fails, and is forgiven that as well", () => {
    const mesh = new Fixture({ ...inTurn, retry: "off", ejection: { consecutive5xx: 1 } }, two)
    mesh.request()
    mesh.outbound.peerDown(peerKey("a"))
    mesh.sent[0]?.fault("upstream_reset", true)
    expect(mesh.outbound.endpoints(payments)[0]).toMatchObject({ linked: false })
    mesh.outbound.peerUp(peerKey("a"))
    expect(mesh.outbound.endpoints(payments)[0]).toMatchObject({
      linked: true,
      ejectedUntil: undefined,
      selected: true
    })
  })

  it("is no verdict on its endpoints: one break ends many calls, and opens no circuit", () => {
    const policy: PolicyInput = {
      ...{ ...inTurn, retry: "off" },
      breaker: { consecutiveFailures: 2 },
      ejection: { consecutive5xx: 2 }
    }
    const mesh = new Fixture(policy, [endpointView("a")])
    for (let n = 0; n < 6; n++) mesh.request()
    mesh.outbound.peerDown(peerKey("a"))
    const [reset, refused] = [mesh.sent.slice(0, 3), mesh.sent.slice(3)]
    for (const sent of reset) sent.fault("upstream_reset", true)
    for (const sent of refused) sent.fault("upstream_connect", false)
    expect(mesh.outbound.endpoints(payments)[0]).toMatchObject({
      ...{ linked: false, breaker: "closed", ejectedUntil: undefined, failures: 6 }
    })
    // What it answers counts, and from then on what breaks off as well.
    for (let n = 0; n < 3; n++) answer(mesh, 500)
    expect(mesh.outbound.endpoints(payments)[0]).toMatchObject({ linked: true, breaker: "open" })
  })

  it("leaves the probe of a circuit undecided, and the next call is another", () => {
    const policy: PolicyInput = { ...inTurn, retry: "off", breaker: { consecutiveFailures: 1 } }
    const mesh = new Fixture(policy, [endpointView("a")])
    answer(mesh, 500)
    mesh.ticker.advance(2_000)
    mesh.request()
    mesh.outbound.peerDown(peerKey("a"))
    mesh.sent.at(-1)?.fault("upstream_reset", true)
    mesh.outbound.peerUp(peerKey("a"))
    answer(mesh, 200)
    expect(mesh.outbound.endpoints(payments)[0]).toMatchObject({ breaker: "closed" })
  })

  it("is tried all the same when there is nothing else, and is up when that works", () => {
    const mesh = new Fixture(inTurn, [endpointView("a")])
    mesh.outbound.peerDown(peerKey("a"))
    answer(mesh, 200)
    expect(mesh.outbound.endpoints(payments)[0]?.linked).toBe(true)
  })

  it("does not concern the endpoints of the node itself", () => {
    const own = endpointView("a", { local: true })
    const mesh = new Fixture(inTurn, [own])
    mesh.outbound.peerDown(peerKey("b"))
    expect(mesh.outbound.endpoints(payments)[0]?.linked).toBe(true)
  })

  it("loses no request, if it is told before the requests fail", () => {
    const mesh = new Fixture(inTurn, two)
    const requests = Array.from({ length: 40 }, () => mesh.request())
    const onA = mesh.sent.filter((_, index) => index % 2 === 0)
    mesh.outbound.peerDown(peerKey("a"))
    for (const sent of onA) sent.fault("upstream_reset", true)
    mesh.ticker.advance(40)
    const retries = mesh.sent.slice(40)
    expect(retries).toHaveLength(20)
    expect(new Set(retries.map(({ peer }) => peer))).toEqual(new Set([peerKey("b")]))
    for (const sent of mesh.sent) if (!sent.over) sent.respond(200)
    expect(requests.map(({ receiver }) => receiver.head?.status)).toEqual(
      new Array<number>(40).fill(200)
    )
  })
})

describe("a change of the view", () => {
  const orders = ServiceName.make("orders")
  const of = (name: ServiceName, letter: string) =>
    endpointView(letter, { key: `${peerKey(letter)}/${name}/0` })
  const linked = ({ outbound }: Fixture, service: ServiceName) =>
    outbound.endpoints(service).map((one) => one.linked)

  it("looks at what changed, not at the rest of the mesh", () => {
    let looks = 0
    const watched = (endpoint: EndpointView): EndpointView =>
      new Proxy(endpoint, {
        get: (target, field: keyof EndpointView) => {
          looks++
          return target[field]
        }
      })
    const mesh = new Fixture(inTurn, [])
    const many = Array.from({ length: 1_000 }, (_, n) => {
      const id = String(n).padStart(3, "0")
      return watched(endpointView("a", { key: `${peerKey("a")}/${id}`, endpoint: id }))
    })
    const others = Array.from({ length: 1_000 }, (_, n) =>
      serviceView([watched(endpointView("b"))], "http", ServiceName.make(`other-${n}`))
    )
    mesh.view.set(new Map([serviceView(many), ...others].map((service) => [service.name, service])))
    const { version } = mesh.view.current
    looks = 0
    const sick = endpointView("a", { key: many[500]!.key, endpoint: "500", healthy: false })
    const set = [sick, endpointView("c")]
    mesh.view.apply({
      ...{ since: version, version: version + 1, gone: [] },
      services: [{ ...{ name: payments, protocol: "http", removed: [many[7]!.key] }, set }]
    })
    // Three binary searches among 1,000.
    expect(looks).toBeLessThan(50)
    const seen = mesh.outbound.endpoints(payments)
    expect(seen.length).toBe(1_000)
    expect(seen.find(({ key }) => key === sick.key)?.healthy).toBe(false)
  })

  it("keeps a peer down whose endpoint went from one service and came to another", () => {
    const mesh = new Fixture(inTurn, [of(payments, "a"), of(payments, "b")])
    mesh.outbound.peerDown(peerKey("a"))
    const now = [
      serviceView([of(payments, "b")]),
      serviceView([of(orders, "a"), of(orders, "b")], "http", orders)
    ]
    mesh.view.set(new Map(now.map((service) => [service.name, service])))
    expect(linked(mesh, orders)).toEqual([false, true])
  })

  it("forgets that a peer was down when its last endpoint is gone", () => {
    const mesh = new Fixture(inTurn, two)
    mesh.outbound.peerDown(peerKey("a"))
    expect(linked(mesh, payments)).toEqual([false, true])
    mesh.show([two[1]!])
    mesh.show([...two])
    expect(mesh.outbound.endpoints(payments).every((one) => one.linked)).toBe(true)
  })

  it("brings nobody else back when a link does", () => {
    const mesh = new Fixture(inTurn, two)
    mesh.outbound.peerDown(peerKey("a"))
    mesh.outbound.peerDown(peerKey("b"))
    mesh.outbound.peerUp(peerKey("a"))
    expect(linked(mesh, payments)).toEqual([true, false])
  })
})

describe("a new view", () => {
  it("costs an endpoint nothing of its history", () => {
    const mesh = new Fixture({ ...inTurn, retry: "off", breaker: { consecutiveFailures: 1 } }, two)
    answer(mesh, 500)
    mesh.request()
    mesh.show([endpointView("a", { weight: 200 }), endpointView("b"), endpointView("c")])
    expect(mesh.outbound.endpoints(payments)).toMatchObject([
      { node: "node-a", weight: 200, breaker: "open", requests: 1 },
      { node: "node-b", inFlight: 1 },
      { node: "node-c", requests: 0, selected: true }
    ])
  })

  it("frees endpoints that left, though something is still under way to them", () => {
    const mesh = new Fixture({ ...inTurn, retry: "off" }, two)
    const cells = () =>
      [...mesh.metrics.families.values()].flatMap(({ cells }) => [...cells.values()])
    const { receiver } = mesh.request()
    const sent = mesh.last
    answer(mesh, 500)
    mesh.show([two[1]!])
    expect(mesh.outbound.endpoints(payments)).toHaveLength(1)
    expect(cells().filter(({ labels }) => labels["endpoint"] === two[0]!.key)).toEqual([])
    sent.respond(500)
    expect(receiver.head?.status).toBe(500)
    mesh.view.set(new Map())
    expect(cells()).toEqual([])
    expect(mesh.outbound.services()).toEqual([])
  })

  it("finds new endpoints for exchanges that are under way", () => {
    const mesh = new Fixture(inTurn, [endpointView("a")])
    mesh.request()
    mesh.show([endpointView("b")])
    mesh.last.fault("upstream_connect", false)
    expect(mesh.trail).toBe("ab")
  })

  it("tells apart a service that left from one that has no endpoint", () => {
    const mesh = new Fixture({}, [])
    expect(mesh.outbound.services()).toMatchObject([{ service: "payments", endpoints: 0 }])
    mesh.view.set(new Map())
    expect(mesh.outbound.services()).toEqual([])
  })

  it("a call of which one attempt may have been seen was sent, whatever became of the next", () => {
    const mesh = new Fixture({ retry: { attempts: 1 } }, two)
    const { receiver } = mesh.request()
    mesh.last.fault("upstream_reset", true)
    mesh.ticker.advance(100)
    expect(mesh.sent).toHaveLength(2)
    mesh.last.fault("upstream_connect", false)
    expect(receiver.fault).toMatchObject({ code: "upstream_connect", sent: true })
  })

  it("nothing waits for another try after close, as no clock may tell when its time has come", () => {
    const mesh = new Fixture({ retry: { attempts: 3, backoff: { base: "1s", max: "2s" } } }, two)
    const paused = mesh.request()
    mesh.last.fault("upstream_reset", true)
    const open = mesh.request()
    const attempts = mesh.sent.length
    mesh.outbound.close()
    // Its first attempt may have reached a program.
    expect(paused.receiver.fault).toMatchObject({ code: "draining", sent: true })
    // One under way ends with what befalls it when the links are closed.
    expect(open.receiver.fault).toBeUndefined()
    mesh.last.fault("upstream_reset", true)
    expect(open.receiver.fault).toMatchObject({ code: "upstream_reset" })
    const late = mesh.request()
    mesh.last.fault("draining", false)
    expect(late.receiver.fault).toMatchObject({ code: "draining" })
    expect(mesh.sent.length).toBe(attempts + 1)
  })

  it("is not followed any more after close", () => {
    const mesh = new Fixture({}, two)
    mesh.outbound.close()
    mesh.view.set(new Map())
    expect(mesh.outbound.services()).toHaveLength(1)
  })
})

describe("a new policy", () => {
  const policy: PolicyInput = {
    ...inTurn,
    retry: { on: ["5xx"], budget: { ratio: 0, minPerSecond: 0.1 } },
    breaker: { consecutiveFailures: 1 }
  }
  const change = (mesh: Fixture, next: PolicyInput) =>
    mesh.outbound.setPolicies(new Map([[payments, makePolicy(next)]]))

  it("keeps the state of the parts that did not change", () => {
    const mesh = new Fixture(policy, [...two, endpointView("c")])
    mesh.request()
    mesh.last.respond(500)
    mesh.ticker.advance(40)
    change(mesh, { ...policy, timeout: { request: "1s" } })
    // The one retry of the window is spent.
    mesh.last.respond(500)
    expect(mesh.sent).toHaveLength(2)
    expect(mesh.outbound.endpoints(payments).map(({ breaker }) => breaker)).toEqual([
      "open",
      "open",
      "closed"
    ])
    mesh.request()
    expect(mesh.last.call.deadline).toBe(1_000)
  })

  it("starts the parts that changed anew", () => {
    const mesh = new Fixture(policy, two)
    answer(mesh, 500)
    change(mesh, { ...policy, breaker: { consecutiveFailures: 2 } })
    expect(mesh.outbound.endpoints(payments)[0]?.breaker).toBe("closed")
    change(mesh, { ...policy, breaker: "off" })
    expect(mesh.outbound.endpoints(payments)[0]?.breaker).toBeUndefined()
  })

  it("does not change the rules for a call under way", () => {
    const mesh = new Fixture({ ...inTurn, retry: { on: ["5xx"] } }, two)
    mesh.request()
    change(mesh, { ...inTurn, retry: "off" })
    mesh.last.respond(500)
    mesh.ticker.advance(40)
    expect(mesh.sent).toHaveLength(2)
    mesh.request()
    mesh.last.respond(500)
    mesh.ticker.advance(40)
    expect(mesh.sent).toHaveLength(3)
  })

  it("falls back to the default when there is none", () => {
    const mesh = new Fixture({ timeout: { request: "1s" } }, two)
    mesh.outbound.setPolicies(new Map())
    mesh.request()
    expect(mesh.last.call.deadline).toBe(defaultPolicy.timeout.request)
  })
})

describe("what people see", () => {
  it("services: requests, success, latency", () => {
    const mesh = new Fixture({ ...inTurn, retry: "off" }, two)
    for (const status of [200, 200, 404, 500]) {
      mesh.request()
      mesh.ticker.advance(10)
      mesh.last.respond(status)
    }
    mesh.request()
    const [stats] = mesh.outbound.services()
    expect(stats).toMatchObject({
      service: "payments",
      protocol: "http",
      endpoints: 2,
      selected: 2,
      panic: false,
      inFlight: 1,
      requests: 4,
      successes: 3
    })
    // All four took 10 ms; the answer to the fifth has not come.
    const within = latencyBounds.findIndex((bound) => bound >= 10)
    expect(stats?.latency).toEqual([...latencyBounds, 0].map((_, i) => (i === within ? 4 : 0)))
  })

  it("endpoints: latency once it is known", () => {
    const mesh = new Fixture(inTurn, two)
    mesh.request()
    mesh.ticker.advance(20)
    mesh.last.respond(200)
    const [a, b] = mesh.outbound.endpoints(payments)
    expect(a?.ewma).toBe(20)
    expect(b?.ewma).toBeUndefined()
  })

  it("nothing about services that are not there", () => {
    const mesh = new Fixture({}, two)
    mesh.view.set(new Map([[payments, serviceView([])]]))
    expect(mesh.outbound.endpoints(payments)).toEqual([])
  })
})
