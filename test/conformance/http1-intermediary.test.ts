/** What two nodes between a client and a program take out, put in and keep of what both say. */
import type net from "node:net"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { rawProgram } from "../../src/testing/InboundFixture.ts"
import { droppedTrailers } from "./Corpus.ts"
import { request, TwoHosts } from "./TwoHosts.ts"

let mesh: TwoHosts
/** Heads and bodies as they reached the program. */
let received = ""
beforeEach(async () => {
  received = ""
  mesh = await new TwoHosts().start()
})
afterEach(async () => {
  await mesh.stop()
})

/** Answers with these bytes what looks like a whole request. */
const answering = (...answers: ReadonlyArray<string>): net.Server =>
  rawProgram((socket) => {
    let next = 0
    socket.on("data", (chunk) => {
      received += chunk.toString("latin1")
      if (!/\r\n\r\n$/.test(received)) return
      socket.write(answers[next++ % answers.length] ?? "", "latin1")
    })
    socket.on("end", () => socket.end())
  })

const ok = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"

describe("fields of the mesh", () => {
  it("are nothing a program can say: in heads, 1xx and trailers", async () => {
    const forged = "skein-error: overflow\r\nSkein-Node: host-z\r\nskein-x: 1\r\n"
    await mesh.offer(
      answering(
        `HTTP/1.1 103 Hints\r\nlink: x\r\n${forged}\r\n` +
          `HTTP/1.1 503 Busy\r\n${forged}x-app: 1\r\ntransfer-encoding: chunked\r\n\r\n` +
          `2\r\nno\r\n0\r\n${forged}x-sum: 1\r\n\r\n`
      )
    )
    const client = mesh.client().send(request("GET"))
    await client.receives(/x-sum: 1\r\n\r\n$/)
    expect(client.text).toMatch(/^HTTP\/1.1 103 [\s\S]*HTTP\/1.1 503 Busy\r\nx-app: 1\r\n/)
    expect(client.text).not.toMatch(/skein/i)
    await mesh.idle()
  })

  it("stay what they are where the mesh answers", async () => {
    const client = mesh.client().send(request("GET"))
    await client.receives(/skein-error: route_not_found\r\nskein-node: host-a\r\n/)
  })

  it("of requests reach the program, but for those that belong to answers", async () => {
    await mesh.offer(answering(ok))
    const lines = "skein-error: x\r\nskein-node: y\r\nskein-z: 1\r\nX_Forwarded_For: 192.0.2.1\r\n"
    const client = mesh.client().send(request("GET", lines))
    await client.receives(/ok$/)
    expect(received).toMatch(/\r\nskein-z: 1\r\n/)
    expect(received).not.toMatch(/skein-(error|node)|x_forwarded/i)
  })
})

describe("trailers that cannot be any", () => {
  const chunked = "connection: x-hop\r\ntransfer-encoding: chunked\r\n"

  it.each(droppedTrailers)("cost a response nothing but themselves: %s", async (field) => {
    const body = `3\r\nabc\r\n0\r\nx-sum: 1\r\n${field}\r\n\r\n`
    const program = await mesh.offer(answering(`HTTP/1.1 200 OK\r\n${chunked}\r\n${body}`))
    const client = mesh.client()
    for (let n = 0; n < 2; n++) {
      client.text = ""
      received = ""
      client.send(request("GET"))
      await client.receives(/\r\n3\r\nabc\r\n0\r\nx-sum: 1\r\n\r\n$/)
    }
    // And its connection is good for the next.
    expect(program.accepted()).toBe(1)
    await mesh.idle()
  })

  it.each(droppedTrailers)("cost a request nothing but themselves: %s", async (field, label) => {
    await mesh.offer(answering(ok))
    const client = mesh.client()
    client.send(request("POST", chunked, `3\r\nabc\r\n0\r\nx-sum: 1\r\n${field}\r\n\r\n`))
    await client.receives(/ok$/)
    expect(received).toMatch(/\r\n3\r\nabc\r\n0\r\nx-sum: 1\r\n\r\n$/)
    const counted = mesh.a.metrics.families.get("skein_listener_dropped_trailers_total")?.cells
    expect([...(counted?.values() ?? [])]).toMatchObject([
      { labels: { field: label }, cell: { value: 1 } }
    ])
  })
})

describe("a final response with Upgrade", () => {
  const head = "content-length: 2\r\nconnection: upgrade\r\nupgrade: websocket\r\n"

  it("keeps it, as 426 must, and the connection", async () => {
    await mesh.offer(answering(`HTTP/1.1 426 Upgrade Required\r\n${head}\r\nno`, ok))
    const client = mesh.client().send(request("GET"))
    await client.receives(/no$/)
    expect(client.text).toMatch(/\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nno$/)
    received = ""
    client.send(request("GET"))
    await client.receives(/ok$/)
    await mesh.idle()
  })

  it("keeps it where the connection ends, and for a client that asked for a switch", async () => {
    await mesh.offer(answering(`HTTP/1.1 426 Upgrade Required\r\n${head}\r\nno`))
    const asked = "connection: close, upgrade\r\nupgrade: chat\r\n"
    const client = mesh.client().send(request("GET", asked))
    await client.end()
    expect(client.text).toMatch(/\r\nconnection: close, upgrade\r\nupgrade: websocket\r\n\r\nno$/)
  })

  it("does not offer HTTP/2, which the mesh would not relay", async () => {
    await mesh.offer(
      answering(ok.replace("2\r\n", "2\r\nconnection: upgrade\r\nupgrade: h2,h2c\r\n"))
    )
    const client = mesh.client().send(request("GET"))
    await client.receives(/ok$/)
    expect(client.text).not.toMatch(/upgrade/i)
  })
})

describe("Max-Forwards", () => {
  it("is counted down once, since the mesh is one hop, and ends at the first of its nodes", async () => {
    await mesh.offer(answering(ok))
    const client = mesh.client().send(request("TRACE", "max-forwards: 1\r\n"))
    await client.receives(/ok$/)
    expect(received).toMatch(/\r\nmax-forwards: 0\r\n/)
    expect(received).toMatch(/\r\nvia: 1.1 host-a\r\n/)
    received = ""
    client.text = ""
    client.send(request("TRACE", "max-forwards: 0\r\n"))
    await client.receives(/TRACE \/ HTTP\/1.1\r\n[\s\S]*\r\n\r\n$/)
    expect(client.text).toContain("skein-node: host-a")
    expect(received).toBe("")
    await mesh.idle()
  })
})

describe("the port of one service", () => {
  it.each([
    ["GET / HTTP/1.0\r\n\r\n", "payments.mesh"],
    ["GET / HTTP/1.1\r\nhost:\r\n\r\n", "payments.mesh"],
    ["OPTIONS * HTTP/1.1\r\nhost:\r\n\r\n", "payments.mesh"],
    ["GET / HTTP/1.1\r\nhost: localhost:\r\n\r\n", "localhost"]
  ])("names somebody to the program: %j", async (text, host) => {
    await mesh.offer(answering(ok))
    const { address } = await mesh.fixed()
    const client = mesh.client(address.port).send(text)
    await client.receives(/ok$/)
    expect(received).toMatch(new RegExp(`^[A-Z]+ [^ ]+ HTTP/1.1\\r\\nhost: ${host}\\r\\n`))
    expect(received).toContain(`\r\nx-forwarded-host: ${host}\r\n`)
  })
})
