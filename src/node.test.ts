import { mkdtempSync, rmSync } from "node:fs"
import http from "node:http"
import net from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { HttpClient } from "@effect/platform"
import { Context, Effect, Either, Exit, Layer } from "effect"
import { describe, expect, it } from "vitest"
import { until } from "../test/fixtures/Processes.ts"
import { MeshCaller } from "./api/MeshCaller.ts"
import * as MeshHttpClient from "./api/MeshHttpClient.ts"
import { hostNodeName, makeNodeConfig, type NodeConfigInput } from "./config/NodeConfig.ts"
import { initMesh, loadOrCreateNodeKey, saveIdentity } from "./mesh/keys/DataDir.ts"
import { enrol } from "./mesh/trust/FoundMesh.ts"
import type { Grant } from "./mesh/trust/Grant.ts"
import { parseInvite } from "./mesh/trust/Invite.ts"
import { maxDepth } from "./mesh/trust/SignedChain.ts"
import { generateSigningKey } from "./mesh/trust/SigningKey.ts"
import { NodeName, ServiceName } from "./model/Names.ts"
import { saveBootstrap } from "./node/Bootstrap.ts"
import type { RunningNode } from "./node/RunningNode.ts"
import { runNode, SkeinNode } from "./node.ts"
import { startProgram } from "./testing/InboundFixture.ts"

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

/** Listens on the ports of a host's node, as far as nobody does already. */
const hostPortsTaken = Effect.forEach([4001, 4140, 4191], (port) =>
  Effect.acquireRelease(
    Effect.async<net.Server>((resume) => {
      const server = net.createServer()
      server.once("error", () => resume(Effect.succeed(server)))
      server.listen(port, "0.0.0.0", () => resume(Effect.succeed(server)))
    }),
    (server) => Effect.sync(() => server.close())
  )
)

const accepts = (multiaddr: string): Effect.Effect<boolean> =>
  Effect.async((resume) => {
    const [, , host = "", , port] = multiaddr.split("/")
    const socket = net.connect(Number(port), host)
    socket.once("connect", () => resume(Effect.succeed(true)))
    socket.once("error", () => resume(Effect.succeed(false)))
    return Effect.sync(() => socket.destroy())
  })

const call = (node: RunningNode) =>
  HttpClient.HttpClient.pipe(
    Effect.flatMap((client) => client.get("http://web.mesh/")),
    Effect.flatMap(({ text }) => text),
    Effect.provide(MeshHttpClient.layer),
    Effect.provideService(MeshCaller, node)
  )

/** The host's own node, the first of its mesh, with a token for others. */
const founded = Effect.gen(function* () {
  const [dataDir, nodeName] = [yield* directory, hostNodeName()]
  yield* initMesh({ dataDir, meshName: "test", nodeName, now: Date.now() })
  const host = yield* runNode({ config: config(nodeName, dataDir) })
  const grant = { services: ["*"], capabilities: [], ttlMs: 60_000 }
  const { token } = yield* host.source.invite(grant)
  return { host, token }
})

describe("a node in a program", () => {
  const failure = (layer: ReturnType<typeof SkeinNode.layer>) =>
    Effect.runPromise(Effect.flip(Effect.provide(Effect.void, layer)))

  it("runs beside the host's own and others with nothing said but where its keys are", async () => {
    const test = Effect.gen(function* () {
      yield* hostPortsTaken
      const web = yield* Effect.acquireRelease(
        Effect.promise(() => startProgram(http.createServer((_, response) => response.end("ok")))),
        ({ close }) => Effect.promise(close)
      )
      const { host, token } = yield* founded
      const embed = (rest: Partial<NodeConfigInput> = {}) =>
        Effect.gen(function* () {
          const dataDir = yield* directory
          const layer = SkeinNode.layer({ node: { dataDir }, ...rest }, { join: token })
          return Context.get(yield* Layer.build(layer), SkeinNode)
        })
      const one = yield* embed()
      const two = yield* embed({
        services: [{ name: "web", address: `127.0.0.1:${web.port}` }]
      })
      expect(new Set([host.name, one.name, two.name]).size).toBe(3)
      for (const { name, admin, proxy, addresses } of [one, two]) {
        expect(name).toMatch(new RegExp(`^${hostNodeName()}-[0-9a-f]{6}$`))
        expect([admin, proxy]).toEqual([undefined, undefined])
        // What it announces is where it listens.
        expect(addresses.length).toBeGreaterThan(0)
        for (const address of addresses)
          expect([address, yield* accepts(address)]).toEqual([address, true])
      }
      // At once: its layer is there when it has met the mesh.
      const late = yield* embed()
      expect(yield* Effect.exit(call(late))).toEqual(Exit.succeed("ok"))
      // Both ways: it calls others, and what it offers is called.
      const service = ServiceName.make("web")
      for (const caller of [host, one]) {
        yield* caller.awaitService(service)
        expect(yield* call(caller)).toBe("ok")
      }
    })
    await Effect.runPromise(Effect.scoped(test))
  })

  it("keeps its name, and needs no token, when it is started again", async () => {
    const test = Effect.gen(function* () {
      const { token } = yield* founded
      const dataDir = yield* directory
      const name = (join?: string) =>
        Effect.map(SkeinNode, ({ name }) => name).pipe(
          Effect.provide(SkeinNode.layer({ node: { dataDir } }, { join }))
        )
      const first = yield* name(token)
      expect(yield* name()).toBe(first)
    })
    await Effect.runPromise(Effect.scoped(test))
  })

  it("that leaves has left for the others, and one that stops is waited for", async () => {
    const test = Effect.gen(function* () {
      const { host, token } = yield* founded
      const states = () =>
        Effect.runPromise(
          Effect.map(host.source.members, (rows) =>
            Object.fromEntries(rows.map(({ node, state }) => [node, state]))
          )
        )
      const run = (name: string, end: (node: RunningNode) => Effect.Effect<void>) =>
        Effect.gen(function* () {
          const dataDir = yield* directory
          const layer = SkeinNode.layer({ node: { name, dataDir } }, { join: token })
          const node = Context.get(yield* Layer.build(layer), SkeinNode)
          yield* Effect.promise(() => until(`news of ${name}`, async () => (await states())[name]))
          yield* end(node)
        }).pipe(Effect.scoped)
      yield* run("goes", ({ leave, stopped }) => Effect.zipRight(leave, stopped))
      yield* run("stops", () => Effect.void)
      yield* Effect.promise(() =>
        until("news of both", async () => {
          const { goes, stops } = await states()
          return goes === "left" && stops === "dead" ? true : undefined
        })
      )
    })
    await Effect.runPromise(Effect.scoped(test))
  })

  it("with a config that is wrong is a StartError, not a defect", async () => {
    const failed = await failure(SkeinNode.layer({ admin: "nowhere" }))
    expect(failed).toMatchObject({ _tag: "StartError", code: "invalid_config" })
  })

  it("with neither identity nor token says how to get one", async () => {
    const failed = await failure(SkeinNode.layer({ node: { dataDir: "/nowhere/at/all" } }))
    expect(failed).toMatchObject({ _tag: "StartError", code: "no_identity" })
    expect(failed.message).toContain("{ join: token }")
  })

  it("takes unknown keys for the mistakes they are", async () => {
    const wrong = { node: { dataDr: "x" }, outbound: { htp: "off" } } as NodeConfigInput
    const { message } = await failure(SkeinNode.layer(wrong))
    expect(message).toContain("dataDr")
    expect(message).toContain("htp")
  })
})
