/**
 * HTTP/1.1 as RFC 9110 and 9112 want it of an intermediary, on raw sockets through two real nodes,
 * by Host at the proxy port. What arrives when is checked in lockstep: a side goes on only when
 * the other has what was sent before, so nothing may wait in a node.
 */
import { readFileSync } from "node:fs"
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http"
import { connect, createServer as createTcpServer, type Socket } from "node:net"
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest"
import { type Host, TestMesh } from "../fixtures/Mesh.ts"
import { freePort, stopAll, until } from "../fixtures/Processes.ts"

const mesh = new TestMesh()
let a: Host
let b: Host
let server: Server
const tcp = createTcpServer((socket) => {
  socket.on("error", () => socket.destroy())
  socket.pipe(socket)
})
/** What the program does with the next requests, by path. */
const routes = new Map<string, (request: IncomingMessage, response: ServerResponse) => void>()
const clients: Array<Client> = []

class Client {
  readonly socket: Socket
  text = ""
  bytes = 0
  ended = false
  #seen = Promise.withResolvers<void>()

  constructor() {
    this.socket = connect({ port: Number(a.proxy.split(":")[1]), host: "127.0.0.1" })
    this.socket.on("data", (chunk) => {
      this.bytes += chunk.length
      if (this.text.length < 100_000) this.text += chunk.toString("latin1")
      this.#happened()
    })
    this.socket.on("end", () => {
      this.ended = true
      this.#happened()
    })
    this.socket.on("error", () => undefined) // what follows is close
    this.socket.on("close", () => {
      this.ended = true
      this.#happened()
    })
    clients.push(this)
  }

  send(text: string): this {
    this.socket.write(text, "latin1")
    return this
  }

  async receives(pattern: RegExp): Promise<string> {
    while (!pattern.test(this.text)) {
      if (this.ended) throw new Error(`closed after ${JSON.stringify(this.text)}`)
      await this.#seen.promise
    }
    return this.text
  }

  async closes(): Promise<string> {
    while (!this.ended) await this.#seen.promise
    return this.text
  }

  #happened(): void {
    this.#seen.resolve()
    this.#seen = Promise.withResolvers()
  }
}

const head = (method: string, path: string, more = "", version = "1.1"): string =>
  `${method} ${path} HTTP/${version}\r\nHost: web.mesh\r\n${more}\r\n`

beforeAll(async () => {
  const serve = (request: IncomingMessage, response: ServerResponse) => {
    const route = routes.get(request.url ?? "")
    if (route !== undefined) route(request, response)
    else request.resume().on("end", () => response.end(`you asked for ${request.url}`))
  }
  server = createServer(serve)
  server.on("checkContinue", serve)
  server.on("upgrade", (request, socket: Socket) => {
    socket.on("error", () => socket.destroy())
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${request.headers.upgrade}\r\n\r\n`
    )
    socket.pipe(socket)
  })
  const port = await freePort()
  const tcpPort = await freePort()
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve))
  await new Promise<void>((resolve) => tcp.listen(tcpPort, "127.0.0.1", resolve))
  a = await mesh.first("host-a")
  b = await mesh.join("host-b", {
    services: [
      { name: "web", address: `127.0.0.1:${port}` },
      { name: "bytes", address: `127.0.0.1:${tcpPort}`, protocol: "tcp" }
    ]
  })
  await until("web is reachable", async () => {
    const text = await new Client().send(head("GET", "/", "Connection: close\r\n")).closes()
    return text.startsWith("HTTP/1.1 200") ? true : undefined
  })
})

afterEach(() => {
  routes.clear()
  for (const { socket } of clients.splice(0)) socket.destroy()
})

afterAll(async () => {
  await mesh.stop()
  server.closeAllConnections()
  server.close()
  tcp.close()
  await stopAll()
})

describe("100-continue", () => {
  it("comes from the program, before which no body is sent", async () => {
    routes.set("/up", (request, response) => {
      response.writeContinue()
      request.pipe(response)
    })
    const client = new Client()
    client.send(head("POST", "/up", "Expect: 100-continue\r\nContent-Length: 4\r\n"))
    expect(await client.receives(/\r\n\r\n$/)).toBe("HTTP/1.1 100 Continue\r\n\r\n")
    client.send("body")
    expect(await client.receives(/body\r\n0\r\n\r\n$/)).toMatch(/\r\n\r\nHTTP\/1.1 200 OK\r\n/)
  })

  it.each([
    [417, "Expectation Failed"],
    [401, "Unauthorized"]
  ])("is refused with %i by a program that reads no body", async (status, reason) => {
    routes.set("/up", (_, response) => {
      response.writeHead(status, { "content-length": 2 }).end("no")
    })
    const client = new Client()
    client.send(head("POST", "/up", "Expect: 100-continue\r\nContent-Length: 100000\r\n"))
    const text = await client.closes()
    expect(text).toMatch(new RegExp(`^HTTP/1.1 ${status} ${reason}\r\n[\\s\\S]*\r\n\r\nno$`))
    expect(text).toMatch(/\r\nconnection: close\r\n/i)
  })

  it("is not waited for by a client that sends its body at once", async () => {
    routes.set("/up", (request, response) => {
      request.resume().on("end", () => response.end("taken"))
    })
    const client = new Client()
    client.send(`${head("POST", "/up", "Expect: 100-continue\r\nContent-Length: 4\r\n")}body`)
    await client.receives(/\r\n\r\ntaken$/)
  })
})

describe("responses", () => {
  it("are preceded by 103 as soon as the program says it", async () => {
    const { promise, resolve } = Promise.withResolvers<ServerResponse>()
    routes.set("/hints", (_, response) => {
      response.writeEarlyHints({ link: "</style.css>; rel=preload" })
      resolve(response)
    })
    const client = new Client().send(head("GET", "/hints"))
    await client.receives(/^HTTP\/1.1 103 Early Hints\r\nlink: <\/style.css>[^\r]*\r\n\r\n$/i)
    ;(await promise).end("page")
    await client.receives(/\r\n\r\nHTTP\/1.1 200 OK\r\n[\s\S]*\r\n\r\npage$/)
  })

  it("without content leave the connection usable: HEAD, 204, 304", async () => {
    routes.set("/head", (_, response) => response.writeHead(200, { "content-length": 500 }).end())
    routes.set("/204", (_, response) => response.writeHead(204).end())
    routes.set("/304", (_, response) => response.writeHead(304, { etag: '"x"' }).end())
    const client = new Client()
    client.send(head("HEAD", "/head") + head("GET", "/204") + head("GET", "/304"))
    client.send(head("GET", "/last"))
    const text = await client.receives(/you asked for \/last/)
    expect(text.match(/^HTTP\/1.1 \d+/gm)).toEqual([200, 204, 304, 200].map((s) => `HTTP/1.1 ${s}`))
    expect(text.split("HTTP/1.1 ")[1]).toMatch(/content-length: 500\r\n[\s\S]*\r\n$/i)
    expect(text.split("HTTP/1.1 ")[2]).not.toMatch(/content-length|transfer-encoding/i)
  })

  it("come in the order of 30 pipelined requests, though the last are ready first", async () => {
    const waiting: Array<() => void> = []
    for (let n = 0; n < 30; n++) {
      routes.set(`/${n}`, (request, response) => {
        request.resume().on("end", () => {
          const answer = () => response.end(`<${n}>`)
          if (n % 3 === 0) waiting.push(answer)
          else answer()
          setImmediate(() => waiting.shift()?.())
        })
      })
    }
    const client = new Client()
    const requests = Array.from({ length: 30 }, (_, n) =>
      n % 2 ? head("GET", `/${n}`) : `${head("POST", `/${n}`, "Content-Length: 3\r\n")}abc`
    )
    const text = await client.send(requests.join("")).receives(/<29>/)
    expect(text.match(/<\d+>/g)).toEqual(requests.map((_, n) => `<${n}>`))
  })

  it("carry chunks with extensions and trailers of requests, and their own", async () => {
    routes.set("/sum", (request, response) => {
      let bytes = 0
      request.on("data", (chunk: Buffer) => {
        bytes += chunk.length
      })
      request.on("end", () => {
        response.writeHead(200, { trailer: "x-out" })
        response.write(String(bytes))
        response.addTrailers({ "x-out": request.trailers["x-in"] ?? "nothing" })
        response.end()
      })
    })
    const client = new Client()
    client.send(head("POST", "/sum", "TE: trailers\r\nTransfer-Encoding: chunked\r\n"))
    client.send('3;name=value\r\nabc\r\n4;quoted="a;b"\r\ndefg\r\n0;last\r\nX-In: seen\r\n\r\n')
    await client.receives(/\r\n1\r\n7\r\n0\r\nx-out: seen\r\n\r\n$/)
  })
})

describe("connections", () => {
  it("end after Connection: close, of the client or of the program", async () => {
    const client = new Client().send(head("GET", "/a", "Connection: close\r\n"))
    expect(await client.closes()).toMatch(/connection: close\r\n[\s\S]*you asked for \/a/i)
    routes.set("/b", (_, response) => {
      response.setHeader("connection", "close")
      response.end("b")
    })
    // The program's wish concerns its own connection, not the client's.
    const other = new Client().send(head("GET", "/b") + head("GET", "/c"))
    await other.receives(/you asked for \/c/)
  })

  it("of HTTP/1.0 end with the response, chunked by nobody", async () => {
    routes.set("/old", (_, response) => {
      response.write("in ")
      response.end("parts")
    })
    const text = await new Client().send(head("GET", "/old", "", "1.0")).closes()
    expect(text).toMatch(/\r\n\r\nin parts$/)
    expect(text).not.toMatch(/transfer-encoding/i)
  })

  it("of HTTP/1.0 stay with keep-alive where the response has a length", async () => {
    routes.set("/old", (_, response) => response.writeHead(200, { "content-length": 2 }).end("ok"))
    const client = new Client()
    client.send(head("GET", "/old", "Connection: keep-alive\r\n", "1.0"))
    expect(await client.receives(/\r\n\r\nok$/)).toMatch(/connection: keep-alive\r\n/i)
    client.text = ""
    client.send(head("GET", "/old", "", "1.0"))
    expect(await client.closes()).toMatch(/\r\n\r\nok$/)
  })

  it("carry absolute-form, whose authority outweighs Host", async () => {
    routes.set("/x?y", (request, response) => response.end(request.headers.host))
    const client = new Client()
    client.send("GET http://web.mesh/x?y HTTP/1.1\r\nHost: other.mesh\r\n\r\n")
    await client.receives(/\r\n\r\nweb\.mesh$/)
  })
})

describe("tunnels", () => {
  const connectTo = (authority: string) =>
    new Client().send(`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n\r\n`)

  it("by CONNECT reach the program of an HTTP service", async () => {
    const client = connectTo("web.mesh:80")
    await client.receives(/^HTTP\/1.1 200 [^\r]*\r\n(?:[^\r]+\r\n)*\r\n$/)
    client.text = ""
    client.send("GET /inner HTTP/1.1\r\nHost: any.example\r\n\r\n")
    await client.receives(/you asked for \/inner/)
  })

  it("by CONNECT reach a TCP service, and half-close", async () => {
    const client = connectTo("bytes.mesh:5432")
    await client.receives(/^HTTP\/1.1 200 [\s\S]*\r\n\r\n$/)
    client.text = ""
    client.socket.end("round trip")
    expect(await client.closes()).toBe("round trip")
  })

  it("by CONNECT to what is no service are refused in HTTP", async () => {
    for (const authority of ["nobody.mesh:80", "example.org:443"]) {
      const client = connectTo(authority)
      await client.receives(/^HTTP\/1.1 404 [\s\S]*skein-error: route_not_found/)
    }
  })

  it.each(["chat", "irc/6.9, rta/x11"])(
    "by upgrade to %s are relayed as they are",
    async (name) => {
      const client = new Client()
      client.send(`${head("GET", "/any", `Connection: Upgrade\r\nUpgrade: ${name}\r\n`)}early `)
      await client.receives(
        new RegExp(`^HTTP/1.1 101 [\\s\\S]*upgrade: ${name}\r\n\r\nearly $`, "i")
      )
      const before = client.bytes
      client.send("\0\x01 not HTTP \xff\r\n\r\n")
      await client.receives(/not HTTP \xff\r\n\r\n$/)
      client.socket.end(Buffer.alloc(1_000_000))
      await client.closes()
      expect(client.bytes - before).toBe(1_000_000 + "\0\x01 not HTTP \xff\r\n\r\n".length)
    }
  )
})

describe("responses that take their time", () => {
  it("server-sent events arrive one by one, none waits for the next", async () => {
    const { promise, resolve } = Promise.withResolvers<ServerResponse>()
    routes.set("/events", (_, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" }).flushHeaders()
      resolve(response)
    })
    const client = new Client().send(head("GET", "/events", "Accept: text/event-stream\r\n"))
    await client.receives(/^HTTP\/1.1 200 OK\r\n[\s\S]*\r\n\r\n$/)
    const response = await promise
    for (let n = 0; n < 50; n++) {
      response.write(`data: ${n}\n\n`)
      await client.receives(new RegExp(`data: ${n}\n\n`))
    }
    const left = new Promise((gone) => response.once("close", gone))
    client.socket.destroy()
    await left
  })

  it("a long poll is answered when there is something, and forgotten when its client goes", async () => {
    const polls: Array<ServerResponse> = []
    routes.set("/poll", (_, response) => polls.push(response))
    const patient = new Client().send(head("GET", "/poll"))
    const impatient = new Client().send(head("GET", "/poll"))
    await until("both wait", () => (polls.length === 2 ? true : undefined))
    const closed = polls.map((poll) => new Promise((gone) => poll.once("close", gone)))
    impatient.socket.destroy()
    await Promise.race(closed)
    for (const poll of polls) if (!poll.destroyed) poll.end("news")
    await patient.receives(/\r\n\r\nnews$/)
  })
})

const residentMiB = (host: Host): number => {
  const status = readFileSync(`/proc/${host.process?.child.pid}/status`, "utf8")
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) / 1_024
}

describe("messages larger than what a node may keep", () => {
  const size = 300 * 1024 * 1024
  const piece = Buffer.alloc(1024 * 1024, "x")
  /** Far less than the message; what a busy collector leaves lying about differs from run to run. */
  const mostGrowth = 150

  const whileWatching = async (work: Promise<unknown>): Promise<number> => {
    const before = [a, b].map(residentMiB)
    let most = 0
    const timer = setInterval(() => {
      const growth = [a, b].map((host, i) => residentMiB(host) - before[i]!)
      most = Math.max(most, ...growth)
    }, 20)
    try {
      await work
    } finally {
      clearInterval(timer)
    }
    return most
  }

  it("a request of 300 MiB is streamed", async () => {
    routes.set("/big", (request, response) => {
      let bytes = 0
      request.on("data", (chunk: Buffer) => {
        bytes += chunk.length
      })
      request.on("end", () => response.end(`took ${bytes}`))
    })
    const client = new Client().send(head("POST", "/big", `Content-Length: ${size}\r\n`))
    const upload = async () => {
      for (let sent = 0; sent < size; sent += piece.length) {
        if (!client.socket.write(piece)) {
          await new Promise((resolve) => client.socket.once("drain", resolve))
        }
      }
      await client.receives(new RegExp(`took ${size}`))
    }
    expect(await whileWatching(upload())).toBeLessThan(mostGrowth)
  })

  it("a response of 300 MiB is streamed", async () => {
    routes.set("/big", (_, response) => {
      response.writeHead(200, { "content-length": size })
      const pump = () => {
        for (; left > 0; left -= piece.length) {
          if (!response.write(piece)) {
            left -= piece.length
            response.once("drain", pump)
            return
          }
        }
        response.end()
      }
      let left = size
      pump()
    })
    const client = new Client().send(head("GET", "/big", "Connection: close\r\n"))
    expect(await whileWatching(client.closes())).toBeLessThan(mostGrowth)
    expect(client.bytes - (client.text.indexOf("\r\n\r\n") + 4)).toBe(size)
  })
})
