/**
 * The two halves of a tunnel end on their own, whoever is first, through both hops and by every
 * way into a tunnel: a local TCP port, CONNECT, and an upgrade.
 */
import type net from "node:net"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { Flood, rawProgram } from "../../src/testing/InboundFixture.ts"
import type { RawClient } from "../../src/testing/ListenerFixture.ts"
import { request, settled, TwoHosts, turn } from "./TwoHosts.ts"

let mesh: TwoHosts
beforeEach(async () => {
  mesh = await new TwoHosts().start()
})
afterEach(async () => {
  const defects = mesh.hosts.flatMap((host) => host.defects)
  await mesh.stop()
  expect(defects).toEqual([])
})

const ways = ["tcp", "CONNECT", "upgrade"] as const
const switched = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n"

/** The tunnel's two ends, once it stands. */
const open = async (
  way: (typeof ways)[number]
): Promise<{ client: RawClient; program: net.Socket }> => {
  const { promise, resolve } = Promise.withResolvers<net.Socket>()
  await mesh.offer(
    rawProgram((socket) => {
      if (way !== "upgrade") return resolve(socket)
      socket.once("data", () => {
        socket.write(switched)
        resolve(socket)
      })
    }),
    way === "tcp" ? "tcp" : "http"
  )
  const port = way === "tcp" ? (await mesh.tcp()).address.port : undefined
  const client = mesh.client(port)
  if (way === "CONNECT") {
    client.send("CONNECT payments.mesh:80 HTTP/1.1\r\nhost: payments.mesh:80\r\n\r\n")
  } else if (way === "upgrade")
    client.send(request("GET", "connection: upgrade\r\nupgrade: echo\r\n"))
  const program = await promise
  if (way !== "tcp") await client.receives(/\r\n\r\n$/)
  client.text = ""
  client.bytes = 0
  return { client, program }
}

/** All that comes until the other side's FIN. */
const whole = (socket: net.Socket): Promise<string> =>
  new Promise((resolve, reject) => {
    let text = ""
    socket.on("data", (chunk) => {
      text += chunk.toString("latin1")
    })
    socket.on("end", () => resolve(text))
    socket.on("close", () => reject(new Error("closed before its end")))
  })

/** A socket that is closed for good answers only to what is sent to it. */
const untilReset = async (client: RawClient): Promise<void> => {
  while (!client.socket.destroyed) {
    client.send("nobody reads this")
    await turn()
  }
  expect(client.error).toMatchObject({ code: expect.stringMatching(/^(ECONNRESET|EPIPE)$/) })
}

const size = 3_000_000

describe.each(ways)("a tunnel by %s", (way) => {
  it("goes on towards a program that has closed its half", async () => {
    const { client, program } = await open(way)
    program.end("that was all")
    await client.end()
    expect(client.text).toBe("that was all")
    const received = whole(program)
    const sent = "x".repeat(size)
    client.socket.end(sent)
    expect((await received).length).toBe(size)
    await client.closed
    expect(client.error).toBeUndefined()
    await mesh.idle()
  })

  it("goes on towards a client that has closed its half", async () => {
    const { client, program } = await open(way)
    const received = whole(program)
    client.socket.end("a question")
    expect(await received).toBe("a question")
    program.end("x".repeat(size))
    await client.closed
    expect(client.bytes).toBe(size)
    expect(client.error).toBeUndefined()
    await mesh.idle()
  })

  it("that no side says anything in ends with both FINs", async () => {
    const { client, program } = await open(way)
    const received = whole(program)
    program.end()
    await client.end()
    client.socket.end()
    expect(await received).toBe("")
    await client.closed
    await mesh.idle()
  })

  it("delivers all of an answer to a client whose bytes the program does not take any more", async () => {
    const { client, program } = await open(way)
    client.socket.pause()
    const answer = "x".repeat(size)
    // Closed for good, with bytes unread: the system resets what else comes.
    program.end(answer, () => program.destroy())
    await settled(() => program.bytesWritten)
    client.send("nobody reads this")
    client.socket.resume()
    await client.until(() => client.ended || client.error !== undefined)
    expect(client.bytes).toBe(size)
    await untilReset(client)
    await mesh.idle()
  })

  it("is reset towards the program by a client that breaks off after the program's FIN", async () => {
    const { client, program } = await open(way)
    program.resume()
    const broken = new Promise<unknown>((resolve) => program.once("error", resolve))
    program.end("bye")
    await client.end()
    client.send("half of")
    await settled(() => program.bytesRead)
    client.socket.resetAndDestroy()
    expect(await broken).toMatchObject({ code: "ECONNRESET" })
    await mesh.idle()
  })

  it("holds the client back while a program that has closed its half does not read", async () => {
    const { client, program } = await open(way)
    program.pause()
    program.end()
    await client.end()
    const flood = new Flood(client.socket, 64 * 1024 * 1024)
    expect(await settled(() => flood.written)).toBeLessThan(32 * 1024 * 1024)
    client.socket.destroy()
    program.resume()
    await mesh.idle()
  })

  it("ends when nothing moves in the half that is left, by the policy's idle limit", async () => {
    const { client, program } = await open(way)
    program.resume()
    program.end()
    await client.end()
    for (const { ticker } of mesh.hosts) ticker.advance(2 * 3_600_000)
    await untilReset(client)
    await mesh.idle()
  })
})

it("a client that says all it has to say with its CONNECT, and ends, has its answer", async () => {
  await mesh.offer(
    rawProgram((socket) => {
      let text = ""
      socket.on("data", (chunk) => {
        text += chunk.toString("latin1")
      })
      socket.on("end", () => socket.end(`had ${text}`))
    }),
    "http"
  )
  const client = mesh.client()
  client.socket.end("CONNECT payments.mesh:80 HTTP/1.1\r\nhost: payments.mesh:80\r\n\r\nall")
  await client.receives(/had all/)
  expect(client.text).toMatch(/^HTTP\/1.1 200/)
})
