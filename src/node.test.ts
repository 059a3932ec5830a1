import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, Either, Layer } from "effect"
import { describe, expect, it } from "vitest"
import { exitCodeOf } from "./cli/CommandFailed.ts"
import { makeNodeConfig, type NodeConfigInput } from "./config/NodeConfig.ts"
import { Supervisor, SupervisorBroken } from "./mesh/actor/Supervisor.ts"
import { initMesh, loadOrCreateNodeKey, saveIdentity } from "./mesh/keys/DataDir.ts"
import { enrol } from "./mesh/trust/FoundMesh.ts"
import type { Grant } from "./mesh/trust/Grant.ts"
import { parseInvite } from "./mesh/trust/Invite.ts"
import { maxDepth } from "./mesh/trust/SignedChain.ts"
import { generateSigningKey } from "./mesh/trust/SigningKey.ts"
import { NodeName, ServiceName } from "./model/Names.ts"
import { saveBootstrap } from "./node/Bootstrap.ts"
import { runNode, runSupervised } from "./node.ts"
import { freePort } from "./testing/InboundFixture.ts"

const directory = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "skein-node-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true }))
)

const config = (name: string, dataDir: string, rest: Partial<NodeConfigInput> = {}) =>
  makeNodeConfig({
    node: { name, dataDir, listen: ["/ip4/127.0.0.1/tcp/0"] },
    admin: "127.0.0.1:0",
    outbound: { http: "off" },
    ...rest
  })

describe("a node", () => {
  it("that slept past the end of its certificate starts, and is renewed by the first it meets", async () => {
    const payments = ServiceName.make("payments")
    const test = Effect.gen(function* () {
      const long = Date.now() - 3 * 86_400_000
      const [one, two] = [yield* directory, yield* directory]
      const founder = yield* initMesh({
        dataDir: one,
        meshName: "test",
        nodeName: NodeName.make("host-a"),
        now: long
      })
      const sleeper = Either.getOrThrow(
        enrol(founder, {
          privateKey: yield* loadOrCreateNodeKey(two),
          name: NodeName.make("host-b"),
          grant: { services: ["payments"], capabilities: [] },
          now: long
        })
      )
      yield* saveIdentity(two, sleeper)
      const a = yield* runNode({ config: config("host-a", one) })
      yield* saveBootstrap(
        two,
        a.addresses.map((address) => `${address}/p2p/${a.peer}`)
      )
      const services = [{ name: payments, address: "127.0.0.1:9" }]
      const b = yield* runNode({ config: config("host-b", two, { services }) })
      // Seen by the other node only once its record carries a certificate that counts.
      yield* a.awaitService(payments)
      const { certificate } = yield* b.source.status
      expect(certificate.expiresAt).toBeGreaterThan(Date.now())
    })
    await Effect.runPromise(Effect.scoped(test))
  })

  it("that is new offers nothing before it has met the mesh, whose rules it does not know", async () => {
    const payments = ServiceName.make("payments")
    const test = Effect.gen(function* () {
      const [one, two] = [yield* directory, yield* directory]
      const now = Date.now()
      const founder = yield* initMesh({
        ...{ dataDir: one, meshName: "test", nodeName: NodeName.make("host-a"), now }
      })
      const newcomer = Either.getOrThrow(
        enrol(founder, {
          privateKey: yield* loadOrCreateNodeKey(two),
          name: NodeName.make("host-b"),
          grant: { services: ["payments"], capabilities: [] },
          now
        })
      )
      yield* saveIdentity(two, newcomer)
      const listen = [`/ip4/127.0.0.1/tcp/${yield* Effect.promise(freePort)}`]
      yield* saveBootstrap(two, [`${listen[0]}/p2p/${founder.peer}`])
      const services = [{ name: payments, address: "127.0.0.1:9" }]
      const b = yield* runNode({ config: config("host-b", two, { services }) })
      expect(yield* b.source.services).toEqual([])
      const node = { name: "host-a", dataDir: one, listen }
      const a = yield* runNode({ config: config("host-a", one, { node }) })
      yield* a.awaitService(payments)
      expect((yield* b.source.services).map(({ name }) => name)).toEqual([payments])
    })
    await Effect.runPromise(Effect.scoped(test))
  })

  it("ends as failed when what keeps its parts alive has failed", async () => {
    const supervisor = Layer.effect(
      Supervisor,
      Effect.map(Supervisor, (real) => ({
        ...{ supervise: real.supervise, actors: real.actors },
        broken: Effect.die(new SupervisorBroken("catalogue", new Error("by the test")))
      }))
    ).pipe(Layer.provide(Supervisor.layer()))
    const test = Effect.gen(function* () {
      const dataDir = yield* directory
      const nodeName = NodeName.make("host-a")
      yield* initMesh({ dataDir, meshName: "test", nodeName, now: Date.now() })
      const node = yield* runSupervised({ config: config("host-a", dataDir) })
      return yield* node.stopped
    }).pipe(Effect.provide(supervisor))
    expect(exitCodeOf(await Effect.runPromiseExit(Effect.scoped(test)))).toBe(1)
  })

  it("lists the instances of a service in the order of their ports", async () => {
    const test = Effect.gen(function* () {
      const dataDir = yield* directory
      const nodeName = NodeName.make("host-a")
      yield* initMesh({ dataDir, meshName: "test", nodeName, now: Date.now() })
      const addresses = Array.from({ length: 12 }, (_, n) => `127.0.0.1:${n + 9}`)
      const services = [{ name: "payments", addresses }]
      const payments = ServiceName.make("payments")
      const run = Effect.gen(function* () {
        const node = yield* runNode({ config: config("host-a", dataDir, { services }) })
        yield* node.awaitService(payments)
        return yield* node.source.endpoints(payments)
      })
      yield* Effect.scoped(run)
      // From what it knew when it stopped.
      const listed = yield* run
      expect(listed.map(({ endpoint }) => endpoint)).toEqual(addresses)
    })
    await Effect.runPromise(Effect.scoped(test))
  })

  it("prints no invite that nobody would accept, and says what to do", async () => {
    const test = Effect.gen(function* () {
      const [one, two] = [yield* directory, yield* directory]
      const name = NodeName.make("host-a")
      let deepest = yield* initMesh({
        dataDir: one,
        meshName: "test",
        nodeName: name,
        now: Date.now()
      })
      const grant: Grant = { services: ["*"], capabilities: ["admit"] }
      for (let n = 0; n < maxDepth; n++) {
        const privateKey =
          n === maxDepth - 1 ? yield* loadOrCreateNodeKey(two) : generateSigningKey()
        deepest = Either.getOrThrow(enrol(deepest, { privateKey, name, grant, now: Date.now() }))
      }
      yield* saveIdentity(two, deepest)
      const node = yield* runNode({ config: config("host-a", two) })
      const request = { services: ["*"], capabilities: ["admit"], ttlMs: 60_000 } as const
      const refused = yield* Effect.flip(node.source.invite(request))
      expect(refused).toMatchObject({
        code: "too_deep",
        message: expect.stringMatching(/^this node is 32 delegations from the root/),
        hint: expect.stringMatching(/--capabilities none.*root\.key/)
      })
      const plain = yield* node.source.invite({ ...request, capabilities: [] })
      expect(Either.isRight(parseInvite(plain.token, Date.now()))).toBe(true)
    })
    await Effect.runPromise(Effect.scoped(test))
  })
})
