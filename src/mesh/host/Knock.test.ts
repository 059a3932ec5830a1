import { createServer, type Server, type Socket } from "node:net"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Either } from "effect"
import { NodeName } from "../../model/Names.ts"
import { makeAdmission } from "../trust/Admission.ts"
import type { Refusal } from "../trust/AdmissionEncrypter.ts"
import { AdmittedPeers } from "../trust/AdmittedPeers.ts"
import { enrol, foundMesh } from "../trust/FoundMesh.ts"
import type { NodeIdentity } from "../trust/NodeIdentity.ts"
import { signingKeyFromSeed } from "../trust/SigningKey.ts"
import { makeMeshHost } from "./MeshHost.ts"

const now = 1_800_000_000_000
const key = (n: number) => signingKeyFromSeed(new Uint8Array(32).fill(n))
const found = (n: number) =>
  Either.getOrThrow(
    foundMesh({
      rootKey: key(n),
      privateKey: key(n + 1),
      meshName: "test",
      nodeName: NodeName.make(`first-${n}`),
      now
    })
  )
const first = found(1)
const member = (n: number): NodeIdentity =>
  Either.getOrThrow(
    enrol(first, {
      privateKey: key(n),
      name: NodeName.make(`node-${n}`),
      grant: { services: ["*"], capabilities: [] },
      now
    })
  )

const launch = (identity: NodeIdentity, listen = ["/ip4/127.0.0.1/tcp/0"]) =>
  Effect.gen(function* () {
    const admitted = new AdmittedPeers()
    const refusals: Array<Refusal> = []
    const host = yield* makeMeshHost({
      privateKey: identity.privateKey,
      mesh: identity.mesh,
      listen,
      encrypter: makeAdmission({
        identity: { current: identity },
        admitted,
        now: () => now,
        onRefused: (refusal) => refusals.push(refusal)
      })
    })
    const address = host.addresses()[0] ?? ""
    return { host, address, peer: host.peer, admitted, refusals }
  })
type Launched = Effect.Effect.Success<ReturnType<typeof launch>>

/** Undefined when it answered, else why not. */
const asked = (
  by: Launched,
  of: Pick<Launched, "peer" | "address">,
  allows?: (ip: string) => boolean
) =>
  Effect.promise(() =>
    by.host
      .knock(of.peer, of.address, { signal: AbortSignal.timeout(5_000), allows })
      .then(() => undefined)
      .catch((cause: unknown) => (cause instanceof Error ? cause.message : String(cause)))
  )

const connected = (a: Launched, b: Launched) =>
  Effect.promise(() => a.host.libp2p.dial(b.host.libp2p.getMultiaddrs()))

/** A program that is no node, and what it was told. */
const program = (answer: (socket: Socket) => void) =>
  Effect.acquireRelease(
    Effect.promise(
      () =>
        new Promise<{ server: Server; address: string; heard: () => Buffer; calls: () => number }>(
          (resolve) => {
            const chunks: Array<Buffer> = []
            let calls = 0
            const server = createServer((socket) => {
              calls++
              socket.on("data", (chunk) => chunks.push(chunk))
              socket.on("error", () => undefined)
              answer(socket)
            })
            server.listen(0, "127.0.0.1", () => {
              const bound = server.address()
              const port = typeof bound === "object" && bound !== null ? bound.port : 0
              resolve({
                server,
                address: `/ip4/127.0.0.1/tcp/${port}`,
                heard: () => Buffer.concat(chunks),
                calls: () => calls
              })
            })
          }
        )
    ),
    ({ server }) => Effect.sync(() => server.close())
  )

describe("a knock", () => {
  it.scopedLive("tells who answers, and leaves everything as it was on both sides", () =>
    Effect.gen(function* () {
      const a = yield* launch(first)
      const b = yield* launch(member(3))
      yield* connected(a, b)
      const before = a.host.libp2p.getConnections()
      for (let n = 0; n < 50; n++) expect(yield* asked(a, b)).toBeUndefined()
      expect(yield* asked(b, a)).toBeUndefined()
      expect(a.host.libp2p.getConnections()).toEqual(before)
      expect(before.map(({ status }) => status)).toEqual(["open"])
      expect([a.admitted.size, b.admitted.size]).toEqual([1, 1])
      expect([...a.refusals, ...b.refusals]).toEqual([])
    })
  )

  it.scopedLive("finds out when another node, of this mesh or not, answers there", () =>
    Effect.gen(function* () {
      const a = yield* launch(first)
      const b = yield* launch(member(3))
      const c = yield* launch(member(5))
      const stranger = yield* launch(found(9))
      yield* connected(a, b)
      expect(yield* asked(a, { ...b, address: c.address })).toMatch(/did not match|identity key/i)
      expect(yield* asked(a, { ...b, address: stranger.address })).toBeDefined()
      expect(yield* asked(a, { ...b, address: "/ip4/127.0.0.1/tcp/1" })).toMatch(/ECONNREFUSED/)
    })
  )

  it.scopedLive("is for peers that are connected: from others it is refused, and told", () =>
    Effect.gen(function* () {
      const a = yield* launch(first)
      const b = yield* launch(member(3))
      // Noise has proved who is there by then.
      expect(yield* asked(a, b)).toBeUndefined()
      yield* Effect.promise(() =>
        expect.poll(() => b.refusals).toMatchObject([{ code: "protocol" }])
      )
    })
  )

  it.scopedLive("says 36 bytes to a program that is no node, and hears nothing of its answer", () =>
    Effect.gen(function* () {
      const a = yield* launch(first)
      const b = yield* launch(member(3))
      const web = yield* program((socket) =>
        socket.once("data", () => socket.end("HTTP/1.1 400 Bad Request\r\n\r\nsecret"))
      )
      const silent = yield* program(() => undefined)
      const why = yield* asked(a, { ...b, address: web.address })
      expect(why).toBeDefined()
      expect(why).not.toContain("secret")
      expect(web.heard().toString("latin1")).toBe("\x13/multistream/1.0.0\n\x0f/skein/noise/3\n")
      const given = AbortSignal.timeout(100)
      const waited = yield* Effect.promise(() =>
        a.host
          .knock(b.peer, silent.address, { signal: given })
          .catch((cause: unknown) => String(cause))
      )
      expect(waited).toBeDefined()
      expect(given.aborted).toBe(true)
    })
  )

  it.scopedLive("does not dial an address that is not to be tried, whatever its name", () =>
    Effect.gen(function* () {
      const a = yield* launch(first)
      const b = yield* launch(member(3))
      const inner = yield* program((socket) => socket.end())
      const port = inner.address.split("/").at(-1)
      const why = yield* asked(
        a,
        { ...b, address: `/dns4/localhost/tcp/${port}` },
        (ip) => !ip.startsWith("127.")
      )
      expect(why).toBe("127.0.0.1 is not an address to be tried")
      // It has accepted by the time that one which is asked later has.
      const open = yield* asked(a, { ...b, address: `/dns4/localhost/tcp/${port}` })
      expect(open).toBeDefined()
      expect(inner.calls()).toBe(1)
    })
  )
})

describe("what is listened on", () => {
  it.scopedLive("is told apart from what others are told", () =>
    Effect.gen(function* () {
      const { host } = yield* launch(first, ["/ip4/0.0.0.0/tcp/0"])
      expect(host.listening()).toEqual([expect.stringMatching(/^\/ip4\/0\.0\.0\.0\/tcp\/\d+$/)])
      expect(host.addresses()).not.toContain(host.listening()[0])
      const port = host.listening()[0]?.split("/").at(-1)
      expect(host.answersAt(`/ip4/127.0.0.1/tcp/${port}`)).toBe(true)
      expect(host.answersAt("/ip4/127.0.0.1/tcp/1")).toBe(false)
      const behind = yield* makeMeshHost({
        privateKey: key(7),
        mesh: first.mesh,
        listen: ["/ip4/127.0.0.1/tcp/0"],
        announce: ["/dns4/a.example/tcp/4001"],
        encrypter: makeAdmission({
          identity: { current: first },
          admitted: new AdmittedPeers(),
          now: () => now
        })
      })
      expect(behind.addresses()).toEqual(["/dns4/a.example/tcp/4001"])
      expect(behind.listening()).toEqual([expect.stringMatching(/^\/ip4\/127\.0\.0\.1\/tcp\/\d+$/)])
    })
  )
})
