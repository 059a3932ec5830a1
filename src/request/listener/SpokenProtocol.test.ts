import net from "node:net"
import tls from "node:tls"
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { readClientHello } from "./ClientHello.ts"
import { mostLookedAt, spokenBy } from "./SpokenProtocol.ts"

/** What a client of this runtime says first. */
const helloFor = (servername: string | undefined): Promise<Buffer> =>
  new Promise((resolve) => {
    const server = net.createServer((socket) => {
      socket.on("error", () => undefined)
      let heard = Buffer.alloc(0)
      socket.on("data", (chunk) => {
        heard = Buffer.concat([heard, chunk])
        if (heard.length < 5 + heard.readUInt16BE(3)) return
        server.close()
        socket.destroy()
        resolve(heard)
      })
    })
    server.listen(0, "127.0.0.1", () => {
      const address = server.address()
      const port = typeof address === "object" && address !== null ? address.port : 0
      const named = servername === undefined ? {} : { servername }
      tls.connect({ host: "127.0.0.1", port, ...named }).on("error", () => undefined)
    })
  })

/** The same message, in records of so many bytes. */
const inRecords = (hello: Buffer, size: number): Buffer => {
  const message = hello.subarray(5)
  const records: Array<Buffer> = []
  for (let at = 0; at < message.length; at += size) {
    const part = message.subarray(at, at + size)
    const head = Buffer.from([...hello.subarray(0, 3), part.length >> 8, part.length & 0xff])
    records.push(head, part)
  }
  return Buffer.concat(records)
}

const kindOf = (text: string): string | undefined => spokenBy(Buffer.from(text, "latin1"))?.kind

describe("spokenBy", () => {
  it("knows requests by a method and the beginning of a target", () => {
    for (const text of [
      "GET / HTTP/1.1\r\n",
      "POST http://payments.mesh/ HTTP/1.1\r\n",
      "OPTIONS * HTTP/1.1\r\n",
      "CONNECT payments.mesh:80 HTTP/1.1\r\n",
      "\r\nM-SEARCH /x HTTP/1.1\r\n",
      "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    ]) {
      expect(kindOf(text)).toBe("http")
    }
  })

  it("takes other protocols for bytes at once", () => {
    for (const text of [
      "*1\r\n$4\r\nPING\r\n",
      "PING\r\n",
      "EHLO mail.test\r\n",
      "get key\r\n",
      "SSH-2.0-OpenSSH_9.6\r\n",
      "AMQP\x00\x00\x09\x01",
      "\x00\x00\x00\x08\x04\xd2\x16\x2f",
      "\x16\x02\x00",
      "SELECT 1;",
      `${"A".repeat(25)} /`
    ]) {
      expect(kindOf(text)).toBe("tcp")
    }
  })

  it("waits where it may become either", () => {
    for (const text of ["", "G", "GET", "GET ", "PRI ", "GET h", "GET htt", "CONNECT ", "\r\n"]) {
      expect(kindOf(text)).toBeUndefined()
    }
  })

  it("reads for whom TLS asks, however it comes", async () => {
    const hello = await helloFor("payments.mesh")
    const spoken = { kind: "tls", serverName: "payments.mesh" }
    expect(spokenBy(hello)).toEqual(spoken)
    expect(spokenBy(Buffer.concat([hello, Buffer.from("more")]))).toEqual(spoken)
    for (const size of [1, 7, 100]) expect(spokenBy(inRecords(hello, size))).toEqual(spoken)
    for (let length = 0; length < hello.length; length++) {
      expect(spokenBy(hello.subarray(0, length))).toBeUndefined()
    }
    expect(spokenBy(await helloFor(undefined))).toEqual({ kind: "tls", serverName: undefined })
  })

  it("gives up on a hello that has no end", () => {
    const endless = Buffer.alloc(mostLookedAt)
    endless.set([22, 3, 1, 0x40, 0, 1, 0xff, 0xff, 0xff])
    expect(spokenBy(endless.subarray(0, mostLookedAt - 1))).toBeUndefined()
    expect(spokenBy(endless)).toEqual({ kind: "tls", serverName: undefined })
  })

  it("does not change its mind when more comes, and takes any bytes", async () => {
    const hello = await helloFor("payments.mesh")
    const beginnings = fc.oneof(
      fc.uint8Array({ maxLength: 80 }).map((bytes) => Buffer.from(bytes)),
      fc
        .string({ unit: fc.constantFrom(..."GETPRICONhtp /*\r\n-a"), maxLength: 40 })
        .map(Buffer.from),
      fc.array(fc.tuple(fc.nat(hello.length - 1), fc.nat(255)), { maxLength: 4 }).map((changes) => {
        const changed = Buffer.from(hello)
        for (const [at, value] of changes) changed[at] = value
        return changed
      })
    )
    fc.assert(
      fc.property(beginnings, fc.nat(600), (bytes, cut) => {
        const before = spokenBy(bytes.subarray(0, cut))
        if (before !== undefined) expect(spokenBy(bytes)).toEqual(before)
        expect(() => readClientHello(bytes)).not.toThrow()
      }),
      { numRuns: 500 }
    )
  })
})
