import { createServer } from "node:net"
import { noise } from "@chainsafe/libp2p-noise"
import { describe, expect, it } from "@effect/vitest"
import { generateKeyPair } from "@libp2p/crypto/keys"
import { Effect, Layer, Schema } from "effect"
import { MeshId, type PeerKey } from "../../model/Names.ts"
import { dialAddresses } from "./Dialer.ts"
import { Gossip } from "./Gossip.ts"
import { layerLibp2p } from "./Libp2pGossip.ts"
import { makeLibp2pTransport } from "./Libp2pTransport.ts"
import { MeshHost, makeMeshHost } from "./MeshHost.ts"
import { MeshRpc } from "./MeshRpc.ts"
import { makeMeshRpcClients } from "./MeshRpcClients.ts"
import { callingPeer, serveMeshRpc } from "./MeshRpcServer.ts"
import { RpcFrames } from "./RpcFrames.ts"

const mesh = MeshId.make("00112233445566778899aabbccddeeff")
const loopback = "/ip4/127.0.0.1/tcp/0"
const MiB = 1024 * 1024

const makeHost = (
  listen: ReadonlyArray<string> = [loopback],
  allowPeer: (peer: PeerKey) => boolean = () => true
) =>
  Effect.gen(function* () {
    const privateKey = yield* Effect.promise(() => generateKeyPair("Ed25519"))
    return yield* makeMeshHost({ privateKey, mesh, listen, encrypter: noise(), allowPeer })
  })

describe("two hosts", () => {
  it.scopedLive("do not speak with a peer that is not allowed", () =>
    Effect.gen(function* () {
      const a = yield* makeHost([])
      const b = yield* makeHost([loopback], () => false)
      let opened = 0
      b.libp2p.addEventListener("connection:open", () => opened++)
      // The dialler may learn of it only after its own end of the handshake is done.
      yield* Effect.exit(dialAddresses(a, b.addresses()))
      yield* until(() => a.libp2p.getConnections().length === 0)
      expect(opened).toBe(0)
      expect(b.libp2p.getPeers()).toEqual([])
    })
  )

  it.scopedLive("find each other by address alone", () =>
    Effect.gen(function* () {
      const a = yield* makeHost([])
      const b = yield* makeHost()
      const addresses = ["/ip4/127.0.0.1/tcp/1", "not an address", ...b.addresses()]
      expect(yield* dialAddresses(a, addresses)).toBe(b.peer)
      const failed = yield* Effect.flip(dialAddresses(a, addresses.slice(0, 2)))
      expect(failed.code).toBe("unreachable")
      expect(failed.attempts.map((it) => it.address)).toEqual(addresses.slice(0, 2))
      expect((yield* Effect.flip(dialAddresses(a, []))).code).toBe("no_address")
    })
  )

  it.scopedLive("gossip what handlers accept", () =>
    Effect.gen(function* () {
      const hosts = yield* Effect.all([makeHost(), makeHost(), makeHost()])
      const got: Array<Array<string>> = [[], [], []]
      const nodes = yield* Effect.forEach(hosts, (host, i) =>
        Effect.gen(function* () {
          const context = yield* Layer.build(
            Layer.provide(layerLibp2p(), Layer.succeed(MeshHost, host))
          )
          const gossip = yield* Effect.provide(Gossip, context)
          yield* gossip.subscribe("catalogue", (bytes) => {
            const text = Buffer.from(bytes).toString()
            got[i]!.push(text)
            return text.startsWith("bad") ? "reject" : "accept"
          })
          return gossip
        })
      )
      const { pubsub } = hosts[1]!.libp2p.services
      const grafted = new Set<string>()
      pubsub.addEventListener("gossipsub:graft", ({ detail }) => {
        if (detail.topic.endsWith("/catalogue")) grafted.add(detail.peerId)
      })
      yield* dialAddresses(hosts[0]!, hosts[1]!.addresses())
      yield* dialAddresses(hosts[1]!, hosts[2]!.addresses())
      yield* until(() => grafted.size === 2)
      yield* nodes[0]!.publish("catalogue", Buffer.from("bad record"))
      yield* nodes[0]!.publish("catalogue", Buffer.from("good record"))
      yield* until(() => got[2]!.length > 0)
      expect(got[1]).toEqual(["bad record", "good record"])
      // What the one in the middle rejected went no further.
      expect(got[2]).toEqual(["good record"])
    })
  )
})

describe("questions and answers", () => {
  let asked = 0
  const saying = (peer: string) => [Uint8Array.from(Buffer.from(peer))]

  const handlers = MeshRpc.toLayer({
    CatalogueDigest: () => Effect.die("a bug in a handler"),
    CatalogueBuckets: () =>
      Effect.suspend(() => {
        asked++
        return Effect.never
      }),
    CatalogueExchange: ({ offered }) => Effect.succeed(offered),
    Probe: () => Effect.succeed({ reachable: true }),
    MembershipEvidence: ({ about = [] }, request) =>
      Effect.succeed([callingPeer(request), ...about].flatMap(saying)),
    RenewCertificate: () => Effect.succeed(Buffer.alloc(2 * MiB)),
    DialBack: () => Effect.succeed({ reached: true }),
    NewSession: ({ secret }) => Effect.succeed({ secret }),
    PeerStatus: () =>
      Effect.succeed({ software: "0", epoch: 1, version: 2, lateMs: 3, doubt: 4, waiting: 5 }),
    ActorStatus: () => Effect.succeed({ reports: [], silent: [], left: 0, withheld: false }),
    AccessUse: () => Effect.succeed({ rules: [], traffic: [], left: 0 }),
    DrainNotice: () => Effect.void
  })

  const makePair = (timeout?: number) =>
    Effect.gen(function* () {
      const a = yield* makeHost([])
      const b = yield* makeHost()
      yield* Layer.build(serveMeshRpc(makeLibp2pTransport(b)).pipe(Layer.provide(handlers)))
      const clients = yield* makeMeshRpcClients({
        transport: makeLibp2pTransport(a),
        addressesOf: b.addresses,
        ...(timeout === undefined ? {} : { timeout })
      })
      return { a, b, clients }
    })

  it.scopedLive("know who asks, carry bytes, and share one stream", () =>
    Effect.gen(function* () {
      const { a, b, clients } = yield* makePair()
      const client = yield* clients.client(b.peer)
      expect(yield* client.MembershipEvidence({})).toEqual(saying(a.peer))
      const offered = Array.from({ length: 60 }, (_, i) => new Uint8Array(10_000).fill(i))
      const back = yield* client.CatalogueExchange({ wanted: [], offered })
      expect(back.map((it) => [...it.subarray(0, 2)])).toEqual(offered.map((_, i) => [i, i]))
      yield* Effect.all(
        Array.from({ length: 50 }, () =>
          Effect.flatMap(clients.client(b.peer), (it) => it.MembershipEvidence({}))
        ),
        { concurrency: "unbounded" }
      )
      const streams = a.libp2p.getConnections()[0]?.streams ?? []
      expect(streams.filter((it) => it.protocol === "/skein/rpc/1").length).toBe(1)
    })
  )

  it.scopedLive("end in time and with one kind of error, whatever happens", () =>
    Effect.gen(function* () {
      const { b, clients } = yield* makePair()
      const client = yield* clients.client(b.peer)
      const digest = yield* Effect.flip(client.CatalogueDigest({ root: new Uint8Array(16) }))
      expect(digest).toMatchObject({ _tag: "MeshRpcError" })
      const hasty = yield* makePair(300)
      const impatient = yield* hasty.clients.client(hasty.b.peer)
      const slow = yield* Effect.flip(impatient.CatalogueBuckets({ buckets: [1] }))
      expect(slow).toMatchObject({ _tag: "MeshRpcError", code: "unavailable" })
      expect(slow.message).toContain("300 ms")
      const large = yield* Effect.flip(client.RenewCertificate({}))
      expect(large).toMatchObject({ _tag: "MeshRpcError", code: "invalid" })
      // The others went on.
      expect(yield* client.Probe({ peer: b.peer })).toEqual({ reachable: true })
    })
  )

  it.scopedLive("that a later version asks are answered, as are those with more in them", () =>
    Effect.gen(function* () {
      const { a, b } = yield* makePair()
      const channel = yield* Effect.promise((signal) =>
        makeLibp2pTransport(a).open(b.peer, "/skein/rpc/1", b.addresses(), signal)
      )
      const answers: Array<unknown> = []
      const frames = new RpcFrames(channel, {
        onMessage: (message) => answers.push(message),
        onClose: () => answers.push("closed")
      })
      const ask = (id: string, tag: string, more = {}) =>
        frames.send({ _tag: "Request", id, tag, payload: { color: "red" }, headers: [], ...more })
      ask("1", "Later")
      // No question of anybody: nothing is answered, and nothing breaks.
      frames.send({ _tag: "Hint", id: "7", load: 3 })
      ask("2", "MembershipEvidence", { urgency: 7 })
      yield* until(() => answers.length === 2)
      expect(answers).toMatchObject([
        { requestId: "1", exit: { cause: { error: { code: "invalid" } } } },
        { requestId: "2", exit: { _tag: "Success" } }
      ])
    })
  )

  it.scopedLive(
    "about some members are answered about those, and by an older version about all",
    () =>
      Effect.gen(function* () {
        const { a, b, clients } = yield* makePair()
        const client = yield* clients.client(b.peer)
        const about = [b.peer]
        const named = yield* client.MembershipEvidence({ about })
        expect(named).toEqual([a.peer, b.peer].flatMap(saying))
        // As before members could be named: the older one's question, and the older one that is asked.
        expect(yield* client.MembershipEvidence({})).toEqual(saying(a.peer))
        const older = yield* makeHost()
        const unhandle = yield* Effect.promise(() =>
          makeLibp2pTransport(older).handle("/skein/rpc/1", (peer, channel) => {
            const frames: RpcFrames = new RpcFrames(channel, {
              onMessage: (message) => {
                const { id: requestId } = Schema.decodeUnknownSync(OlderQuestion)(message)
                const exit = { _tag: "Success", value: saying(peer) }
                frames.send({ _tag: "Exit", requestId, exit })
              },
              onClose: () => undefined
            })
          })
        )
        yield* Effect.addFinalizer(() => Effect.promise(async () => unhandle()))
        const askers = yield* makeMeshRpcClients({
          transport: makeLibp2pTransport(a),
          addressesOf: older.addresses
        })
        const other = yield* askers.client(older.peer)
        expect(yield* other.MembershipEvidence({ about })).toEqual(saying(a.peer))
      })
  )

  it.scopedLive("that a later version answers are understood as far as they can be", () =>
    Effect.gen(function* () {
      const a = yield* makeHost([])
      const b = yield* makeHost()
      const exits: Record<string, unknown> = {
        Probe: { _tag: "Success", value: { reachable: true, by: "relay" }, took: 3 },
        MembershipEvidence: {
          _tag: "Failure",
          cause: {
            _tag: "Fail",
            error: { _tag: "MeshRpcError", code: "asleep", message: "later", until: 9 }
          }
        },
        CatalogueDigest: { _tag: "Postponed" }
      }
      const unhandle = yield* Effect.promise(() =>
        makeLibp2pTransport(b).handle("/skein/rpc/1", (_peer, channel) => {
          const frames: RpcFrames = new RpcFrames(channel, {
            onMessage: (message) => {
              const { id: requestId, tag } = Schema.decodeUnknownSync(Asked)(message)
              frames.send({ _tag: "Hint", requestId })
              frames.send({ _tag: "Exit", requestId, exit: exits[tag], hurry: false })
            },
            onClose: () => undefined
          })
        })
      )
      yield* Effect.addFinalizer(() => Effect.promise(async () => unhandle()))
      const clients = yield* makeMeshRpcClients({
        transport: makeLibp2pTransport(a),
        addressesOf: b.addresses
      })
      const client = yield* clients.client(b.peer)
      expect(yield* client.Probe({ peer: b.peer })).toEqual({ reachable: true })
      expect(yield* Effect.flip(client.MembershipEvidence({}))).toMatchObject({
        code: "unavailable",
        message: "MembershipEvidence: later"
      })
      const postponed = yield* Effect.flip(client.CatalogueDigest({ root: new Uint8Array(16) }))
      expect(postponed.code).toBe("invalid")
      // One answer that cannot be read costs that question, and no other.
      expect(yield* client.Probe({ peer: b.peer })).toEqual({ reachable: true })
    })
  )

  it.scopedLive("are refused beyond what one peer may have running", () =>
    Effect.gen(function* () {
      const { b, clients } = yield* makePair()
      const client = yield* clients.client(b.peer)
      const refusals: Array<string> = []
      yield* Effect.forEach(Array.from({ length: 80 }), () =>
        client.CatalogueBuckets({ buckets: [] }).pipe(
          Effect.catchAll((error) => Effect.sync(() => refusals.push(error.message))),
          Effect.forkScoped
        )
      )
      yield* until(() => refusals.length === 16)
      expect(refusals.every((it) => it.includes("64 questions"))).toBe(true)
    })
  )

  it.scopedLive("fail when the node goes, and work again when it is back", () =>
    Effect.gen(function* () {
      const { a, b, clients } = yield* makePair()
      const client = yield* clients.client(b.peer)
      const before = asked
      const question = yield* Effect.fork(Effect.flip(client.CatalogueBuckets({ buckets: [] })))
      yield* until(() => asked > before)
      for (const connection of a.libp2p.getConnections()) connection.abort(new Error("cut"))
      expect(yield* question.await).toMatchObject({ value: { code: "unavailable" } })
      expect(yield* Effect.flip(client.MembershipEvidence({}))).toMatchObject({
        code: "unavailable"
      })
      const again = yield* clients.client(b.peer)
      expect(yield* again.MembershipEvidence({})).toEqual(saying(a.peer))
    })
  )

  it.scopedLive("say so when a node cannot be reached", () =>
    Effect.gen(function* () {
      const a = yield* makeHost([])
      const b = yield* makeHost()
      const clients = yield* makeMeshRpcClients({
        transport: makeLibp2pTransport(a),
        addressesOf: () => ["/ip4/127.0.0.1/tcp/1"]
      })
      const error = yield* Effect.flip(clients.client(b.peer))
      expect(error).toMatchObject({ _tag: "MeshRpcError", code: "unavailable" })
    })
  )
})

describe("a host that cannot start says why", () => {
  it.scopedLive("port in use", () =>
    Effect.gen(function* () {
      const server = yield* Effect.acquireRelease(
        Effect.async<ReturnType<typeof createServer>>((resume) => {
          const it = createServer()
          it.listen(0, "127.0.0.1", () => resume(Effect.succeed(it)))
        }),
        (it) => Effect.sync(() => it.close())
      )
      const address = server.address()
      const port = typeof address === "object" && address !== null ? address.port : 0
      const error = yield* Effect.flip(makeHost([`/ip4/127.0.0.1/tcp/${port}`]))
      expect(error).toMatchObject({
        _tag: "HostError",
        code: "port_in_use",
        value: `/ip4/127.0.0.1/tcp/${port}`
      })
      expect(error.message).toContain("another program")
    })
  )

  it.scopedLive("an address of another machine, and what is no address", () =>
    Effect.gen(function* () {
      const foreign = yield* Effect.flip(makeHost([loopback, "/ip4/192.0.2.7/tcp/0"]))
      expect(foreign).toMatchObject({ code: "address_not_local", value: "/ip4/192.0.2.7/tcp/0" })
      for (const text of ["127.0.0.1:4001", "/ip4/127.0.0.1/udp/1", "/ip4/300.0.0.1/tcp/1"]) {
        const error = yield* Effect.flip(makeHost([text]))
        expect(error).toMatchObject({ code: "bad_multiaddr", value: text })
      }
    })
  )

  it.scopedLive("keys that would be written to a file", () =>
    Effect.gen(function* () {
      process.env["DUMP_SESSION_KEYS"] = "/tmp/keys"
      yield* Effect.addFinalizer(() =>
        Effect.sync(() => {
          delete process.env["DUMP_SESSION_KEYS"]
        })
      )
      expect(yield* Effect.flip(makeHost())).toMatchObject({ code: "session_keys_dumped" })
    })
  )
})

const Asked = Schema.Struct({ id: Schema.String, tag: Schema.String })

/** As it was read when a question for evidence could name nobody. */
const OlderQuestion = Schema.Struct({
  id: Schema.String,
  tag: Schema.Literal("MembershipEvidence"),
  payload: Schema.Struct({})
})

/** Looks again in every turn of the event loop; the test's own timeout ends it. */
const until = (condition: () => boolean): Effect.Effect<void> =>
  Effect.async((resume) => {
    let live = true
    const look = () => {
      if (condition()) resume(Effect.void)
      else if (live) setImmediate(look)
    }
    look()
    return Effect.sync(() => {
      live = false
    })
  })
