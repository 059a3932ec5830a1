/** What is shown of actors, put together of what nodes and their programs have said. */
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import type { PeerActors } from "../mesh/host/MeshRpc.ts"
import { type EndpointView, MeshViewSource } from "../model/MeshView.ts"
import { type PeerKey, ServiceName } from "../model/Names.ts"
import type { ActorReport } from "../schema/ActorReportSchema.ts"
import { activationReport, actorReport } from "../testing/ActorReportFixture.ts"
import { endpointView, peerKey, serviceView } from "../testing/OutboundFixture.ts"
import { gathered, makeActorView } from "./ActorViews.ts"
import type { Surveyed } from "./NodeSurvey.ts"

const nameOf = (_: string, key: string) => ({ node: `node of ${key}`, endpoint: key })
const told = (node: string, ...reports: PeerActors["reports"]) => ({
  node,
  answer: { reports, silent: [], left: 0, withheld: false }
})
const by = (program: string | null, report: ReturnType<typeof actorReport>) => ({ program, report })

const older = ({ given: _, lost: __, ...report }: ActorReport): ActorReport => report

describe("what is said of actors", () => {
  it("is put together by type: sums, the fullest mailbox, durations over all, the latest error", () => {
    const error = (at: number) => ({ text: `error at ${at}`, at })
    const { types } = gathered(
      {},
      [
        told(
          "b",
          by("second", actorReport("k2", 30, { longest: 9, waiting: 10, lastError: error(5) })),
          by("third", actorReport("k3", 0, { type: "Till" }))
        ),
        // Of a release that does not say what it has lost or given.
        told("a", by(null, older(actorReport("k1", 70, { lastError: error(4) }))))
      ],
      [],
      nameOf
    )
    expect(types.map(({ type }) => type)).toEqual(["Cart", "Till"])
    expect(types[0]).toMatchObject({
      ...{ shards: 256, activations: 4, waiting: 11, longest: 9, rps: 1, crashes: 2 },
      messages: { ok: 100, moved: 8 },
      // Died, full mailboxes, not available; what moves and what is declared is no error.
      errors: 12,
      ...{ lost: 2, given: { ok: 5, failed: 1 } },
      lastError: { text: "error at 5", at: 5, node: "b" },
      place: null
    })
    expect(types[0]?.p99Ms).toBeCloseTo(0.995)
    expect(types[1]).toMatchObject({ p50Ms: null, p99Ms: null })
    expect(types[0]?.hosts.map(({ endpoint, node, program }) => [node, program, endpoint])).toEqual(
      [
        ["a", null, "k1"],
        ["b", "second", "k2"]
      ]
    )
  })

  it("tells once what each node or zone has by itself", () => {
    const shards = (owned: number) => ({ shards: { owned, open: 0, in: 0, out: 0 } })
    const typeOf = (placed: string, ...owned: ReadonlyArray<readonly [string, number]>) =>
      gathered(
        {},
        owned.map(([node, own], at) =>
          told(node, by(null, actorReport(`k${at}`, 0, { placed, ...shards(own) })))
        ),
        [],
        (_, key) => ({ node: "n", endpoint: key, zone: key === "k2" ? "us" : "eu" })
      ).types[0]
    const on = [
      ["a", 100],
      ["a", 156],
      ["b", 256]
    ] as const
    expect(typeOf("local", ...on)).toMatchObject({ placed: "local", circles: 2, shards: 256 })
    expect(typeOf("zone", ...on)).toMatchObject({ placed: "zone", circles: 2, shards: 256 })
    expect(typeOf("mesh", ...on.slice(0, 2))).toMatchObject({ circles: 1, shards: 256 })
    // One node of three has not said all of its own.
    expect(typeOf("local", ["a", 256], ["b", 30])).toMatchObject({ circles: 2, shards: 30 })
  })

  it("tells where an actor is in memory, and where those who run its type would look for it", () => {
    const actor = (owner: string | null, state = false) => ({
      actor: { shard: 7, owner, state: state ? activationReport("u") : null }
    })
    const { types } = gathered(
      { type: "Cart", id: "u" },
      [
        told("a", by(null, actorReport("k1", 0, actor("k1", true)))),
        told("b", by(null, actorReport("k2", 0, actor("k1")))),
        // It has not heard yet of a.
        told("c", by(null, actorReport("k3", 0, actor("k2"))))
      ],
      [],
      nameOf
    )
    expect(types[0]?.place).toEqual({
      ...{ id: "u", shard: 7 },
      owners: [
        { node: "node of k1", endpoint: "k1", by: ["a", "b"] },
        { node: "node of k2", endpoint: "k2", by: ["c"] }
      ]
    })
    expect(types[0]?.hosts.map(({ actor: one }) => one?.version)).toEqual([3, undefined, undefined])
  })

  it("says what is not in it: nodes, programs, what had no room, what is kept back", () => {
    const { nodes, withheld } = gathered(
      {},
      [
        {
          node: "b",
          answer: {
            ...{ reports: [], left: 4, withheld: true },
            silent: [{ program: "shop.ts", reason: "it is slow" }]
          }
        }
      ],
      [{ node: "a", reason: "no answer" }],
      nameOf
    )
    expect(nodes).toEqual({
      answered: ["b"],
      silent: [
        { node: "a", reason: "no answer" },
        { node: "b", reason: "there was no room for 4 reports of its own" },
        { node: "b (shop.ts)", reason: "it is slow" }
      ]
    })
    expect(withheld).toEqual(["b"])
  })

  it("adds up no durations that are counted by other bounds", () => {
    const other = { bounds: [1, 2], counts: [50, 50, 0], sum: 100 }
    const reports = [actorReport("k1", 10), actorReport("k2", 100, { latency: other })]
    const { types } = gathered({}, [told("a", ...reports.map((one) => by(null, one)))], [], nameOf)
    expect(types[0]?.p99Ms).toBeCloseTo(0.995)
  })
})

describe("who is asked how actors fare", () => {
  const view = new MeshViewSource()
  const offered = (name: string, endpoints: ReadonlyArray<EndpointView>) =>
    serviceView(endpoints, "http", ServiceName.make(name))
  const services = [
    offered("actor-cart", [
      endpointView("a"),
      endpointView("b"),
      endpointView("c", { member: "dead" })
    ]),
    offered("actor-till", [endpointView("d")]),
    offered("web", [endpointView("e")])
  ]
  view.set(new Map(services.map((service) => [service.name, service])))
  const letterOf = (peer: PeerKey) => "abcde".split("").find((one) => peerKey(one) === peer)
  const asking = (choice: { readonly type?: string; readonly id?: string }) => {
    const asked: Array<string | undefined> = []
    let here = 0
    return Effect.map(
      Effect.either(
        makeActorView({
          self: peerKey("a"),
          view: () => view.current,
          here: () => {
            here++
            return Effect.succeed({ reports: [], silent: [] })
          },
          survey: (peers) => {
            asked.push(...peers.map(letterOf))
            const silent: Surveyed<PeerActors> = { kind: "silent", reason: "away" }
            return Effect.succeed(new Map(peers.map((peer) => [peer, silent])))
          }
        })(choice)
      ),
      (answer) => ({ answer, asked, here })
    )
  }

  it.effect("is everybody who offers actors, or those of the type, but for the dead", () =>
    Effect.gen(function* () {
      expect(yield* asking({})).toMatchObject({ asked: ["b", "d"], here: 1 })
      expect(yield* asking({ type: "Cart" })).toMatchObject({ asked: ["b"], here: 1 })
      expect(yield* asking({ type: "Till", id: "1" })).toMatchObject({ asked: ["d"], here: 0 })
    })
  )

  it.effect("is nobody where nothing can come of it, and the answer says why", () =>
    Effect.gen(function* () {
      for (const [choice, code] of [
        [{ type: "Basket" }, "actor_type_not_found"],
        [{ type: "no type" }, "invalid"],
        [{ id: "u" }, "invalid"],
        [{ type: "Cart", id: "x".repeat(257) }, "invalid"]
      ] as const) {
        const { answer, asked, here } = yield* asking(choice)
        expect([answer._tag, asked, here]).toEqual(["Left", [], 0])
        expect(answer).toMatchObject({ left: { code } })
      }
    })
  )
})
