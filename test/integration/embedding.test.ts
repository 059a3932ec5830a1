/** A node in a program: its request plane in this thread, its mesh plane in one of its own. */
import { mkdtempSync, rmSync } from "node:fs"
import http from "node:http"
import net from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { HttpClient } from "@effect/platform"
import { Context, Effect, Exit, Layer } from "effect"
import { describe, expect, it } from "vitest"
import { MeshCaller } from "../../src/api/MeshCaller.ts"
import * as MeshHttpClient from "../../src/api/MeshHttpClient.ts"
import { hostNodeName, makeNodeConfig, type NodeConfigInput } from "../../src/config/NodeConfig.ts"
import { ServiceName } from "../../src/model/Names.ts"
import { initMesh } from "../../src/node/InitMesh.ts"
import type { RunningNode } from "../../src/node/RunningNode.ts"
import { runNode, SkeinNode } from "../../src/SkeinNode.ts"
import { startProgram } from "../../src/testing/InboundFixture.ts"
import { until } from "../fixtures/Processes.ts"

const directory = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "skein-program-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true }))
)

const config = (name: string, dataDir: string, rest: Partial<NodeConfigInput> = {}) =>
  makeNodeConfig({
    node: { name, dataDir, listen: ["/ip4/127.0.0.1/tcp/0"], threads: 0 },
    admin: "127.0.0.1:0",
    outbound: { http: "off" },
    ...rest
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
  const [dataDir, name] = [yield* directory, hostNodeName()]
  yield* initMesh({ dataDir, mesh: "test", name })
  const host = yield* runNode({ config: config(name, dataDir) })
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
