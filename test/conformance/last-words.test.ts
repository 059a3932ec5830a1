/**
 * What somebody says before it closes, breaks off or turns wrong reaches the other side, through
 * both hops, however the bytes were cut and whoever is still talking.
 */
import type net from "node:net"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import type { PolicyInput } from "../../src/schema/PolicySchema.ts"
import { rawProgram } from "../../src/testing/InboundFixture.ts"
import type { RawClient } from "../../src/testing/ListenerFixture.ts"
import { payments, request, TwoHosts, turn } from "./TwoHosts.ts"

let mesh: TwoHosts
const start = async (policy: PolicyInput = {}) => {
  mesh = await new TwoHosts(policy).start()
}
/** For what is held against a program, and is done often. */
const patient: PolicyInput = { retry: "off", breaker: "off", ejection: "off" }
afterEach(async () => {
  const defects = mesh.hosts.flatMap((host) => host.defects)
  await mesh.stop()
  expect(defects).toEqual([])
})

const until = async (condition: () => boolean): Promise<void> => {
  while (!condition()) await turn()
}
const failures = () =>
  mesh.a.outbound.endpoints(payments).reduce((sum, { failures }) => sum + failures, 0)

const tooBig =
  "HTTP/1.1 413 Payload Too Large\r\nContent-Length: 8\r\nConnection: close\r\n\r\ntoo big\n"

/** Answers on the head and closes: what of the upload is unread makes the system reset it. */
const hasty = (answer = tooBig): net.Server =>
  rawProgram((socket) => {
    let head = ""
    socket.on("data", (chunk) => {
      head += chunk.toString("latin1")
      if (!head.includes("\r\n\r\n")) return
      socket.pause()
      if (head.startsWith("GET")) socket.end("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
      else socket.write(answer, () => socket.destroy())
    })
  })

describe("an answer that comes before its request has ended", () => {
  beforeEach(() => start())

  it.each([
    ["100 kB", 100_000, 60],
    ["1 MB", 1_000_000, 30],
    ["10 MB", 10_000_000, 8]
  ])("is the answer: %s, the connection lives on, the endpoint is well", async (_, size, times) => {
    await mesh.offer(hasty())
    const body = Buffer.alloc(size, "x")
    for (let n = 0; n < times; n++) {
      const client = mesh.client().send(request("POST", `content-length: ${size}\r\n`))
      client.socket.write(body)
      await client.receives(/too big\n$/)
      expect(client.text).toMatch(/^HTTP\/1.1 413 /)
      client.text = ""
      client.send(request("GET"))
      await client.receives(/ok$/)
      expect(client.text).toMatch(/^HTTP\/1.1 200 /)
      client.socket.destroy()
    }
    await mesh.idle()
    expect(failures()).toBe(0)
  })

  it("is the answer to a chunked upload too", async () => {
    await mesh.offer(hasty())
    const chunk = `1000\r\n${"x".repeat(4096)}\r\n`
    for (let n = 0; n < 20; n++) {
      const client = mesh.client().send(request("POST", "transfer-encoding: chunked\r\n"))
      client.send(`${chunk.repeat(100)}0\r\n\r\n`)
      await client.receives(/too big\n$/)
      client.text = ""
      client.send(request("GET"))
      await client.receives(/ok$/)
      client.socket.destroy()
    }
  })

  it("answers a client that waits for 100", async () => {
    await mesh.offer(hasty())
    const client = mesh.client()
    client.send(request("POST", "content-length: 100000\r\nexpect: 100-continue\r\n"))
    await client.end()
    expect(client.text).toMatch(/^HTTP\/1.1 413 [\s\S]*connection: close\r\n[\s\S]*too big\n$/)
  })

  it("comes through whole beside an upload that is stuck", async () => {
    const size = 3_000_000
    await mesh.offer(
      rawProgram((socket) => {
        socket.once("data", () => {
          socket.pause()
          socket.write(`HTTP/1.1 403 Forbidden\r\ncontent-length: ${size}\r\n\r\n`)
          socket.write(Buffer.alloc(size, "y"))
        })
      })
    )
    const client = mesh.client().send(request("POST", "content-length: 50000000\r\n"))
    client.socket.write(Buffer.alloc(50_000_000))
    await client.until(() => client.bytes > size)
    expect(client.text).toMatch(/^HTTP\/1.1 403 /)
    client.socket.destroy()
    await mesh.idle()
  })

  it("is none when the program closes without a word", async () => {
    await mesh.offer(hasty(""))
    const client = mesh.client().send(request("POST", "content-length: 1000000\r\n"))
    client.socket.write(Buffer.alloc(1_000_000))
    await client.receives(/\}\n$/)
    expect(client.text).toMatch(/^HTTP\/1.1 502 [\s\S]*skein-error: upstream_reset/)
    expect(failures()).toBe(1)
  })
})

const head = (framing: string) => `HTTP/1.1 200 OK\r\n${framing}\r\n\r\n`
const chunkedHead = head("transfer-encoding: chunked")

describe("a response that breaks off or turns wrong", () => {
  beforeEach(() => start(patient))

  const endings: ReadonlyArray<readonly [string, string, string, (socket: net.Socket) => void]> = [
    ["a length, FIN", head("content-length: 99"), "abc", (socket) => socket.end()],
    ["a length, RST", head("content-length: 99"), "abc", (socket) => socket.resetAndDestroy()],
    ["chunks, FIN", chunkedHead, "3\r\nabc\r\n", (socket) => socket.end()],
    ["chunks, RST", chunkedHead, "3\r\nabc\r\n", (socket) => socket.resetAndDestroy()],
    ["chunks, a bad size", chunkedHead, "3\r\nabc\r\nxyz\r\n", () => undefined],
    ["chunks, no line end after one", chunkedHead, "3\r\nabcd", () => undefined],
    ["chunks, a bad trailer", chunkedHead, "3\r\nabc\r\n0\r\nx y: z\r\n\r\n", () => undefined],
    ["no framing, RST", head("x: y"), "abc", (socket) => socket.resetAndDestroy()]
  ]
  describe.each(["one segment", "two segments"])("in %s", (segments) => {
    it.each(endings)("(%s) brings what came before", async (_, start, rest, close) => {
      await mesh.offer(
        rawProgram((socket) => {
          socket.once("data", () => {
            if (segments === "one segment") socket.write(start + rest, () => close(socket))
            else {
              socket.write(start)
              setImmediate(() => socket.write(rest, () => close(socket)))
            }
          })
        })
      )
      for (let n = 0; n < 20; n++) {
        const client = mesh.client().send(request("GET"))
        await client.until(() => client.ended || client.error !== undefined)
        expect(client.text).toMatch(/^HTTP\/1.1 200 OK\r\n[\s\S]*\r\n\r\n(3\r\n)?abc(\r\n)?$/)
        client.socket.destroy()
      }
      await mesh.idle()
    })
  })
})

describe("a trailer field that may not be one", () => {
  beforeEach(() => start())

  it.each([1, 2])(
    "is dropped and counted, and the body arrives (%i segments)",
    async (segments) => {
      const rest = "3\r\nabc\r\n0\r\nSet-Cookie: a=b\r\nX-Sum: 1\r\nContent-Type: x/y\r\n\r\n"
      await mesh.offer(
        rawProgram((socket) => {
          socket.on("data", () => {
            socket.write(segments === 1 ? chunkedHead + rest : chunkedHead)
            if (segments === 2) setImmediate(() => socket.write(rest))
          })
        })
      )
      const client = mesh.client().send(request("GET"))
      await client.receives(/\r\n0\r\n[\s\S]*\r\n\r\n$/)
      expect(client.text).toMatch(/\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n$/)
      const cells = mesh.b.metrics.families.get("skein_inbound_dropped_trailers_total")?.cells
      expect([...(cells?.values() ?? [])]).toMatchObject([{ cell: { value: 2 } }])
      client.text = ""
      client.send(request("GET"))
      await client.receives(/X-Sum: 1\r\n\r\n$/)
      await mesh.idle()
    }
  )
})

const ways = ["tcp", "CONNECT", "upgrade"] as const
const switched = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n"

/** A way in; what the program does with a connection that is a tunnel. */
const open = async (
  way: (typeof ways)[number],
  onTunnel: (socket: net.Socket) => void
): Promise<() => Promise<RawClient>> => {
  await mesh.offer(
    rawProgram((socket) => {
      if (way !== "upgrade") return onTunnel(socket)
      socket.once("data", () => {
        socket.write(switched)
        onTunnel(socket)
      })
    }),
    way === "tcp" ? "tcp" : "http"
  )
  const port = way === "tcp" ? (await mesh.tcp()).address.port : undefined
  return async () => {
    const client = mesh.client(port)
    if (way === "CONNECT") {
      client.send("CONNECT payments.mesh:80 HTTP/1.1\r\nhost: payments.mesh:80\r\n\r\n")
    } else if (way === "upgrade") {
      client.send(request("GET", "connection: upgrade\r\nupgrade: echo\r\n"))
    }
    if (way !== "tcp") await client.receives(/\r\n\r\n/)
    return client
  }
}

describe.each(ways)("a tunnel by %s", (way) => {
  beforeEach(() => start(patient))

  it.each([100, 200_000])("brings the %i bytes a program says before it resets", async (size) => {
    const connect = await open(way, (socket) => {
      socket.once("data", () => {
        socket.write("x".repeat(size - 1))
        socket.write("!", () => socket.resetAndDestroy())
      })
    })
    for (let n = 0; n < 20; n++) {
      const client = await connect()
      client.send("hello")
      await client.closed
      // What the system had not brought over when it was reset is lost without a mesh too.
      if (size === 100) expect(client.text).toMatch(/x{99}!$/)
      else expect(client.text).toMatch(/x{1000}!?$/)
      expect(client.ended).toBe(false)
      expect(client.error).toMatchObject({ code: "ECONNRESET" })
    }
    await mesh.idle()
  })

  it("brings what a program says before it closes with bytes unread", async () => {
    const connect = await open(way, (socket) => {
      socket.once("readable", () => {
        socket.write("go away\n", () => socket.destroy())
      })
    })
    for (let n = 0; n < 20; n++) {
      const client = await connect()
      for (let i = 0; i < 10; i++) client.send("z".repeat(50_000))
      await client.until(() => client.ended || client.error !== undefined)
      expect(client.text).toMatch(/go away\n$/)
      client.socket.destroy()
    }
    await mesh.idle()
  })

  it.each([
    ["resets", (socket: net.Socket) => socket.resetAndDestroy()],
    ["closes with bytes unread", (socket: net.Socket) => socket.destroy()]
  ])("brings what a client says before it %s", async (_, leave) => {
    let received = ""
    let broken = 0
    const connect = await open(way, (socket) => {
      let text = ""
      const greeting = setImmediate(() => socket.write("greetings".repeat(100_000)))
      socket.on("data", (chunk) => {
        text += chunk.toString("latin1")
      })
      socket.on("end", () => socket.end())
      socket.on("close", () => {
        clearImmediate(greeting)
        received += text
        broken++
      })
    })
    for (let n = 0; n < 20; n++) {
      const client = await connect()
      client.socket.pause()
      client.socket.write("y".repeat(100))
      await turn()
      client.socket.write("QUIT\n", () => leave(client.socket))
      await until(() => broken > n)
    }
    expect(received).toBe(`${"y".repeat(100)}QUIT\n`.repeat(20))
    await mesh.idle()
  })
})

describe("a tunnel whose client leaves before its program has accepted", () => {
  beforeEach(() => start(patient))

  it("brings what it had said", async () => {
    let received = ""
    let broken = 0
    const connect = await open("tcp", (socket) => {
      socket.on("data", (chunk) => {
        received += chunk.toString("latin1")
      })
      socket.on("close", () => broken++)
    })
    for (let n = 0; n < 20; n++) {
      const client = await connect()
      client.socket.write("fire and forget\n", () => client.socket.resetAndDestroy())
      await until(() => broken > n)
    }
    expect(received).toBe("fire and forget\n".repeat(20))
    await mesh.idle()
  })
})

describe("CONNECT", () => {
  it("is answered when the program has accepted, and not before", async () => {
    await start({ retry: "off" })
    const program = await mesh.offer(
      rawProgram((socket) => {
        socket.end("hello")
      })
    )
    const client = mesh.client()
    client.send("CONNECT payments.mesh:80 HTTP/1.1\r\nhost: payments.mesh:80\r\n\r\n")
    await client.end()
    expect(client.text).toMatch(/^HTTP\/1.1 200 Connection Established\r\n[\s\S]*\r\n\r\nhello$/)
    client.socket.end()
    await program.close()
    const refused = mesh.client()
    refused.send("CONNECT payments.mesh:80 HTTP/1.1\r\nhost: payments.mesh:80\r\n\r\n")
    await refused.end()
    expect(refused.text).toMatch(
      /^HTTP\/1.1 503 [\s\S]*skein-error: upstream_connect\r\nskein-node: host-b\r\n/
    )
    await mesh.idle()
  })

  it("goes to another endpoint when the first does not accept", async () => {
    await start({ balance: { kind: "round_robin" }, breaker: "off", ejection: "off" })
    await mesh.offer(
      rawProgram((socket) => {
        socket.end("hello")
      }),
      "http",
      [mesh.b, mesh.c]
    )
    mesh.c.inbound.setServices([
      {
        name: payments,
        protocol: "http",
        endpoints: [{ id: "0", host: "127.0.0.1", port: 1, weight: 100 }]
      }
    ])
    for (let n = 0; n < 4; n++) {
      const client = mesh.client()
      client.send("CONNECT payments.mesh:80 HTTP/1.1\r\nhost: payments.mesh:80\r\n\r\n")
      await client.end()
      expect(client.text).toMatch(/^HTTP\/1.1 200 [\s\S]*hello$/)
      client.socket.end()
    }
    await mesh.idle()
  })
})
