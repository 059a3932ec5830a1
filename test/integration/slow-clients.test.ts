/** Slow clients, and requests that are slow by their nature, cost other people's requests nothing. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import { connect, createServer as createTcpServer, type Server, type Socket } from "node:net"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { type Host, TestMesh } from "../fixtures/Mesh.ts"
import { freePort, run, stopAll, until } from "../fixtures/Processes.ts"
import { program } from "../fixtures/Programs.ts"

const mesh = new TestMesh()
const servers: Array<Server> = []
const tcpPort = await freePort()
let a: Host
/** The program fails what it is asked while this is set. */
let failing = false
/** Whether the TCP program resets who connects. */
let resetting = false
const polls: Array<ServerResponse> = []

const answer = (request: IncomingMessage, response: ServerResponse): void => {
  request.resume()
  request.on("end", () => {
    response.statusCode = failing ? 500 : 200
    if (request.url === "/poll") polls.push(response)
    else response.end("ok\n")
  })
}

const listening = async (server: Server): Promise<number> => {
  const port = await freePort()
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve))
  return port
}

const get = async (service: string): Promise<string> => {
  const { stdout } = await run(program("curl"), [
    ...["-sS", "-o", "/dev/null", "-w", "%{http_code}", "--max-time", "10"],
    ...["-x", a.proxy, `http://${service}.mesh/`]
  ])
  return stdout
}

/** Sends a POST of 8 bytes, a byte each so many milliseconds; what it was answered. */
const drip = (service: string, every: number): Promise<string> =>
  new Promise((resolve) => {
    const [host = "", port] = a.proxy.split(":")
    const socket = connect({ host, port: Number(port) })
    let text = ""
    let left = 8
    const timer = setInterval(() => {
      if (left-- > 0) socket.write("x")
      else clearInterval(timer)
    }, every)
    const finish = () => {
      clearInterval(timer)
      socket.destroy()
      resolve(text)
    }
    socket.on("error", () => undefined)
    socket.on("close", finish)
    socket.on("data", (chunk) => {
      text += chunk.toString("latin1")
      if (/ok\n|\}\n/.test(text)) finish()
    })
    socket.write(`POST / HTTP/1.1\r\nhost: ${service}.mesh\r\ncontent-length: 8\r\n\r\n`)
  })

const breaker = async (service: string): Promise<unknown> => {
  const rows = await a.api(`services/${service}/endpoints`)
  return Array.isArray(rows) ? rows[0].breaker : undefined
}

/** Until the circuit is open, and then until it may be probed. */
const openCircuit = async (service: string, fail: () => Promise<unknown>): Promise<void> => {
  await until("the circuit is open", async () => {
    await fail()
    return (await breaker(service)) === "open" ? true : undefined
  })
}

beforeAll(async () => {
  const port = await listening(createServer(answer))
  const tcp = await listening(
    createTcpServer((socket: Socket) => {
      socket.on("error", () => undefined)
      // Does not speak first.
      if (resetting) socket.resetAndDestroy()
      else socket.on("data", () => socket.write("echo\n"))
    })
  )
  a = await mesh.first("host-a", {
    policies: {
      "by-try": { timeout: { perTry: "300ms" } },
      "by-request": { timeout: { request: "300ms" } },
      "by-idle": { timeout: { idle: "300ms" } }
    },
    upstreams: [{ service: "quiet", listen: `127.0.0.1:${tcpPort}`, protocol: "tcp" }]
  })
  const names = ["by-try", "by-request", "by-idle", "polled"]
  await mesh.join("host-b", {
    services: [
      ...names.map((name) => ({ name, address: `127.0.0.1:${port}` })),
      { name: "quiet", address: `127.0.0.1:${tcp}`, protocol: "tcp" }
    ]
  })
  for (const name of names) {
    await until(`${name} answers`, async () => ((await get(name)) === "200" ? true : undefined))
  }
})

afterAll(async () => {
  await mesh.stop()
  for (const server of servers) server.close()
  await stopAll()
})

describe("clients that drip their uploads", () => {
  it("are waited for under timeout.perTry, and open no circuit", async () => {
    const answers = await Promise.all(Array.from({ length: 8 }, () => drip("by-try", 100)))
    for (const text of answers) expect(text).toMatch(/^HTTP\/1.1 200 /)
    expect(await get("by-try")).toBe("200")
  })

  it.each([
    ["by-request", 100],
    ["by-idle", 500]
  ])("%s: are told so, with 408, and open no circuit", async (service, every) => {
    const answers = await Promise.all(Array.from({ length: 8 }, () => drip(service, every)))
    for (const text of answers) {
      expect(text).toMatch(/^HTTP\/1.1 408 [\s\S]*skein-error: client_timeout\r\n/)
      expect(text).toMatch(/connection: close\r\n/)
    }
    expect(await get(service)).toBe("200")
    expect(await breaker(service)).toBe("closed")
  })
})

describe("a half-open circuit", () => {
  it("is not held captive by a probe that is a long poll", async () => {
    failing = true
    await openCircuit("polled", () => get("polled"))
    failing = false
    // The poll is whichever request gets through first.
    const poll = until("the poll is let through", async () => {
      const { stdout } = await run(program("curl"), [
        ...["-sS", "-o", "/dev/null", "-w", "%{http_code}", "--max-time", "30", "-x", a.proxy],
        "http://polled.mesh/poll"
      ])
      return stdout.startsWith("503") ? undefined : stdout
    })
    await until("the program has the poll", () => (polls.length > 0 ? true : undefined))
    await until("somebody else is served", async () =>
      (await get("polled")) === "200" ? true : undefined
    )
    expect(polls).toHaveLength(1)
    expect(polls[0]?.writableEnded).toBe(false)
    polls[0]?.end("late\n")
    expect(await poll).toBe("200")
  })

  it("of a TCP program that does not speak first is closed when that accepts", async () => {
    resetting = true
    const once = () =>
      new Promise<void>((resolve) => {
        const socket = connect(tcpPort, "127.0.0.1")
        socket.on("error", () => undefined)
        socket.on("close", () => resolve())
        socket.write("hello\n")
      })
    await openCircuit("quiet", once)
    resetting = false
    const silent: Array<Socket> = []
    await until("the circuit is closed", async () => {
      const socket = connect(tcpPort, "127.0.0.1")
      socket.on("error", () => undefined)
      silent.push(socket)
      return (await breaker("quiet")) === "closed" ? true : undefined
    })
    for (const socket of silent) socket.destroy()
  })
})
