/** The time limits of a policy between programs that stall: who is told what, and who is let go. */
import { type IncomingMessage, request, type ServerResponse } from "node:http"
import { connect, createServer, type Server, type Socket } from "node:net"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { type App, httpApp } from "../fixtures/Apps.ts"
import { type Host, TestMesh } from "../fixtures/Mesh.ts"
import { freePort, run, stopAll, until } from "../fixtures/Processes.ts"
import { program } from "../fixtures/Programs.ts"

/** `timeout.idle` and `timeout.tcpIdle`, in milliseconds. */
const idle = 1_000
/** Pause of what drips: far less, so that a machine that stalls in between makes no difference. */
const drop = idle / 10

const mesh = new TestMesh()
const apps: Array<App> = []
const tunnels = new Set<Socket>()
let quiet: Server
let a: Host
let tcpPort: number
/** Exchanges that the stalling program saw cut short. */
let cutShort = 0
let slowAsked = 0

const curl = (...args: ReadonlyArray<string>) =>
  run(program("curl"), ["-sS", "-i", "--max-time", "20", "-x", a.proxy, ...args])

/** Every path stalls in another way. */
const stall = ({ url }: IncomingMessage, response: ServerResponse): void => {
  response.on("close", () => {
    if (!response.writableFinished) cutShort++
  })
  if (url === "/head") return
  response.write("begun\n")
  if (url === "/body") return
  let left = 20
  const drip = setInterval(() => {
    if (--left > 0) return void response.write("more\n")
    clearInterval(drip)
    response.end("whole\n")
  }, drop)
  response.on("close", () => clearInterval(drip))
}

/** One more of the exchanges the program had begun was cut short. */
const letGo = async (act: () => Promise<void>): Promise<void> => {
  const before = cutShort
  await act()
  await until("the program is let go", () => (cutShort > before ? true : undefined), 5)
}

beforeAll(async () => {
  const stalling = await httpApp("stalling", (request_, response) => stall(request_, response))
  const slow = await httpApp("slow", (_request, response) => {
    slowAsked++
    const timer = setTimeout(() => response.end('{"app":"slow"}'), 5_000)
    response.on("close", () => clearTimeout(timer))
  })
  const good = await httpApp("good")
  apps.push(stalling, slow, good)
  quiet = createServer((socket) => {
    tunnels.add(socket)
    socket.on("close", () => tunnels.delete(socket))
    socket.on("error", () => undefined)
    // Answers what it is sent, and says nothing by itself.
    socket.pipe(socket)
  })
  const quietPort = await freePort()
  await new Promise<void>((resolve) => quiet.listen(quietPort, "127.0.0.1", resolve))
  tcpPort = await freePort()
  a = await mesh.first("host-a", {
    upstreams: [{ service: "quiet", listen: `127.0.0.1:${tcpPort}`, protocol: "tcp" }],
    policies: {
      stalling: { timeout: { idle: `${idle}ms` }, retry: "off", breaker: "off", ejection: "off" },
      total: {
        timeout: { request: "1s", perTry: "400ms" },
        retry: { attempts: 5, on: ["timeout"] }
      },
      mixed: {
        timeout: { perTry: "1s", request: "15s" },
        retry: { attempts: 1, on: ["timeout"], budget: { minPerSecond: 100 } },
        breaker: "off",
        ejection: "off",
        balance: { kind: "round_robin" }
      },
      quiet: { timeout: { tcpIdle: `${idle}ms` } }
    }
  })
  await mesh.join("host-b", {
    services: [
      { name: "stalling", address: stalling.address },
      { name: "total", address: slow.address },
      { name: "mixed", addresses: [slow.address, good.address] },
      { name: "quiet", address: `127.0.0.1:${quietPort}`, protocol: "tcp" }
    ]
  })
  await until("host-a knows the services", async () =>
    JSON.stringify(await a.api("services")).includes("quiet") ? true : undefined
  )
})

afterAll(async () => {
  await mesh.stop()
  for (const socket of tunnels) socket.destroy()
  await new Promise((resolve) => quiet.close(resolve))
  await Promise.all(apps.map((app) => app.close()))
  await stopAll()
})

describe("timeout.idle", () => {
  it("a program that never answers: 504 that names the limit, and the program is let go", () =>
    letGo(async () => {
      const { stdout } = await curl("http://stalling.mesh/head")
      expect(stdout).toMatch(/^HTTP\/1.1 504/)
      expect(stdout).toMatch(/skein-error: upstream_timeout/i)
      expect(stdout).toContain("timeout.idle")
    }))

  it("a response that stalls half-way: the client sees that it is not whole", () =>
    letGo(async () => {
      const { code, stdout } = await curl("http://stalling.mesh/body")
      expect(stdout).toContain("begun")
      // "Transfer closed with outstanding read data remaining", or a reset.
      expect([18, 56]).toContain(code)
    }))

  it("a response that takes twice as long, but drips: whole", async () => {
    const { code, stdout } = await curl("http://stalling.mesh/drip")
    expect(code).toBe(0)
    expect(stdout).toMatch(/^HTTP\/1.1 200/)
    expect(stdout).toContain("whole")
  })

  it("a client that stops sending its body: told so, and nothing waits for it", async () => {
    const [host, port] = a.proxy.split(":")
    const answer = await new Promise<{ status: number | undefined; code: unknown }>(
      (resolve, reject) => {
        const sent = request(
          {
            host,
            port,
            method: "POST",
            path: "http://stalling.mesh/upload",
            headers: { "content-length": 100 }
          },
          ({ statusCode, headers }) => resolve({ status: statusCode, code: headers["skein-error"] })
        )
        sent.on("error", reject)
        sent.write("only this")
      }
    )
    expect(answer).toEqual({ status: 408, code: "client_timeout" })
  })
})

describe("timeout.tcpIdle, through a fixed local port", () => {
  it("a tunnel in which nothing moves is reset at both ends", async () => {
    const ended = await new Promise<string>((resolve) => {
      const socket = connect(tcpPort, "127.0.0.1")
      socket.on("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? ""))
      socket.on("end", () => resolve("end"))
      socket.write("hello")
    })
    expect(ended).toBe("ECONNRESET")
    await until("the program is let go", () => (tunnels.size === 0 ? true : undefined), 5)
  })

  it("one in which a byte moves now and then lives on", async () => {
    const socket = connect(tcpPort, "127.0.0.1")
    const turns = 20
    const received = await new Promise<number>((resolve, reject) => {
      let count = 0
      socket.on("error", reject)
      socket.on("connect", () => socket.write("x"))
      socket.on("data", () => {
        if (++count === turns) resolve(count)
        else setTimeout(() => socket.write("x"), drop)
      })
    })
    expect(received).toBe(turns)
    socket.destroy()
  })
})

describe("timeout.request and timeout.perTry", () => {
  it("the total limit includes all attempts: one 504, whatever retry would still allow", async () => {
    const before = slowAsked
    const { stdout } = await curl("http://total.mesh/")
    expect(stdout).toMatch(/^HTTP\/1.1 504/)
    expect(stdout).toContain("timeout.request")
    // At 0, 400 and 800 ms; a fourth and two more would have been allowed.
    expect(slowAsked - before).toBeGreaterThanOrEqual(1)
    expect(slowAsked - before).toBeLessThanOrEqual(3)
  })

  it("an attempt that takes too long is repeated at the other endpoint, and nobody notices", async () => {
    const before = slowAsked
    for (let i = 0; i < 6; i++) {
      const { stdout } = await curl("http://mixed.mesh/")
      expect(stdout).toMatch(/^HTTP\/1.1 200/)
      expect(stdout).toContain('"app":"good"')
    }
    expect(slowAsked).toBeGreaterThan(before)
  })
})
