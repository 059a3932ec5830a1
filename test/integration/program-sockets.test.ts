/**
 * WebSockets of Effect programs without a port, attached and with a node of their own, on Node and on Deno:
 * clients that nobody here wrote open them through two hosts.
 */
import { mkdtempSync, rmSync } from "node:fs"
import http2 from "node:http2"
import { createRequire } from "node:module"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Socket } from "@effect/platform"
import { RpcClient, RpcSerialization } from "@effect/rpc"
import { Effect, Layer, Stream } from "effect"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { build, type Host, root, skein, TestMesh } from "../fixtures/Mesh.ts"
import { freePort, type Running, run, start, stopAll, until } from "../fixtures/Processes.ts"
import { program } from "../fixtures/Programs.ts"
import { Numbers } from "../fixtures/SocketNumbers.ts"

/** What is used of the client of `ws`, which has no types of its own. */
interface WsClient {
  on(event: "open" | "pong" | "error", listener: (data?: unknown) => void): void
  on(event: "close", listener: (code: number, reason: Buffer) => void): void
  on(event: "message", listener: (data: Buffer, isBinary: boolean) => void): void
  send(data: Buffer | string, done?: (error?: Error) => void): void
  ping(data: string): void
  pause(): void
  resume(): void
  close(code?: number, reason?: string): void
  terminate(): void
  readonly bufferedAmount: number
  readonly protocol: string
}
const require = createRequire(import.meta.url)
const { WebSocket: Ws }: { WebSocket: new (url: string, protocols?: string[]) => WsClient } =
  require("ws")

const mesh = new TestMesh()
const directory = mkdtempSync(join(tmpdir(), "skein-sockets-"))
const socket = `unix:${join(mesh.directory, "programs.sock")}`
const deno = join(root, "node_modules", ".bin", "deno")
const script = join(root, "test", "fixtures", "SocketProgram.ts")
const runtimes = { node: [process.execPath], deno: [deno, "run", "-A"] } as const
const services = ["attached-node", "attached-deno", "embedded-node", "embedded-deno"] as const
type Service = (typeof services)[number]

const ports = new Map<string, number>()
const running = new Map<string, Running>()
let a: Host
let b: Host

const url = (service: Service, path: string): string =>
  `ws://127.0.0.1:${ports.get(service)}${path}`

const curl = async (service: Service, path: string, ...args: ReadonlyArray<string>) =>
  (
    await run(program("curl"), [
      ...["-sS", "-i", "--max-time", "20", ...args],
      `http://127.0.0.1:${ports.get(service)}${path}`
    ])
  ).stdout

const begin = async (service: Service): Promise<Running> => {
  const [how = "", runtime = "node"] = service.split("-")
  const [command, ...args] = runtimes[runtime === "deno" ? "deno" : "node"]
  const where =
    how === "attached"
      ? ["attach", socket]
      : ["embed", await a.invite("--services", service), join(directory, service)]
  const child = start(command, [...args, script, service, ...where])
  running.set(service, child)
  await until(`${service} answers`, async () =>
    (await curl(service, "/who")).includes("host/host-a") ? true : undefined
  )
  return child
}

const child = (service: Service): Running => {
  const found = running.get(service)
  if (found === undefined) throw new Error(`${service} does not run`)
  return found
}

const ended = (service: Service, text: string) =>
  until(`${service} says that ${text}`, () =>
    child(service).output().includes(`socket ended: ${text}`) ? true : undefined
  )

const opened = (client: WsClient): Promise<WsClient> =>
  new Promise((resolve, reject) => {
    client.on("open", () => resolve(client))
    client.on("error", (error) => reject(error))
  })

const closing = (client: WsClient): Promise<readonly [code: number, reason: string]> =>
  new Promise((resolve) => client.on("close", (code, reason) => resolve([code, String(reason)])))

const message = (client: WsClient): Promise<Buffer> =>
  new Promise((resolve) => client.on("message", (data) => resolve(data)))

beforeAll(async () => {
  await build() // which is what the package's name means to the programs
  for (const service of services) ports.set(service, await freePort())
  a = await mesh.first("host-a", {
    upstreams: services.map((service) => ({
      service,
      listen: `127.0.0.1:${ports.get(service)}`,
      protocol: "http" as const
    }))
  })
  b = await mesh.join("host-b", {
    programs: { listen: socket },
    invite: ["--services", "attached-*"],
    drain: { deadline: "2s" }
  })
  for (const service of services) await begin(service)
})

afterAll(async () => {
  await mesh.stop()
  await stopAll()
  rmSync(directory, { recursive: true, force: true })
})

describe.each(services)("a WebSocket of %s", (service) => {
  it("is opened by the package ws, and echoes what it gets, however long", async () => {
    const client = await opened(new Ws(url(service, "/echo"), ["chat", "other"]))
    expect(client.protocol).toBe("chat")
    for (const text of [Buffer.from("hello"), Buffer.alloc(3 * 1024 * 1024, 7)]) {
      const answer = message(client)
      client.send(text)
      expect((await answer).equals(text)).toBe(true)
    }
    const pong = new Promise((resolve) => client.on("pong", resolve))
    client.ping("there?")
    expect(String(await pong)).toBe("there?")
    const closed = closing(client)
    client.close(4000, "enough")
    expect(await closed).toEqual([4000, "enough"])
    await ended(service, '{"_id":"Exit","_tag":"Failure"')
  })

  it("is opened by the runtime's own client, and closed by the program with its code", async () => {
    const client = new WebSocket(url(service, "/echo"))
    await new Promise((resolve) => client.addEventListener("open", resolve))
    const text = new Promise((resolve) =>
      client.addEventListener("message", ({ data }) => resolve(data), { once: true })
    )
    client.send("grüße")
    expect(await text).toBe("grüße")
    const closed = new Promise<CloseEvent>((resolve) => client.addEventListener("close", resolve))
    client.send("close, please")
    expect(await closed).toMatchObject({ code: 4001, reason: "done", wasClean: true })
  })

  it("is opened on a stream of HTTP/2", async () => {
    const session = http2.connect(`http://127.0.0.1:${ports.get(service)}`)
    await new Promise((resolve) => session.once("remoteSettings", resolve))
    const stream = session.request({
      ...{ ":method": "CONNECT", ":protocol": "websocket", ":scheme": "http", ":path": "/echo" },
      ...{ ":authority": `${service}.mesh`, "sec-websocket-version": "13" }
    })
    const head = await new Promise<http2.IncomingHttpHeaders>((resolve) =>
      stream.once("response", resolve)
    )
    expect(head).toMatchObject({ ":status": 200 })
    // Masked with nothing.
    const answer = new Promise<Buffer>((resolve) => stream.once("data", resolve))
    stream.write(Buffer.concat([Buffer.of(0x81, 0x82, 0, 0, 0, 0), Buffer.from("hi")]))
    expect((await answer).toString("latin1")).toBe("\x81\x02hi")
    const end = new Promise((resolve) => stream.once("end", resolve))
    stream.write(Buffer.of(0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8))
    await end
    stream.end()
    session.close()
  })

  it("carries the RPCs of an RpcServer, streams as well", async () => {
    const Protocol = RpcClient.layerProtocolSocket().pipe(
      Layer.provide(Socket.layerWebSocket(url(service, "/rpc"))),
      Layer.provide(Socket.layerWebSocketConstructorGlobal),
      Layer.provide(RpcSerialization.layerNdjson)
    )
    const calls = Effect.gen(function* () {
      const client = yield* RpcClient.make(Numbers)
      const sum = yield* client.Add({ a: 2, b: 3 })
      return [sum, yield* Stream.runSum(client.Count({ to: 1_000 }))]
    })
    const answers = await Effect.runPromise(
      calls.pipe(Effect.scoped, Effect.provide(Protocol), Effect.timeout("20 seconds"))
    )
    expect(answers).toEqual([5, 500_500])
  })

  it("is refused to who asks for none, or wrongly", async () => {
    expect(await curl(service, "/echo")).toMatch(/^HTTP\/1.1 400 /)
    const upgrade = ["-H", "Connection: Upgrade", "-H", "Upgrade: websocket"]
    const key = ["-H", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]
    const old = await curl(service, "/echo", ...upgrade, ...key, "-H", "Sec-WebSocket-Version: 7")
    expect(old).toMatch(/^HTTP\/1.1 400 /)
    expect(old).toMatch(/^sec-websocket-version: 13, 8\r$/im)
    expect(await curl(service, "/missing", ...upgrade, ...key)).toMatch(/^HTTP\/1.1 404 /)
    // Who does not take up what is asked for answers as if it were not.
    expect(await curl(service, "/who", ...upgrade, ...key)).toMatch(/^HTTP\/1.1 200 /)
  })

  it("hears of a client that is gone, whether or not it said so", async () => {
    const before = child(service).output().split("socket ended").length
    for (const leave of ["close", "terminate"] as const) {
      const client = await opened(new Ws(url(service, "/held")))
      client.send("never handled")
      client[leave]()
    }
    await until("both ends", () =>
      child(service).output().split("socket ended").length === before + 2 ? true : undefined
    )
  })
})

describe.each(["attached-node", "embedded-deno"] as const)("back-pressure at %s", (service) => {
  it("stops a program that writes faster than its client reads", async () => {
    const client = await opened(new Ws(url(service, "/flood")))
    client.pause()
    const [, sent] = await until(
      "the flood stops",
      () => /flooded (\d+) in/.exec(child(service).output()) ?? undefined
    )
    // Windows and sockets between the two, and no more: 64 KiB each.
    expect(Number(sent)).toBeLessThan(400)
    let bytes = 0
    const more = new Promise<void>((resolve) =>
      client.on("message", (data) => {
        bytes += data.length
        if (bytes > 16 * 1024 * 1024) resolve()
      })
    )
    client.resume()
    await more
    client.terminate()
  })

  it("stops a client that writes faster than its program handles", async () => {
    const client = await opened(new Ws(url(service, "/held")))
    let sent = 0
    const part = Buffer.alloc(64 * 1024)
    for (let i = 0; i < 1_000; i++) client.send(part, () => sent++)
    // All is quiet when nothing has left for a while.
    let last = -1
    await until("the client has to wait", async () => {
      if (sent === last && sent > 0) return true
      last = sent
      await new Promise((resolve) => setTimeout(resolve, 300))
      return undefined
    })
    expect(sent).toBeLessThan(500)
    client.terminate()
  })
})

describe("the end of a program", () => {
  it.each(["attached-deno", "embedded-node"] as const)(
    "closes the WebSockets of %s as going away, and their handlers end well",
    async (service) => {
      const client = await opened(new Ws(url(service, "/echo")))
      const closed = closing(client)
      const end = child(service).stop("SIGTERM")
      expect(await closed).toEqual([1001, "the program is ending"])
      expect(await end).toBe(0)
      expect(child(service).output()).toContain('socket ended: {"_id":"Exit","_tag":"Success"}')
    }
  )

  it.each(["attached-node", "embedded-deno"] as const)(
    "breaks off the WebSockets of %s when it is killed",
    async (service) => {
      const client = await opened(new Ws(url(service, "/echo")))
      const closed = closing(client)
      await child(service).stop("SIGKILL")
      expect((await closed)[0]).toBe(1006)
    }
  )

  it("leaves nothing in flight", async () => {
    for (const { admin } of [a, b]) {
      await until("no exchange runs", async () => {
        const text = await (await fetch(`http://${admin}/metrics`)).text()
        const gauges = text
          .split("\n")
          .filter((line) => line.startsWith("skein_requests_in_flight{"))
        expect(gauges).not.toEqual([])
        return gauges.every((line) => line.endsWith(" 0")) ? true : undefined
      })
    }
  })
})

describe("a node that drains", () => {
  it("has its programs' WebSockets go on, takes no further one, and they end as they would", async () => {
    const service = "attached-node"
    const program = await begin(service)
    const client = await opened(new Ws(url(service, "/echo")))
    const { code, stderr } = await skein("drain", "--no-wait", "--admin", b.admin)
    expect(stderr).toContain("draining: announced to")
    expect(code).toBe(0)
    await until("no further one is taken", async () =>
      (await curl(service, "/who")).includes("skein-error: no_healthy_endpoint") ? true : undefined
    )
    const refused = await opened(new Ws(url(service, "/echo"))).catch((error: unknown) => error)
    expect(String(refused)).toContain("Unexpected server response: 503")
    const echoed = message(client)
    client.send("still here")
    expect(String(await echoed)).toBe("still here")
    const closed = closing(client)
    const end = program.stop("SIGTERM")
    expect(await closed).toEqual([1001, "the program is ending"])
    expect(await end).toBe(0)
  })

  it("breaks off those that are open when it stops for good", async () => {
    expect(await b.stop()).toBe(0)
    await b.up()
    const service = "attached-node"
    const program = await begin(service)
    const client = await opened(new Ws(url(service, "/held")))
    const closed = closing(client)
    const stopped = b.stop()
    expect((await closed)[0]).toBe(1006)
    expect(await stopped).toBe(0)
    expect(program.child.exitCode).toBeNull()
  })
})
