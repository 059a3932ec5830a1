/**
 * The mesh thread of a program's node: what breaks it, and what does not break with it. Nodes of
 * programs are in this process, the host's is a process of its own.
 */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { BroadcastChannel } from "node:worker_threads"
import { HttpClient, HttpServer, HttpServerResponse } from "@effect/platform"
import { Cause, Effect, Exit, Fiber, HashMap, Layer, Logger, LogLevel, Scope } from "effect"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { MeshCaller } from "../../src/api/MeshCaller.ts"
import * as MeshHttpClient from "../../src/api/MeshHttpClient.ts"
import * as MeshHttpServer from "../../src/api/MeshHttpServer.ts"
import { MeshProgram } from "../../src/api/MeshProgram.ts"
import type { NodeConfigInput } from "../../src/config/NodeConfig.ts"
import { ServiceName } from "../../src/model/Names.ts"
import { embeddedConfig, untilMet } from "../../src/node/Embedded.ts"
import { runEmbedded } from "../../src/node/EmbeddedNode.ts"
import type { ProgramNode, RunningNode } from "../../src/node/RunningNode.ts"
import { SkeinNode } from "../../src/SkeinNode.ts"
import { type App, httpApp } from "../fixtures/Apps.ts"
import type { Failing } from "../fixtures/FaultyMeshThread.ts"
import { type Host, TestMesh } from "../fixtures/Mesh.ts"
import { run, stopAll, until } from "../fixtures/Processes.ts"
import { program } from "../fixtures/Programs.ts"

const mesh = new TestMesh()
const directory = mkdtempSync(join(tmpdir(), "skein-mesh-thread-"))
const scopes: Array<Scope.CloseableScope> = []
let host: Host
let onHost: App
let onProgram: App

interface Line {
  readonly level: string
  readonly text: string
  readonly annotations: Readonly<Record<string, unknown>>
}
const lines: Array<Line> = []
const log = Logger.replace(
  Logger.defaultLogger,
  Logger.make(({ annotations, cause, logLevel, message }) => {
    const text = [message, Cause.isEmpty(cause) ? "" : Cause.pretty(cause)].flat().join(" ")
    const named = Object.fromEntries(HashMap.toEntries(annotations))
    lines.push({ level: logLevel.label, text, annotations: named })
  })
)

const file = new URL("../fixtures/FaultyMeshThread.ts", import.meta.url)
const fail = (dataDir: string, failing: Failing): void => {
  const channel = new BroadcastChannel(dataDir)
  channel.postMessage(failing)
  channel.close()
}

/** A node of a program here; it ends with the file. */
const embed = async (name: string, rest: Partial<NodeConfigInput> = {}, heap = 512) => {
  const dataDir = join(directory, name)
  const scope = Effect.runSync(Scope.make())
  scopes.push(scope)
  const join_ = await host.invite("--services", "*")
  const config = embeddedConfig({ node: { name, dataDir }, ...rest })
  const node = await Effect.runPromise(
    runEmbedded({ config, join: join_, beside: "named" }, { file, heap }).pipe(
      Effect.tap(untilMet),
      Scope.extend(scope),
      Effect.provide(log)
    )
  )
  return { node, dataDir, close: () => Effect.runPromise(Scope.close(scope, Exit.void)) }
}

const call = (node: RunningNode, service: string): Promise<string> =>
  HttpClient.HttpClient.pipe(
    Effect.flatMap((client) => client.get(`http://${service}.mesh/`)),
    Effect.flatMap(({ text }) => text),
    Effect.provide(MeshHttpClient.layer),
    Effect.provideService(MeshCaller, node),
    Effect.runPromise
  )

/** By the program itself, with no port; answers how to end it. */
const serve = async (node: ProgramNode, service: string): Promise<() => Promise<void>> => {
  const scope = Effect.runSync(Scope.make())
  const served = HttpServer.serve(HttpServerResponse.text("by-the-program")).pipe(
    Layer.provide(MeshHttpServer.layer(service)),
    Layer.provide(Layer.succeed(MeshProgram, node.programs))
  )
  await Effect.runPromise(Layer.buildWithScope(served, scope))
  return () => Effect.runPromise(Scope.close(scope, Exit.void))
}

/** From the host's proxy. */
const fromHost = async (service: string): Promise<string> => {
  const { stdout } = await run(program("curl"), [
    ...["-sS", "--max-time", "10", "-x", host.proxy, `http://${service}.mesh/`]
  ])
  return stdout
}

const answered = (service: string, text: string) =>
  until(`${service} answers the host`, async () =>
    (await fromHost(service)).includes(text) ? true : undefined
  )

beforeAll(async () => {
  onHost = await httpApp("on-the-host")
  onProgram = await httpApp("on-the-program")
  host = await mesh.first("host-a", { services: [{ name: "stock", address: onHost.address }] })
})

afterAll(async () => {
  for (const scope of scopes) await Effect.runPromise(Scope.close(scope, Exit.void))
  await mesh.stop()
  await stopAll()
  await Promise.all([onHost.close(), onProgram.close()])
  rmSync(directory, { recursive: true, force: true })
})

describe("a mesh thread that crashes", () => {
  it.each(["crash", "memory"] as const)("(%s) is started again, and calls go on", async (kind) => {
    const name = `program-${kind}`
    const service = `orders-${kind}`
    const offered = [{ name: service, address: onProgram.address }]
    const rest = { services: offered, outbound: { http: "127.0.0.1:0" } }
    const { node, dataDir } = await embed(name, rest, 128)
    await Effect.runPromise(node.awaitService(ServiceName.make("stock")))
    expect(await call(node, "stock")).toContain("on-the-host")
    await answered(service, "on-the-program")
    const served = await serve(node, `served-${kind}`)
    await answered(`served-${kind}`, "by-the-program")
    const { listening, peer, proxy } = node

    fail(dataDir, { kind })
    const crash = await until("word of the crash", () =>
      lines.find(({ text }) => text.includes(`the mesh thread of ${name} has ended`))
    )
    expect(crash.level).toBe("ERROR")
    expect(crash.text).toContain(kind === "crash" ? "as the test has asked" : "memory")
    // There is none now, or one that has only just begun.
    expect(await call(node, "stock")).toContain("on-the-host")
    expect(await fromHost(service)).toContain("on-the-program")
    expect(await fromHost(`served-${kind}`)).toContain("by-the-program")

    // Asked of whichever life can answer.
    const status = await Effect.runPromise(node.source.status)
    expect(status).toMatchObject({ node: name, peer, state: "serving" })
    expect([node.listening, node.proxy]).toEqual([listening, proxy])
    expect(await Effect.runPromise(node.source.metrics)).toMatch(
      /^skein_mesh_thread_restarts_total(\{[^}]*\})? 1$/m
    )
    await Effect.runPromise(node.ready)
    const [itself, ...others] = await Effect.runPromise(node.source.peers({ all: true }))
    expect(itself).toMatchObject({ node: name, self: true, sync: "synced" })
    expect(others.map((one) => one.node)).toContain(host.name)
    expect(await call(node, "stock")).toContain("on-the-host")
    await answered(service, "on-the-program")
    // The life that has begun offers it, and is told when that ends.
    await answered(`served-${kind}`, "by-the-program")
    await served()
    await answered(`served-${kind}`, "no_healthy_endpoint")
    const { stdout } = await run(program("curl"), [
      ...["-sS", "--max-time", "10", "-x", node.proxy ?? "", "http://stock.mesh/"]
    ])
    expect(stdout).toContain("on-the-host")
    // What was counted before is counted still: a crash of the mesh thread loses no call.
    const services = await Effect.runPromise(node.source.services)
    expect(services.find((one) => one.name === "stock")?.success).toBe(1)
    await until("the host sees it alive", async () => {
      const members = await host.api("members")
      const alive = expect.objectContaining({ node: name, state: "alive" })
      expect(members).toEqual(expect.arrayContaining([alive]))
      return true
    })
  })
})

describe("a mesh thread that stalls", () => {
  it("delays no call", async () => {
    const { node, dataDir } = await embed("program-slow", {
      services: [{ name: "slow", address: onProgram.address }]
    })
    await Effect.runPromise(node.awaitService(ServiceName.make("stock")))
    await call(node, "stock")
    await answered("slow", "on-the-program")
    const gate = new Int32Array(new SharedArrayBuffer(4))
    fail(dataDir, { kind: "stall", until: gate })
    // It hears of that in a moment, and then answers nothing more.
    await until("the stall", async () => {
      const asked = Effect.timeoutOption(node.source.status, "500 millis")
      return (await Effect.runPromise(asked))._tag === "None" ? true : undefined
    })
    let isAnswered = false
    const status = Effect.runPromise(node.source.status).finally(() => {
      isAnswered = true
    })
    for (let i = 0; i < 20; i++) expect(await call(node, "stock")).toContain("on-the-host")
    expect(await fromHost("slow")).toContain("on-the-program")
    expect(isAnswered).toBe(false)
    Atomics.store(gate, 0, 1)
    Atomics.notify(gate, 0)
    expect(await status).toMatchObject({ node: "program-slow", state: "serving" })
  })
})

describe("a program that stalls", () => {
  it("for 3 s is suspected by nobody", async () => {
    const { node } = await embed("program-busy")
    const seen = async () => {
      const members = await host.api("members")
      const rows: ReadonlyArray<{ node: string; state: string; incarnation: number }> =
        Array.isArray(members) ? members : []
      return rows.find((row) => row.node === node.name)
    }
    const before = await until("the host sees it", seen)
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 3_000)
    // Whoever is suspected has to answer with a higher incarnation.
    const { incarnation } = before
    const after = await seen()
    const accusers = (await Effect.runPromise(node.source.metrics)).match(
      /^skein_membership_accusations_total.*$/gm
    )
    expect(after, `accused by ${accusers}`).toMatchObject({ incarnation, state: "alive" })
  })
})

describe("the data directory", () => {
  it("is one node's, also within a program", async () => {
    const { node, dataDir, close } = await embed("program-one")
    const again = Effect.flip(
      Effect.provide(Effect.void, SkeinNode.layer({ node: { dataDir } })).pipe(Effect.provide(log))
    )
    expect(await Effect.runPromise(again)).toMatchObject({ _tag: "StartError", code: "locked" })
    await close()
    // It is free again, and the node who it was.
    const peer = SkeinNode.pipe(
      Effect.map(({ peer }) => peer),
      Effect.provide(SkeinNode.layer({ node: { dataDir } })),
      Effect.provide(log)
    )
    expect(await Effect.runPromise(peer)).toBe(node.peer)
  })
})

describe("a start", () => {
  it("that fails says why, with the code of what failed", async () => {
    const { node } = await embed("program-first")
    const port = Number(/\/tcp\/(\d+)/.exec(node.listening[0] ?? "")?.[1])
    const failed = async (config: NodeConfigInput, join_?: string) =>
      Effect.runPromise(
        Effect.flip(Effect.provide(Effect.void, SkeinNode.layer(config, { join: join_ })))
      )
    const dataDir = join(directory, "program-second")
    expect(await failed({ node: { dataDir } }, "nonsense")).toMatchObject({ code: "not_a_token" })
    const listen = [`/ip4/0.0.0.0/tcp/${port}`]
    const token = await host.invite()
    expect(await failed({ node: { dataDir, listen } }, token)).toMatchObject({
      code: "port_in_use",
      message: expect.stringContaining(String(port))
    })
  })

  it("that is interrupted ends its thread, and gives the directory free", async () => {
    const dataDir = join(directory, "program-third")
    const token = await host.invite()
    const layer = SkeinNode.layer({ node: { dataDir } }, { join: token })
    const starting = Effect.runFork(Effect.provide(Effect.never, layer).pipe(Effect.provide(log)))
    await until("its first word", () =>
      lines.find(({ text }) => text.startsWith("joining mesh")) ? true : undefined
    )
    const exit = await Effect.runPromise(Fiber.interrupt(starting))
    expect(Exit.isInterrupted(exit)).toBe(true)
    const name = Effect.map(SkeinNode, ({ name }) => name)
    expect(await Effect.runPromise(Effect.provide(name, layer).pipe(Effect.provide(log)))).not.toBe(
      ""
    )
  })
})

describe("what the mesh thread logs", () => {
  it("is in the program's log, by its level", async () => {
    lines.length = 0
    const { close } = await embed("program-talker")
    expect(lines).toContainEqual({
      level: "INFO",
      text: expect.stringContaining("joining mesh"),
      annotations: {}
    })
    expect(lines.some(({ level }) => level === "DEBUG")).toBe(false)
    await close()
    lines.length = 0
    const dataDir = join(directory, "program-talker")
    await Effect.provide(
      Effect.void,
      SkeinNode.layer({ node: { dataDir, name: "another-name" } })
    ).pipe(Logger.withMinimumLogLevel(LogLevel.Debug), Effect.provide(log), Effect.runPromise)
    expect(lines).toContainEqual(
      expect.objectContaining({ level: "WARN", text: expect.stringContaining("another-name") })
    )
  })
})
