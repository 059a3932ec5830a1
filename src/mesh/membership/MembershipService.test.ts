import { expect, it } from "@effect/vitest"
import { Effect, Either, Layer, Logger, TestClock } from "effect"
import { makeMembers } from "../../../test/fixtures/Members.ts"
import { PeerKey } from "../../model/Names.ts"
import type { NodeRecord } from "../../model/NodeRecord.ts"
import { MemoryBus } from "../../testing/MemoryGossip.ts"
import { Supervisor } from "../actor/Supervisor.ts"
import { Gossip, type GossipHandler } from "../host/Gossip.ts"
import { MeshRpcError } from "../host/MeshRpc.ts"
import { encodeCbor } from "../trust/Cbor.ts"
import { sealEnvelope } from "../trust/Envelope.ts"
import type { PingAnswer } from "./MembershipMessages.ts"
import type { MembershipPort } from "./MembershipPort.ts"
import { type MembershipShape, makeMembership } from "./MembershipService.ts"
import { makeStatementDoor, statementKind } from "./Statement.ts"

const start = 1_800_000_000_000
const members = makeMembers(4, start - 60_000)
const peers = members.map(({ peer }) => peer)
const quiet = Logger.remove(Logger.defaultLogger)
const gone = new MeshRpcError({ code: "unavailable", message: "gone" })

const records = members.map(
  ({ peer, name }): NodeRecord => ({
    peer,
    name,
    addresses: [],
    epoch: start - 1_000,
    version: 0,
    signedAt: start - 1_000,
    state: "serving",
    services: [],
    software: "skein/test"
  })
)

/** Nodes for whom a call is a function call. */
class Mesh {
  readonly nodes = new Map<PeerKey, MembershipShape>()
  /** In the order of joining the bus. */
  readonly #joined: Array<PeerKey> = []
  readonly bus = new MemoryBus({
    reaches: (from, to) => [from, to].every((index) => this.nodes.has(this.#joined[index]!))
  })

  #reach(peer: PeerKey): Effect.Effect<MembershipShape, MeshRpcError> {
    const node = this.nodes.get(peer)
    return node === undefined ? Effect.fail(gone) : Effect.succeed(node)
  }

  readonly #port = (from: PeerKey): MembershipPort => ({
    ping: (peer, accused, _timeout, done) => {
      const node = this.nodes.get(peer)
      if (node === undefined) done(undefined)
      else node.answerPing(from, accused, done)
    },
    probe: (helper, peer) =>
      this.#reach(helper).pipe(
        Effect.flatMap(({ handlers }) => handlers.Probe({ peer })),
        Effect.map(({ reachable }) => reachable)
      ),
    evidence: (peer, about) =>
      Effect.flatMap(this.#reach(peer), ({ handlers }) => handlers.MembershipEvidence({ about }))
  })

  start(index: number) {
    const identity = members[index]!
    return Effect.gen(this, function* () {
      this.#joined.push(identity.peer)
      const context = yield* Layer.build(
        Layer.mergeAll(Supervisor.layer(), this.bus.layer(), quiet)
      )
      const node = yield* makeMembership({
        self: identity.peer,
        name: identity.name,
        door: makeStatementDoor({ current: identity }),
        port: this.#port(identity.peer)
      }).pipe(Effect.provide(context))
      node.changeRecords(records, [])
      this.nodes.set(identity.peer, node)
      return node
    })
  }

  crash(index: number): void {
    this.nodes.delete(peers[index]!)
  }
}

const startAll = Effect.gen(function* () {
  yield* TestClock.setTime(start)
  const mesh = new Mesh()
  const nodes = yield* Effect.all(members.map((_, index) => mesh.start(index)))
  yield* TestClock.adjust("3 seconds")
  return { mesh, nodes }
})

it.scoped("everybody is alive, watched by everybody else", () =>
  Effect.gen(function* () {
    const { nodes } = yield* startAll
    for (const node of nodes) {
      expect(node.members().map(({ state }) => state)).toEqual(["alive", "alive", "alive", "alive"])
      expect(node.awareness()).toBe(0)
    }
    const [own] = nodes[0]!.members()
    expect(own).toMatchObject({ peer: peers[0], name: "host-0", incarnation: start - 1_000 })
    expect(new Set(own!.observers)).toEqual(new Set(peers.slice(1)))
    expect(new Set(nodes[0]!.subjects())).toEqual(new Set(peers.slice(1)))
  })
)

it.scoped("one that is gone is suspected at a hint, then dead, and its listeners are told", () =>
  Effect.gen(function* () {
    const { mesh, nodes } = yield* startAll
    const told = new Set<PeerKey>()
    nodes[0]!.subscribe((moved) => moved.forEach((peer) => void told.add(peer)))
    mesh.crash(3)
    nodes[0]!.linkDown(peers[3]!)
    yield* TestClock.adjust(10)
    expect(nodes[0]!.stateOf(peers[3]!)).toBe("suspect")
    expect(told).toEqual(new Set([peers[3]]))
    yield* TestClock.adjust("15 seconds")
    for (const node of nodes.slice(0, 3)) expect(node.stateOf(peers[3]!)).toBe("dead")
  })
)

it.scoped("one that is back denies its death, and everybody hears of it", () =>
  Effect.gen(function* () {
    const { mesh, nodes } = yield* startAll
    mesh.crash(3)
    yield* TestClock.adjust("15 seconds")
    expect(nodes[1]!.stateOf(peers[3]!)).toBe("dead")
    mesh.nodes.set(peers[3]!, nodes[3]!)
    nodes[0]!.linkUp(peers[3]!)
    yield* TestClock.adjust(10)
    for (const node of nodes.slice(0, 3)) {
      expect(node.stateOf(peers[3]!)).toBe("alive")
    }
  })
)

it.scoped("a newcomer learns from evidence who is dead", () =>
  Effect.gen(function* () {
    yield* TestClock.setTime(start)
    const mesh = new Mesh()
    const nodes = yield* Effect.all([0, 1, 3].map((index) => mesh.start(index)))
    yield* TestClock.adjust("3 seconds")
    mesh.crash(3)
    yield* TestClock.adjust("30 seconds")
    expect(nodes[0]!.stateOf(peers[3]!)).toBe("dead")
    const evidence = yield* nodes[0]!.handlers.MembershipEvidence({})
    expect(evidence.length).toBeGreaterThanOrEqual(2)
    const late = yield* mesh.start(2)
    yield* TestClock.adjust("3 seconds")
    expect(late.stateOf(peers[3]!)).toBe("suspect")
  })
)

it.scoped("of those that are named it says all there is, and of nobody else", () =>
  Effect.gen(function* () {
    const { mesh, nodes } = yield* startAll
    mesh.crash(3)
    mesh.crash(2)
    yield* TestClock.adjust("15 seconds")
    const { MembershipEvidence } = nodes[0]!.handlers
    const door = makeStatementDoor({ current: members[0]! })
    const subjects = (envelopes: ReadonlyArray<Uint8Array>) =>
      new Set(envelopes.map((it) => Either.getOrThrow(door.admit(it, start)).subject))
    expect(subjects(yield* MembershipEvidence({}))).toEqual(new Set([peers[2], peers[3]]))
    const about = yield* MembershipEvidence({ about: [peers[3]!, peers[1]!] })
    expect(subjects(about)).toEqual(new Set([peers[3]]))
  })
)

it.scoped("answers pings, and probes for others", () =>
  Effect.gen(function* () {
    const { mesh, nodes } = yield* startAll
    const { answerPing, handlers } = nodes[0]!
    const ping = (accused?: number) =>
      Effect.async<PingAnswer>((resume) =>
        answerPing(peers[1]!, accused, (answer) => resume(Effect.succeed(answer)))
      )
    expect(yield* ping()).toEqual({ incarnation: start - 1_000 })
    const denial = yield* ping(start - 1_000)
    expect(denial.incarnation).toBe(start - 999)
    expect(denial.alive).toBeInstanceOf(Uint8Array)
    expect(yield* handlers.Probe({ peer: peers[1]! })).toEqual({ reachable: true })
    mesh.crash(1)
    expect(yield* handlers.Probe({ peer: peers[1]! })).toEqual({ reachable: false })
    const stranger = PeerKey.make("12D3KooWPeerPeerPeer9")
    expect((yield* Effect.flip(handlers.Probe({ peer: stranger }))).code).toBe("refused")
  })
)

it.scoped("follows the catalogue: who left, who is gone from it", () =>
  Effect.gen(function* () {
    const { nodes } = yield* startAll
    const left = { ...records[1]!, version: 1, state: "left" as const }
    const moved: Array<PeerKey> = []
    nodes[0]!.subscribe((peers) => moved.push(...peers))
    nodes[0]!.changeRecords([{ ...records[2]!, version: 1, services: [] }], [])
    yield* TestClock.adjust(1)
    expect(moved).toEqual([])
    nodes[0]!.changeRecords([left], [peers[3]!])
    yield* TestClock.adjust(1)
    expect(nodes[0]!.stateOf(peers[1]!)).toBe("left")
    expect(nodes[0]!.stateOf(peers[3]!)).toBeUndefined()
    expect(nodes[0]!.subjects()).toEqual([peers[2]])
    expect(new Set(moved)).toEqual(new Set([peers[1], peers[3]]))
  })
)

it.scoped("what a later version says is neither believed nor blamed on who passed it on", () =>
  Effect.gen(function* () {
    yield* TestClock.setTime(start)
    let heard: GossipHandler = () => "reject"
    const gossip = Layer.succeed(Gossip, {
      publish: () => Effect.void,
      subscribe: (_topic, handler) =>
        Effect.sync(() => {
          heard = handler
        })
    })
    const [reader, writer, subject] = members
    const context = yield* Layer.build(Layer.mergeAll(Supervisor.layer(), gossip, quiet))
    const node = yield* makeMembership({
      ...{ self: reader!.peer, name: reader!.name },
      door: makeStatementDoor({ current: reader! }),
      port: {
        ping: () => Effect.fail(gone),
        probe: () => Effect.fail(gone),
        evidence: () => Effect.fail(gone)
      }
    }).pipe(Effect.provide(context))
    node.changeRecords(records, [])
    yield* TestClock.adjust(1)
    const said = (statement: unknown) =>
      heard(sealEnvelope(writer!, statementKind, encodeCbor(statement)))
    expect(said({ kind: "busy", subject: subject!.peer, until: start })).toBe("ignore")
    expect(said({ incarnation: start })).toBe("reject")
    expect(node.stateOf(subject!.peer)).toBe("alive")
    const suspect = { kind: "suspect", subject: subject!.peer, incarnation: start - 1_000 }
    expect(said({ ...suspect, repeat: 0, reason: "late" })).toBe("accept")
    yield* TestClock.adjust(1)
    expect(node.stateOf(subject!.peer)).toBe("suspect")
  })
)
