/** What HTTP and tunnels look like through both hops when nothing fails. */
import http from "node:http"
import type net from "node:net"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { Flood, rawProgram } from "../../src/testing/InboundFixture.ts"
import { heldBytes } from "../../src/testing/ListenerFixture.ts"
import { RawClient, request, settled, TwoHosts, turn } from "./TwoHosts.ts"

let mesh: TwoHosts
beforeEach(async () => {
  mesh = await new TwoHosts().start()
})
afterEach(async () => {
  const defects = mesh.hosts.flatMap((host) => host.defects)
  await mesh.stop()
  expect(defects).toEqual([])
})

const total = 64 * 1024 * 1024

/** Answers each whole request head with what `answer` says. */
const scripted = (answer: (head: string, socket: net.Socket) => void): net.Server =>
  rawProgram((socket) => {
    let text = ""
    socket.on("data", (chunk) => {
      text += chunk.toString("latin1")
      for (let end = text.indexOf("\r\n\r\n"); end !== -1; end = text.indexOf("\r\n\r\n")) {
        const head = text.slice(0, end + 4)
        text = text.slice(end + 4)
        answer(head, socket)
      }
    })
    socket.on("end", () => socket.end())
  })

describe("messages", () => {
  it("are answered in order when pipelined, over one connection to the program", async () => {
    const program = await mesh.offer(
      http.createServer((incoming, response) => {
        incoming.resume().on("end", () => response.end(incoming.headers["x-n"]))
      })
    )
    const client = mesh.client()
    for (let n = 1; n <= 50; n++)
      client.send(request("POST", `x-n: <${n}>\r\ncontent-length: 3\r\n`, "abc"))
    await client.receives(/<50>/)
    expect(client.text.match(/<\d+>/g)).toEqual(Array.from({ length: 50 }, (_, n) => `<${n + 1}>`))
    expect(program.accepted()).toBe(1)
    expect(mesh.connections).toBe(1)
    await mesh.idle()
  })

  it("wait with their body for 100 Continue, which comes from the program", async () => {
    const server = http.createServer()
    let continued = 0
    server.on("checkContinue", (incoming: http.IncomingMessage, response: http.ServerResponse) => {
      continued++
      response.writeContinue()
      incoming.pipe(response)
    })
    await mesh.offer(server)
    const client = mesh
      .client()
      .send(request("POST", "expect: 100-continue\r\ncontent-length: 4\r\n"))
    await client.receives(/^HTTP\/1.1 100 Continue\r\n\r\n$/)
    expect(continued).toBe(1)
    client.send("body")
    await client.receives(/HTTP\/1.1 200 OK[\s\S]*body/)
    await mesh.idle()
  })

  it("that were refused before 100 Continue end the connection", async () => {
    const server = http.createServer()
    server.on("checkContinue", (_: http.IncomingMessage, response: http.ServerResponse) => {
      response.statusCode = 417
      response.end("no")
    })
    await mesh.offer(server)
    const client = mesh
      .client()
      .send(request("POST", "expect: 100-continue\r\ncontent-length: 4\r\n"))
    await client.end()
    expect(client.text).toMatch(/^HTTP\/1.1 417 [\s\S]*connection: close/)
    await mesh.idle()
  })

  it("pass interim responses", async () => {
    await mesh.offer(
      http.createServer((_, response) => {
        response.writeProcessing()
        response.writeEarlyHints({ link: "</a.css>; rel=preload" })
        response.end("x")
      })
    )
    const client = mesh.client().send(request("GET"))
    await client.receives(/\r\n\r\nx$|x\r\n0\r\n\r\n$/)
    expect(client.text.match(/HTTP\/1.1 \d+|link: .*/gi)).toEqual([
      "HTTP/1.1 102",
      "HTTP/1.1 103",
      expect.stringMatching(/link: <\/a.css>/i),
      "HTTP/1.1 200"
    ])
  })

  it.each([
    ["HEAD", "200 OK\r\ncontent-length: 1000", "content-length: 1000"],
    ["HEAD", "200 OK\r\ntransfer-encoding: chunked", "transfer-encoding: chunked"],
    ["GET", "304 Not Modified\r\ncontent-length: 1000", "content-length: 1000"],
    ["GET", "204 No Content", undefined]
  ])("without content keep the connection: %s, %s", async (method, status, kept) => {
    const program = await mesh.offer(
      scripted((_, socket) => socket.write(`HTTP/1.1 ${status}\r\n\r\n`))
    )
    const client = mesh.client().send(request(method)).send(request(method))
    await client.until(
      () => client.text.split("HTTP/1.1").length === 3 && client.text.endsWith("\r\n\r\n")
    )
    if (kept === undefined) expect(client.text).not.toMatch(/content-length|transfer-encoding/i)
    else expect(client.text.split(kept)).toHaveLength(3)
    expect(client.text.replace(/HTTP[\s\S]*?\r\n\r\n/g, "")).toBe("")
    expect(program.accepted()).toBe(1)
  })

  it("carry chunks and trailers both ways", async () => {
    await mesh.offer(
      http.createServer((incoming, response) => {
        response.writeHead(200, { trailer: "x-sum" })
        incoming.on("data", (chunk: Buffer) => response.write(chunk))
        incoming.on("end", () => {
          response.addTrailers({ "x-sum": `got ${incoming.trailers["x-in"]}` })
          response.end()
        })
      })
    )
    const client = mesh.client()
    const body = "3\r\nabc\r\n2;ext=1\r\nde\r\n0\r\nx-in: 7\r\n\r\n"
    client.send(
      request("POST", "te: trailers\r\ntransfer-encoding: chunked\r\ntrailer: x-in\r\n", body)
    )
    await client.receives(/x-sum: got 7\r\n\r\n$/)
    expect(client.text).toMatch(/abc/)
  })

  it("lose what concerns one hop only, and gain what a gateway says", async () => {
    let seen = ""
    await mesh.offer(
      scripted((head, socket) => {
        seen = head
        socket.write(
          "HTTP/1.1 200 OK\r\nconnection: keep-alive, x-hop\r\nkeep-alive: timeout=5\r\nx-hop: 1\r\n" +
            "proxy-authenticate: Basic\r\nx-end: 1\r\ncontent-length: 0\r\n\r\n"
        )
      })
    )
    const client = mesh.client()
    client.send(
      request(
        "GET",
        "connection: keep-alive, x-hop, close\r\nkeep-alive: 1\r\nproxy-connection: keep-alive\r\n" +
          "x-hop: 1\r\nproxy-authorization: Basic eA==\r\nte: gzip\r\nupgrade: h2c\r\nx-end: 1\r\n"
      )
    )
    await client.end()
    const names = (head: string) => [...head.matchAll(/^([^:\r\n ]+): /gm)].map(([, name]) => name)
    expect(names(seen)).toEqual([
      "host",
      "x-end",
      "x-forwarded-for",
      "x-forwarded-proto",
      "x-forwarded-host",
      "via",
      "skein-caller"
    ])
    expect(names(client.text)).toEqual(["x-end", "date", "content-length", "connection"])
  })
})

describe("tunnels", () => {
  const upgrades = (onSocket: (socket: net.Socket, first: Buffer) => void): http.Server => {
    const server = http.createServer()
    server.on("upgrade", (_, socket: net.Socket, first: Buffer) => {
      socket.on("error", () => undefined)
      socket.write(
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n"
      )
      onSocket(socket, first)
    })
    return server
  }
  const ask = request("GET", "connection: upgrade\r\nupgrade: echo\r\n")

  it("carry what the client sent together with the upgrade, and its half-close", async () => {
    await mesh.offer(
      upgrades((socket, first) => {
        socket.write(first)
        socket.pipe(socket)
      })
    )
    const client = mesh.client().send(`${ask}early`)
    await client.receives(/\r\n\r\nearly$/)
    client.send(" late")
    client.socket.end()
    await client.closed
    expect(client.text).toMatch(/\r\n\r\nearly late$/)
    expect(client.error).toBeUndefined()
    await mesh.idle()
  })

  it("carry megabytes at once in both directions", async () => {
    await mesh.offer(upgrades((socket) => socket.pipe(socket)))
    const client = mesh.client().send(ask)
    await client.receives(/\r\n\r\n$/)
    const before = client.bytes
    const size = 8 * 1024 * 1024
    client.socket.end(Buffer.alloc(size, "x"))
    await client.closed
    expect(client.bytes - before).toBe(size)
    await mesh.idle()
  })

  it("end when the program closes, with all it has sent", async () => {
    await mesh.offer(upgrades((socket) => socket.end("bye")))
    const client = mesh.client().send(ask)
    await client.end()
    expect(client.text).toMatch(/\r\n\r\nbye$/)
    client.socket.end()
    await client.closed
    expect(client.error).toBeUndefined()
    await mesh.idle()
  })

  it("are reset when either side is", async () => {
    let program: net.Socket | undefined
    await mesh.offer(
      upgrades((socket) => {
        program = socket
        socket.on("data", () => socket.resetAndDestroy())
      })
    )
    const client = mesh.client().send(ask)
    await client.receives(/\r\n\r\n$/)
    client.send("now")
    await client.closed
    expect(client.error).toMatchObject({ code: "ECONNRESET" })
    const other = mesh.client().send(ask)
    await other.receives(/\r\n\r\n$/)
    const ended = new Promise((resolve) => program?.once("close", resolve))
    other.socket.resetAndDestroy()
    await ended
    await mesh.idle()
  })

  it("outlive the request's timeout", async () => {
    await mesh.stop()
    mesh = await new TwoHosts({ timeout: { request: "1s" } }).start()
    await mesh.offer(upgrades((socket) => socket.pipe(socket)))
    const client = mesh.client().send(ask)
    await client.receives(/\r\n\r\n$/)
    for (const { ticker } of mesh.hosts) ticker.advance(5_000)
    client.send("still there")
    await client.receives(/still there$/)
    client.socket.end()
    await client.closed
    expect(client.error).toBeUndefined()
    await mesh.idle()
  })

  it("are refused as the program says, and the connection goes on", async () => {
    await mesh.offer(http.createServer((incoming, response) => response.end(incoming.method)))
    const client = mesh.client().send(ask + request("GET"))
    await client.until(() => client.text.split("HTTP/1.1 200").length === 3)
    await mesh.idle()
  })

  it("by CONNECT carry bytes both ways and half-close", async () => {
    await mesh.offer(
      rawProgram((socket) => {
        let bytes = 0
        socket.on("data", (chunk) => {
          bytes += chunk.length
        })
        socket.on("end", () => socket.end(`got ${bytes}`))
      })
    )
    const client = mesh
      .client()
      .send("CONNECT payments.mesh:80 HTTP/1.1\r\nhost: payments.mesh:80\r\n\r\n")
    await client.receives(/^HTTP\/1.1 200 [\s\S]*\r\n\r\n$/)
    client.socket.end(Buffer.alloc(3_000_000))
    await client.closed
    expect(client.text).toMatch(/got 3000000$/)
    await mesh.idle()
  })

  it("of a TCP port carry bytes both ways and half-close", async () => {
    await mesh.offer(
      rawProgram((socket) => {
        socket.write("hello ")
        socket.pipe(socket)
      }),
      "tcp"
    )
    const listener = await mesh.tcp()
    const client = mesh.client(listener.address.port)
    await client.receives(/^hello $/)
    client.socket.end("you")
    await client.closed
    expect(client.text).toBe("hello you")
    await mesh.idle()
  })
})

describe("a slow reader", () => {
  const held = async (before: number): Promise<number> => {
    let bytes = heldBytes() - before
    // Memory of collected buffers is given back by another thread: a few turns later.
    for (let i = 0; bytes > 4 * 1024 * 1024 && i < 50; i++) {
      await turn()
      bytes = heldBytes() - before
    }
    return bytes
  }

  it("at the program's end stops the client, and little is held between", async () => {
    let program: net.Socket | undefined
    let read = 0
    await mesh.offer(
      rawProgram((socket) => {
        program = socket
        socket.pause()
        socket.on("data", (chunk) => {
          read += chunk.length
          if (read >= total) socket.write("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        })
      })
    )
    const client = mesh.client()
    const before = heldBytes()
    client.send(request("POST", `content-length: ${total}\r\n`))
    const flood = new Flood(client.socket, total)
    expect(await settled(() => flood.written)).toBeLessThan(total / 2)
    expect(await held(before)).toBeLessThan(4 * 1024 * 1024)
    program?.resume()
    await client.receives(/200 OK/)
    await mesh.idle()
  })

  it("at the client's end stops the program, and little is held between", async () => {
    let flood: Flood | undefined
    await mesh.offer(
      rawProgram((socket) => {
        socket.once("data", () => {
          socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${total}\r\n\r\n`)
          flood = new Flood(socket, total)
        })
      })
    )
    const client = new RawClient(mesh.port)
    mesh.clients.push(client)
    client.socket.pause()
    const before = heldBytes()
    client.send(request("GET"))
    expect(await settled(() => flood?.written ?? 0)).toBeLessThan(total / 2)
    expect(await held(before)).toBeLessThan(4 * 1024 * 1024)
    client.socket.resume()
    await client.until(() => client.bytes > total)
    await mesh.idle()
  })
})

describe("a program that goes on with interim responses for ever", () => {
  const hint = Buffer.from("HTTP/1.1 102 Processing\r\n\r\n".repeat(2_000))

  it("is stopped by a client that does not read, or refused: nobody keeps them", async () => {
    let taken = 0
    let refused = false
    await mesh.offer(
      rawProgram((socket) => {
        socket.on("close", () => {
          refused = true
        })
        const pump = () => {
          while (taken < total && !socket.destroyed) {
            taken += hint.length
            if (!socket.write(hint)) break
          }
        }
        socket.on("drain", pump)
        socket.once("data", pump)
      })
    )
    const client = new RawClient(mesh.port)
    mesh.clients.push(client)
    client.socket.pause()
    client.send(request("GET"))
    await settled(() => taken)
    if (!refused) expect(taken).toBeLessThan(total / 2)
    expect(client.socket.destroyed).toBe(false)
  })
})

describe("afterwards", () => {
  it("nothing is left of 1,000 requests in a row and 200 at once", async () => {
    const program = await mesh.offer(
      http.createServer((incoming, response) => {
        incoming.resume().on("end", () => response.end("ok"))
      })
    )
    const first = mesh.client()
    const ask = async (client: RawClient, times: number): Promise<void> => {
      for (let i = 0; i < times; i++) {
        const before = client.reads
        client.text = ""
        client.send(request("POST", "content-length: 2\r\n", "hi"))
        await client.until(() => client.reads > before && /ok$|0\r\n\r\n$/.test(client.text))
      }
    }
    await ask(first, 1)
    const timers = () => mesh.hosts.map(({ ticker }) => ticker.timers)
    await mesh.idle()
    const baseline = timers()
    await ask(first, 999)
    await Promise.all(Array.from({ length: 200 }, () => ask(mesh.client(), 1)))
    await mesh.idle()
    expect(timers()).toEqual(baseline)
    const [pool] = mesh.b.inbound.endpoints()
    expect(pool).toMatchObject({ inFlight: 0, waiting: 0, connections: program.sockets.size })
    mesh.b.ticker.advance(31_000)
    while (program.sockets.size > 0) await turn()
    expect(mesh.b.inbound.endpoints()[0]).toMatchObject({ connections: 0 })
  })
})
