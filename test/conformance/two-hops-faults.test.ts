/** What happens through both hops when a program, a client, a link or a node gives up half-way. */
import http from "node:http"
import net from "node:net"
import { afterEach, describe, expect, it } from "vitest"
import type { LinkLimits } from "../../src/request/wire/LinkOptions.ts"
import type { PolicyInput } from "../../src/schema/PolicySchema.ts"
import { Flood, freePort, rawProgram } from "../../src/testing/InboundFixture.ts"
import { payments, request, TwoHosts, turn } from "./TwoHosts.ts"

let mesh: TwoHosts
const start = async (policy: PolicyInput = {}, limits: Partial<LinkLimits> = {}) => {
  mesh = await new TwoHosts(policy, limits).start()
}
afterEach(async () => {
  const defects = mesh.hosts.flatMap((host) => host.defects)
  await mesh.stop()
  expect(defects).toEqual([])
})

/** A program that says nothing until the test has it say something. */
class Silent {
  readonly sockets: Array<net.Socket> = []
  closed = 0
  received = ""
  bytes = 0
  readonly server = net.createServer((socket) => {
    this.sockets.push(socket)
    socket.on("data", (chunk) => {
      this.bytes += chunk.length
      if (this.received.length < 100_000) this.received += chunk.toString("latin1")
    })
    socket.on("close", () => {
      this.closed++
    })
  })
  async asked(count = 1): Promise<net.Socket> {
    while (this.received.split("\r\n\r\n").length <= count) await turn()
    return this.sockets.at(-1)!
  }
}

const until = async (condition: () => boolean): Promise<void> => {
  while (!condition()) await turn()
}
const lastOutcome = () => mesh.a.observer.seen.at(-1)?.ends[0]?.outcome

describe("a client that goes away", () => {
  it.each(["end", "reset"] as const)("by %s while the program thinks frees all", async (how) => {
    await start()
    const program = new Silent()
    await mesh.offer(program.server)
    const client = mesh.client().send(request("GET"))
    await program.asked()
    if (how === "end") client.socket.end()
    else client.socket.resetAndDestroy()
    await until(() => program.closed === 1)
    await mesh.idle()
    expect(lastOutcome()).toMatchObject({ code: "client_gone" })
  })

  it("in the middle of its upload frees all", async () => {
    await start()
    const program = new Silent()
    await mesh.offer(program.server)
    const client = mesh.client().send(request("POST", "content-length: 10000000\r\n"))
    client.socket.write(Buffer.alloc(1_000_000))
    await until(() => program.bytes > 1_000_000)
    client.socket.destroy()
    await until(() => program.closed === 1)
    await mesh.idle()
  })

  it("after an upload that had to wait, while the program thinks, frees all", async () => {
    await start({}, { outbox: 16 * 1024 })
    const program = new Silent()
    await mesh.offer(program.server)
    const size = 150_000
    const client = mesh.client().send(request("POST", `content-length: ${size}\r\n`))
    client.socket.write(Buffer.alloc(size))
    await until(() => program.bytes > size)
    client.socket.destroy()
    await until(() => program.closed === 1)
    await mesh.idle()
    expect(lastOutcome()).toMatchObject({ code: "client_gone" })
  })

  it("in the middle of its download frees all", async () => {
    await start()
    const program = new Silent()
    await mesh.offer(program.server)
    const client = mesh.client().send(request("GET"))
    const socket = await program.asked()
    socket.write("HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\n")
    socket.write(Buffer.alloc(20_000_000))
    await until(() => client.bytes > 100_000)
    client.socket.pause()
    await turn()
    client.socket.destroy()
    await until(() => program.closed === 1)
    await mesh.idle()
  })
})

describe("a program", () => {
  it.each([
    ["content-length: 1000", "FIN"],
    ["content-length: 1000", "RST"],
    ["transfer-encoding: chunked", "FIN"],
    ["transfer-encoding: chunked", "RST"],
    ["x-until: close", "RST"]
  ])("that dies in its response (%s, %s) leaves it unfinished", async (framing, how) => {
    await start()
    const program = new Silent()
    await mesh.offer(program.server)
    const client = mesh.client().send(request("GET"))
    const socket = await program.asked()
    socket.write(
      `HTTP/1.1 200 OK\r\n${framing}\r\n\r\n${framing.endsWith("chunked") ? "3\r\nabc\r\n" : "abc"}`
    )
    await client.receives(/abc/)
    if (how === "FIN") socket.end()
    else socket.resetAndDestroy()
    await until(() => client.ended || client.error !== undefined)
    expect(client.text).not.toMatch(/\r\n0\r\n/)
    expect(client.text.endsWith("abc") || client.text.endsWith("abc\r\n")).toBe(true)
    await mesh.idle()
    expect(lastOutcome()).toMatchObject({ code: "upstream_reset" })
  })

  it("that dies before its response is tried again for GET, and 502 for POST", async () => {
    await start()
    let asked = 0
    await mesh.offer(
      rawProgram((socket) => {
        socket.on("data", (chunk) => {
          asked++
          if (asked === 1 || chunk.toString().startsWith("POST")) socket.resetAndDestroy()
          else socket.write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
        })
      })
    )
    const client = mesh.client().send(request("GET"))
    while (!client.text.includes("ok")) {
      for (const { ticker } of mesh.hosts) ticker.advance(10)
      await turn()
    }
    expect(asked).toBe(2)
    // The connection to the program is a kept one by now.
    client.text = ""
    client.send(request("POST", "content-length: 1\r\n", "x"))
    await client.receives(/\}\n$/)
    expect(client.text).toMatch(
      /^HTTP\/1.1 502[\s\S]*skein-error: upstream_reset[\s\S]*skein-node: host-b/
    )
    expect(asked).toBe(3)
    await mesh.idle()
  })

  it("that answers early and closes is heard, though the upload goes on", async () => {
    for (let round = 0; round < 20; round++) {
      await start()
      await mesh.offer(
        http.createServer((_, response) => {
          response.writeHead(413, { connection: "close" })
          response.end("too large")
        })
      )
      const client = mesh.client().send(request("POST", "content-length: 50000000\r\n"))
      new Flood(client.socket, 50_000_000)
      await client.receives(/^HTTP\/1.1 413[\s\S]*too large/)
      client.socket.destroy()
      await mesh.idle()
      await mesh.stop()
    }
    await start()
  })

  it("that does not listen is a connect failure of its node", async () => {
    await start({ retry: "off" })
    await mesh.offer(rawProgram(() => undefined))
    mesh.b.inbound.setServices([
      {
        name: payments,
        protocol: "http",
        endpoints: [{ id: "0", host: "127.0.0.1", port: await freePort(), weight: 100 }]
      }
    ])
    const client = mesh.client().send(request("POST", "content-length: 1\r\n", "x"))
    await client.receives(/\}\n$/)
    expect(client.text).toMatch(/^HTTP\/1.1 503[\s\S]*upstream_connect[\s\S]*skein-node: host-b/)
    await mesh.idle()
  })

  it("that is too slow: 504, and its request is cancelled at both nodes", async () => {
    await start({ timeout: { request: "1s" } })
    const program = new Silent()
    await mesh.offer(program.server)
    const client = mesh.client().send(request("GET"))
    await program.asked()
    mesh.b.ticker.advance(900)
    await turn()
    expect(program.closed).toBe(0)
    mesh.b.ticker.advance(110)
    await until(() => program.closed === 1)
    await client.receives(/\}\n$/)
    expect(client.text).toMatch(/^HTTP\/1.1 504[\s\S]*skein-error: upstream_timeout/)
    await mesh.idle()
    const again = mesh.client().send(request("GET"))
    await program.asked(2)
    mesh.a.ticker.advance(1_010)
    await again.receives(/\}\n$/)
    expect(again.text).toMatch(/^HTTP\/1.1 504[\s\S]*skein-node: host-a/)
    await until(() => program.closed === 2)
    await mesh.idle()
  })

  it("that asks for patience is given it", async () => {
    await start({ retry: { on: ["gateway_error"] } })
    let asked = 0
    await mesh.offer(
      http.createServer((_, response) => {
        if (++asked === 1) response.writeHead(503, { "retry-after": "1" })
        response.end("answer")
      })
    )
    const client = mesh.client().send(request("GET"))
    await until(() => asked === 1 && mesh.b.inbound.inFlight === 0)
    for (let i = 0; i < 50; i++) await turn()
    mesh.a.ticker.advance(990)
    for (let i = 0; i < 50; i++) await turn()
    expect(asked).toBe(1)
    mesh.a.ticker.advance(20)
    await client.receives(/answer/)
    expect(client.text).toMatch(/^HTTP\/1.1 200/)
    await mesh.idle()
  })
})

describe("limits", () => {
  it("of exchanges on a link lead to another, and of links to 503 overflow", async () => {
    await start({ retry: "off" }, { exchanges: 1 })
    const program = new Silent()
    await mesh.offer(program.server)
    for (let n = 1; n <= 4; n++) {
      mesh.client().send(request("GET"))
      await program.asked(n)
    }
    const client = mesh.client().send(request("GET"))
    await client.receives(/\}\n$/)
    expect(client.text).toMatch(
      /^HTTP\/1.1 503[\s\S]*skein-error: overflow[\s\S]*skein-node: host-a/
    )
  })

  it("of a head at the listener: 431; the most it takes arrives", async () => {
    await start()
    await mesh.offer(
      http.createServer({ maxHeaderSize: 100_000 }, (_, response) => response.end("ok"))
    )
    const client = mesh.client().send(request("GET", `x: ${"x".repeat(33_000)}\r\n`))
    await client.end()
    expect(client.text).toMatch(/^HTTP\/1.1 431[\s\S]*skein-error: head_too_large/)
    const most = `${"x: y\r\n".repeat(98)}y: ${"x".repeat(30_000)}\r\n`
    const other = mesh.client().send(request("GET", most))
    await other.receives(/^HTTP\/1.1 200/)
    await mesh.idle()
  })
})

describe("a link that breaks", () => {
  const both = async (server: net.Server, policy: PolicyInput = {}) => {
    await start({ balance: { kind: "round_robin" }, ...policy })
    return mesh.offer(server, "http", [mesh.b, mesh.c])
  }
  const busy = () => (mesh.b.inbound.inFlight > 0 ? mesh.b : mesh.c)

  it("before the response to GET costs nothing: another node answers", async () => {
    const program = new Silent()
    await both(program.server)
    const client = mesh.client().send(request("GET"))
    await program.asked()
    const first = busy()
    mesh.cut(first)
    await until(() => {
      mesh.a.ticker.advance(10)
      return program.closed === 1 && program.sockets.length === 2
    })
    expect(busy()).not.toBe(first)
    ;(await program.asked(2)).write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
    await client.receives(/^HTTP\/1.1 200[\s\S]*ok$/)
    await mesh.idle()
  })

  it("before the response to POST: 502, and the program's request is cancelled", async () => {
    const program = new Silent()
    await both(program.server)
    const client = mesh.client().send(request("POST", "content-length: 1\r\n", "x"))
    await program.asked()
    mesh.cut(busy())
    await client.receives(/\}\n$/)
    expect(client.text).toMatch(
      /^HTTP\/1.1 502[\s\S]*skein-error: upstream_reset[\s\S]*skein-node: host-a/
    )
    await until(() => program.closed === 1)
    await mesh.idle()
  })

  it("in the middle of a response leaves it unfinished", async () => {
    const program = new Silent()
    await both(program.server)
    const client = mesh.client().send(request("GET"))
    const socket = await program.asked()
    socket.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n")
    await client.receives(/abc/)
    mesh.cut(busy())
    await until(() => client.ended || client.error !== undefined)
    expect(client.text).not.toMatch(/\r\n0\r\n/)
    await until(() => program.closed === 1)
    await mesh.idle()
  })

  it("in the middle of an upload: 502, and the next request goes elsewhere at once", async () => {
    const program = new Silent()
    await both(program.server)
    const client = mesh.client().send(request("POST", "content-length: 9000000\r\n"))
    client.socket.write(Buffer.alloc(1_000_000))
    await until(() => program.bytes > 900_000)
    const first = busy()
    mesh.cut(first)
    await client.receives(/\}\n/)
    expect(client.text).toMatch(/^HTTP\/1.1 502/)
    await mesh.idle()
    mesh.client().send(request("POST", "content-length: 1\r\n", "x"))
    await until(() => mesh.b.inbound.inFlight + mesh.c.inbound.inFlight === 1)
    expect(busy()).not.toBe(first)
  })
})

describe("a node that drains", () => {
  it("under load loses nothing", async () => {
    await start({ balance: { kind: "round_robin" } })
    await mesh.offer(
      http.createServer((incoming, response) => {
        incoming.resume().on("end", () => setImmediate(() => response.end("ok")))
      }),
      "http",
      [mesh.b, mesh.c]
    )
    let done = 0
    const statuses = new Set<string | undefined>()
    const worker = async () => {
      const client = mesh.client()
      for (let i = 0; i < 40; i++) {
        client.text = ""
        client.send(request("POST", "content-length: 2\r\n", "hi"))
        await client.receives(/ok$|0\r\n\r\n$|\}\n$/)
        statuses.add(client.text.match(/^HTTP\/1.1 (\d+)/)?.[1])
        done++
      }
    }
    const work = Promise.all(Array.from({ length: 25 }, worker))
    await until(() => done > 300)
    // The link's goaway is all that callers hear at first; then the catalogue tells them.
    mesh.b.links.goaway()
    await until(() => done > 600)
    mesh.show("http", [mesh.b, mesh.c], [mesh.b])
    mesh.b.inbound.drain()
    await work
    expect([...statuses]).toEqual(["200"])
    await mesh.idle()
    expect(mesh.b.inbound.inFlight).toBe(0)
  })
})

describe("programs that call each other", () => {
  it("with all headers copied, Via too, are no loop", async () => {
    await start()
    const depth = 12
    const server = http.createServer((incoming, response) => {
      const left = Number(incoming.headers["x-left"])
      if (left === 0) {
        response.end("the end")
        return
      }
      const headers = { ...incoming.headers, "x-left": String(left - 1), connection: "close" }
      http.get({ port: mesh.port, headers }, (inner) => inner.pipe(response))
    })
    await mesh.offer(server)
    const client = mesh.client().send(request("GET", `x-left: ${depth}\r\n`))
    await client.receives(/the end/)
    await mesh.idle()
  })

  it("without end are stopped", async () => {
    await start()
    await mesh.offer(
      http.createServer((incoming, response) => {
        const headers = { ...incoming.headers, connection: "close" }
        http.get({ port: mesh.port, headers }, (inner) => {
          response.statusCode = inner.statusCode ?? 0
          inner.pipe(response)
        })
      })
    )
    const client = mesh.client().send(request("GET"))
    await client.receives(/^HTTP\/1.1 400[\s\S]*in a loop/)
    await mesh.idle()
  })
})
