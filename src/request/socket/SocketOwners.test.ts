import { once } from "node:events"
import net from "node:net"
import { describe, expect, it } from "vitest"
import { ownerIn, SocketOwners, type SocketTables, whyNoOwners } from "./SocketOwners.ts"

const row = (local: string, remote: string, uid: number, inode: number, state = "01") =>
  `   1: ${local} ${remote} ${state} 00000000:00000000 00:00000000 00000000  ${uid}        0 ${inode} 1 0 20 4 30 10 -1\n`
const tables = (...texts: ReadonlyArray<string>) => texts.map((text) => Buffer.from(text, "latin1"))

const ends = (client: string, here = client) => ({
  client: { address: client, port: 0xc350 },
  here: { address: here, port: 4141 }
})

// The tables below are as a kernel of little endian writes them.
describe("the owner of a socket", () => {
  const four =
    row("0100007F:102D", "0100007F:C350", 5, 7) + row("0100007F:C350", "0100007F:102D", 1000, 9)
  const loopback = "00000000000000000000000001000000"
  const mapped = "0000000000000000FFFF00000100007F"

  it("is that of the client's end, not of the listener's", () => {
    expect(ownerIn(tables(four, ""), ends("127.0.0.1"))).toBe(1000)
    expect(ownerIn(tables(four, ""), ends("::ffff:127.0.0.1"))).toBe(1000)
  })

  it("is found by IPv6 addresses in all their forms", () => {
    const six = row(`${loopback}:C350`, `${loopback}:102D`, 33, 9)
    expect(ownerIn(tables("", six), ends("::1"))).toBe(33)
    expect(ownerIn(tables("", six), ends("0:0:0:0:0:0:0:1", "::1"))).toBe(33)
    const wide = row(`B80D0120000000000000000067452301:C350`, `${loopback}:102D`, 34, 9)
    expect(ownerIn(tables("", wide), ends("2001:db8::123:4567", "::1"))).toBe(34)
    expect(
      ownerIn(tables("", row(`${mapped}:C350`, `${mapped}:102D`, 35, 9)), ends("127.0.0.1"))
    ).toBe(35)
  })

  it("is nobody's for another port, another address, what is none, or none there", () => {
    expect(
      ownerIn(tables(four), { ...ends("127.0.0.1"), client: { address: "127.0.0.1", port: 1 } })
    ).toBeUndefined()
    expect(ownerIn(tables(four), ends("127.0.0.2"))).toBeUndefined()
    expect(ownerIn(tables(four), ends("::1::2"))).toBeUndefined()
    expect(ownerIn(tables("", ""), ends("127.0.0.1"))).toBeUndefined()
  })

  it("is not root where nobody holds the socket any more", () => {
    const left = row("0100007F:C350", "0100007F:102D", 0, 0, "06")
    expect(ownerIn(tables(left), ends("127.0.0.1"))).toBeUndefined()
  })
})

describe("reading whose sockets are", () => {
  it("is done once for all who ask meanwhile, and again for those who ask later", async () => {
    const reads: Array<(tables: ReadonlyArray<Buffer>) => void> = []
    const read: SocketTables = () => new Promise((resolve) => reads.push(resolve))
    const sut = new SocketOwners(read)
    const first = sut.ownerOf(ends("127.0.0.1"))
    const later = [sut.ownerOf(ends("127.0.0.1")), sut.ownerOf(ends("127.0.0.1"))]
    expect(reads).toHaveLength(1)
    reads[0]?.(tables(""))
    expect(await first).toBeUndefined()
    await Promise.resolve()
    expect(reads).toHaveLength(2)
    reads[1]?.(tables(row("0100007F:C350", "0100007F:102D", 1000, 9)))
    expect(await Promise.all(later)).toEqual([1000, 1000])
  })

  it("that fails is told to those who waited for it, and the next goes on", async () => {
    let fails = true
    const sut = new SocketOwners(() =>
      fails ? Promise.reject(new Error("no /proc")) : Promise.resolve(tables(""))
    )
    await expect(sut.ownerOf(ends("127.0.0.1"))).rejects.toThrow("no /proc")
    fails = false
    expect(await sut.ownerOf(ends("127.0.0.1"))).toBeUndefined()
    expect((await whyNoOwners(() => Promise.reject(new Error("x"))))?.message).toMatch(
      /needs Linux/
    )
  })

  it("finds this process's own user, over both families", async () => {
    for (const host of ["127.0.0.1", "::1"]) {
      const server = net.createServer()
      server.listen(0, host)
      await once(server, "listening")
      const address = server.address()
      if (address === null || typeof address === "string") throw new Error("no port")
      const client = net.connect(address.port, host)
      const [socket] = (await once(server, "connection")) as [net.Socket]
      await once(client, "connect")
      const found = await new SocketOwners().ownerOf({
        client: { address: socket.remoteAddress!, port: socket.remotePort! },
        here: { address: socket.localAddress!, port: socket.localPort! }
      })
      expect(found).toBe(process.getuid?.())
      client.destroy()
      socket.destroy()
      server.close()
    }
    expect(await whyNoOwners()).toBeUndefined()
  })
})
