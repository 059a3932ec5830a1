import { once } from "node:events"
import net from "node:net"
import { afterEach, describe, expect, it, vi } from "@effect/vitest"
import { ManualTicker } from "../../testing/LinkTestPair.ts"
import { prefaceFirstByte } from "../wire/LinkPreface.ts"
import { MeshPort, type MeshPortOptions, type SortedConnection } from "./MeshPort.ts"
import { MeshPortError } from "./MeshPortError.ts"
import { parseTcpAddress } from "./TcpAddress.ts"

const eventually = (condition: () => void) => vi.waitFor(condition, { timeout: 5_000, interval: 1 })

const closers: Array<() => unknown> = []
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

/** A port that keeps what came to it, by whose it is. */
const open = async (options: Partial<MeshPortOptions> = {}) => {
  const ticker = new ManualTicker()
  const heard = { link: [] as Array<string>, foreign: [] as Array<string> }
  const keep =
    (list: Array<string>) =>
    ({ socket, reads, first }: SortedConnection): void => {
      closers.push(() => socket.destroy())
      socket.on("error", () => undefined)
      const at = list.push(first.toString("latin1")) - 1
      reads.onBytes = (bytes) => {
        list[at] += bytes.toString("latin1")
      }
    }
  const port = await MeshPort.open({
    listen: ["/ip4/127.0.0.1/tcp/0"],
    reusePort: false,
    ticker,
    onLink: keep(heard.link),
    foreign: keep(heard.foreign),
    ...options
  })
  closers.push(() => port.close())
  const { port: number } = parseTcpAddress(port.addresses[0]!)!
  const connect = async () => {
    const socket = net.connect({ host: "127.0.0.1", port: number })
    const end = { closed: false }
    socket.on("error", () => undefined)
    socket.on("close", () => {
      end.closed = true
    })
    closers.push(() => socket.destroy())
    await once(socket, "connect")
    return { socket, end }
  }
  return { port, ticker, heard, number, connect }
}

const link = `${String.fromCharCode(prefaceFirstByte)}SKL and more`
const greeting = "\x13/multistream/1.0.0\n"
const libp2p = `${greeting}\x0f/skein/noise/3\n`

describe("the port for other nodes", () => {
  it("turns away by address who asks for a handshake, with a word, and no link", async () => {
    const { connect, heard, port, ticker } = await open({ turnsAway: () => 3_000 })
    const [asking, other, linking] = [await connect(), await connect(), await connect()]
    let answer = ""
    asking.socket.on("data", (bytes) => {
      answer += bytes.toString("latin1")
    })
    asking.socket.write(`${libp2p}and more`, "latin1")
    other.socket.write(greeting, "latin1")
    linking.socket.write(link, "latin1")
    await eventually(() => expect([port.counts.turnedAway, heard.link]).toEqual([1, [link]]))
    expect([answer, asking.end.closed, heard.foreign]).toEqual(["", false, []])
    // A moment later, so that nobody comes again at once.
    ticker.advance(1_000)
    await eventually(() => expect(asking.end.closed).toBe(true))
    expect(answer).toBe(`${libp2p}\x01\x07\xd0`)
    // Who asks for nothing is waited for a while, as anybody is.
    expect(other.end.closed).toBe(false)
    ticker.advance(1_000)
    await eventually(() => expect(other.end.closed).toBe(true))
    expect(port.counts).toMatchObject({ accepted: 3, strange: 0, silent: 1, turnedAway: 1 })
  })

  it("turns away with a word also whose first words come in pieces, as those of libp2p do", async () => {
    const asks = ["\x13", "/multistream/1.0.0\n", "\x0f", "/skein/noise/3\n"]
    const { connect, port, ticker } = await open({ turnsAway: () => 3_000 })
    const { socket, end } = await connect()
    let answer = ""
    socket.on("data", (bytes) => {
      answer += bytes.toString("latin1")
    })
    socket.setNoDelay(true)
    for (const text of asks) {
      socket.write(text, "latin1")
      await new Promise((resolve) => setImmediate(resolve))
    }
    await eventually(() => expect(port.counts.turnedAway).toBe(1))
    ticker.advance(1_000)
    await eventually(() => expect(end.closed).toBe(true))
    expect(answer).toBe(`${asks.join("")}\x01\x07\xd0`)
  })

  it("tells a preface from libp2p by the first byte, and loses and repeats nothing", async () => {
    const { heard, connect } = await open()
    const [one, two] = [await connect(), await connect()]
    for (const [{ socket }, text] of [
      [one, link],
      [two, libp2p]
    ] as const) {
      socket.write(text.slice(0, 1), "latin1")
      await new Promise((resolve) => setImmediate(resolve))
      socket.write(text.slice(1), "latin1")
    }
    await eventually(() => expect(heard).toEqual({ link: [link], foreign: [libp2p] }))
    one.socket.write("!")
    two.socket.write("?")
    await eventually(() => expect(heard).toEqual({ link: [`${link}!`], foreign: [`${libp2p}?`] }))
  })

  it("closes what is neither, and counts it", async () => {
    const { port, heard, connect } = await open()
    for (const text of ["GET / HTTP/1.1\r\n\r\n", "\x16\x03\x01", "\0"]) {
      const { socket, end } = await connect()
      socket.write(text, "latin1")
      await eventually(() => expect(end.closed).toBe(true))
    }
    expect(heard).toEqual({ link: [], foreign: [] })
    expect(port.counts).toMatchObject({ accepted: 3, strange: 3 })
  })

  it("hands on those alone that ask for a handshake, and answers the others itself", async () => {
    const { connect, heard, port, ticker } = await open()
    const other = "\x0f/skein/noise/4\n"
    const says = async (text: string) => {
      const { socket, end } = await connect()
      const peer = { socket, end, heard: "" }
      socket.on("data", (bytes) => {
        peer.heard += bytes.toString("latin1")
      })
      socket.write(text, "latin1")
      return peer
    }
    const [silent, endless, later] = [
      await says(greeting),
      await says(greeting.repeat(1_000)),
      await says(greeting + other)
    ]
    await eventually(() => expect(endless.end.closed).toBe(true))
    await eventually(() => expect(later.heard).toBe(`${greeting}\x03na\n`))
    expect([heard.foreign, silent.heard, silent.end.closed, port.counts.strange]).toEqual([
      ...[[], "", false, 1]
    ])
    later.socket.write(libp2p.slice(greeting.length), "latin1")
    await eventually(() => expect(heard.foreign).toEqual([libp2p.slice(greeting.length)]))
    ticker.advance(2_000)
    await eventually(() => expect(silent.end.closed).toBe(true))
    expect([heard.foreign.length, later.end.closed, port.counts.silent]).toEqual([1, false, 1])
  })

  it("does not wait for ever for the first words, and leaves alone who has said it", async () => {
    const { port, ticker, heard, connect } = await open({ patience: 500 })
    const [silent, spoken] = [await connect(), await connect()]
    spoken.socket.write(libp2p, "latin1")
    await eventually(() => expect(heard.foreign).toHaveLength(1))
    await eventually(() => expect(port.counts.accepted).toBe(2))
    ticker.advance(490)
    await new Promise(setImmediate)
    expect(silent.end.closed).toBe(false)
    ticker.advance(30)
    await eventually(() => expect(silent.end.closed).toBe(true))
    expect(port.counts.silent).toBe(1)
    spoken.socket.write("more")
    await eventually(() => expect(heard.foreign[0]).toBe(`${libp2p}more`))
  })

  it("keeps so many that have said nothing: the oldest makes room", async () => {
    const { port, heard, connect } = await open({ undecided: 2 })
    const held = [await connect()]
    await eventually(() => expect(port.counts.accepted).toBe(1))
    held.push(await connect(), await connect())
    await eventually(() => expect(held[0]!.end.closed).toBe(true))
    expect(port.counts).toMatchObject({ displaced: 1, silent: 0 })
    held[2]!.socket.write(libp2p, "latin1")
    await eventually(() => expect(heard.foreign).toHaveLength(1))
    expect(held[1]!.end.closed).toBe(false)
  })

  it("is open on all addresses or on none, and says why", async () => {
    const { number } = await open()
    const listen = ["/ip4/127.0.0.1/tcp/0", `/ip4/127.0.0.1/tcp/${number}`]
    const failed = await open({ listen }).catch((error: unknown) => error)
    expect(failed).toBeInstanceOf(MeshPortError)
    expect(failed).toMatchObject({
      code: "port_in_use",
      value: listen[1],
      message: expect.stringMatching(/^cannot listen on .*another program already listens there/)
    })
    await expect(open({ listen: ["/ip4/192.0.2.1/tcp/0"] })).rejects.toMatchObject({
      code: "address_not_local"
    })
    await expect(open({ listen: ["/dns/example/tcp/1"] })).rejects.toMatchObject({
      code: "bad_multiaddr",
      message: expect.stringContaining("write /ip4/ADDRESS/tcp/PORT")
    })
  })

  it("is shared by those who say so, and by nobody else", async () => {
    const { port } = await open({ reusePort: true })
    const other = await open({ reusePort: true, listen: port.addresses })
    expect(other.port.addresses).toEqual(port.addresses)
    await expect(open({ listen: port.addresses })).rejects.toMatchObject({ code: "port_in_use" })
  })

  it("closes with those that have said nothing, and leaves what it has handed on", async () => {
    const { port, heard, connect } = await open()
    const [silent, spoken] = [await connect(), await connect()]
    spoken.socket.write(link, "latin1")
    await eventually(() => expect(heard.link).toHaveLength(1))
    await eventually(() => expect(port.counts.accepted).toBe(2))
    await port.close()
    await eventually(() => expect(silent.end.closed).toBe(true))
    spoken.socket.write("!")
    await eventually(() => expect(heard.link[0]).toBe(`${link}!`))
    expect(port.addresses).toEqual([])
  })
})

it("gives up a connection whose taker throws, and takes the next", async () => {
  const defects: Array<unknown> = []
  let taken = 0
  const { connect } = await open({
    onDefect: (error, where) => defects.push([where, String(error)]),
    onLink: () => {
      taken++
      throw new Error("thrown by the test")
    }
  })
  for (const times of [1, 2]) {
    const { socket, end } = await connect()
    socket.write(link, "latin1")
    await eventually(() => expect(end.closed).toBe(true))
    expect(taken).toBe(times)
  }
  expect(defects).toEqual(
    new Array(2).fill(["the port for other nodes", "Error: thrown by the test"])
  )
})
