import net from "node:net"
import { afterEach, describe, expect, it, vi } from "@effect/vitest"
import { RecordSealer } from "../../model/RecordCipher.ts"
import {
  closeAll,
  closeLater,
  hosts,
  impostor,
  prefaceOf,
  raw,
  refusals,
  turn,
  withTime
} from "../../testing/SessionCallers.ts"
import { type ChannelOwner, freshSecret, SessionHost, share } from "../../testing/SessionHosts.ts"
import { encodeRefusal, type LinkRefusal } from "../wire/LinkPreface.ts"
import { recordKinds } from "./SealedChannel.ts"
import { parseTcpAddress } from "./TcpAddress.ts"

const eventually = (condition: () => void) => vi.waitFor(condition, { timeout: 5_000, interval: 1 })

afterEach(closeAll)

/** The other end of what was dialled last. */
const acceptedBy = async ({ accepted }: SessionHost, count = 1): Promise<ChannelOwner> => {
  await eventually(() => expect(accepted).toHaveLength(count))
  return accepted[count - 1]!.owner
}

describe("who calls", () => {
  it("with half a preface and then nothing is closed after a while", async () => {
    const pair = await hosts()
    const { b, ticker } = pair
    const { atA } = share(pair)
    const { socket, heard } = await raw(b)
    socket.write(prefaceOf(pair, atA).bytes.subarray(0, 30))
    await eventually(() => expect(b.sockets).toHaveLength(1))
    ticker.advance(1_900)
    await turn()
    expect(heard.closed).toBe(false)
    ticker.advance(200)
    await eventually(() => expect(heard.closed).toBe(true))
    expect(heard.bytes).toHaveLength(0)
    expect(b.transport.counts.abandoned).toBe(1)
  })

  it("with a whole preface and no hello has no link, and is closed after a while", async () => {
    const pair = await hosts()
    const { b, ticker } = pair
    const { atA } = share(pair)
    const { socket, heard } = await raw(b)
    socket.write(prefaceOf(pair, atA).bytes)
    await eventually(() => expect(heard.bytes.length).toBeGreaterThan(0))
    ticker.advance(2_100)
    await eventually(() => expect(heard.closed).toBe(true))
    expect(b.accepted).toEqual([])
    expect(b.transport.counts).toMatchObject({ links: 0, abandoned: 1 })
  })

  it("with a preface in crumbs is heard all the same", async () => {
    const pair = await hosts()
    const { b } = pair
    const { atA } = share(pair)
    const preface = prefaceOf(pair, atA)
    const { socket, heard } = await raw(b)
    for (const byte of preface.bytes) {
      socket.write(Buffer.of(byte))
      await turn()
    }
    await eventually(() => expect(heard.bytes.length).toBe(58))
    const answer = preface.push(heard.bytes)
    if (answer?.linked !== true) throw new Error("no link")
    const hello = new RecordSealer(answer.keys.send).seal(recordKinds.hello, 0, Buffer.alloc(0))
    for (const byte of hello) {
      socket.write(Buffer.of(byte))
      await turn()
    }
    await acceptedBy(b)
  })

  it("with garbage, another version or another session id is told so", async () => {
    const pair = await hosts()
    const { b } = pair
    const { atA } = share(pair)
    const { bytes } = prefaceOf(pair, atA)
    const altered = (at: number): Buffer => {
      const copy = Buffer.from(bytes)
      copy[at]! ^= 1
      return copy
    }
    const known = freshSecret()
    b.sessions.put(b.half(pair.a, known))
    const otherSession = Buffer.from(bytes)
    otherSession.write(known.id, 5, "hex")
    const cases: ReadonlyArray<readonly [Buffer, LinkRefusal]> = [
      [Buffer.concat([bytes.subarray(0, 2), Buffer.from("garbage")]), "malformed"],
      [altered(4), "version"],
      [altered(5), "unknown_session"],
      [otherSession, "not_genuine"],
      [altered(21), "not_genuine"], // the thread
      [altered(23), "not_genuine"], // the number of the try
      [altered(60), "not_genuine"]
    ]
    for (const [sent, code] of cases) {
      const { socket, heard } = await raw(b)
      socket.write(sent)
      await eventually(() => expect(heard.bytes).toEqual(encodeRefusal(code)))
    }
    expect(b.accepted).toEqual([])
  })

  it("with what was recorded of another is refused, counted, and has no link", async () => {
    const pair = await hosts()
    const { a, b } = pair
    share(pair)
    const recorded: Array<Buffer> = []
    const forward = new net.Socket()
    forward.on("error", () => undefined)
    closeLater(() => forward.destroy())
    const relay = await impostor((socket, bytes) => {
      recorded.push(bytes)
      if (recorded.length === 1) {
        forward.connect(parseTcpAddress(b.addresses[0]!)!.port, "127.0.0.1")
        forward.on("data", (back) => socket.write(back))
      }
      forward.write(bytes)
    })
    const near = await a.dial(b, [relay.address])
    near.channel.write(Buffer.from("pay 100"))
    const far = await acceptedBy(b)
    await eventually(() => expect(far.text).toBe("pay 100"))
    const { socket, heard } = await raw(b)
    for (const bytes of recorded) socket.write(bytes)
    await eventually(() => expect(heard.bytes).toEqual(encodeRefusal("replayed")))
    expect(b.accepted).toHaveLength(1)
    expect(refusals(b)).toEqual({ replayed: 1 })
    // A thread that has not seen it answers it, and hears nothing that opens.
    const thread = new SessionHost("B", pair.ticker)
    closeLater(() => thread.stop())
    await thread.listen()
    const session = b.sessions.newest(a.peer)!
    thread.sessions.put(session)
    const second = await raw(thread)
    for (const bytes of recorded) second.socket.write(bytes)
    await eventually(() => expect(second.heard.closed).toBe(true))
    expect(thread.accepted).toEqual([])
    expect(thread.transport.counts.links).toBe(0)
  })

  it("too often is told when to come back, and comes back", async () => {
    const pair = await hosts({}, { accept: { perSecond: 2 } })
    const { a, b, ticker } = pair
    share(pair)
    await a.dial(b)
    await a.dial(b)
    const third = a.dial(b)
    await eventually(() => expect(refusals(b)).toEqual({ busy: 1 }))
    const before = ticker.now()
    await withTime(ticker, third)
    expect(ticker.now() - before).toBeGreaterThanOrEqual(500)
    await acceptedBy(b, 3)
    expect(refusals(b)).toEqual({ busy: 1 })
  })

  it.each([{ links: 1 }, { perPeer: 1 }])(
    "when there are all the links there may be is told to come back (%o)",
    async (accept) => {
      const pair = await hosts({}, { accept })
      const { a, b, ticker } = pair
      share(pair)
      const first = await a.dial(b)
      await acceptedBy(b)
      const second = a.dial(b)
      await eventually(() => expect(refusals(b)).toEqual({ busy: 1 }))
      first.channel.close()
      await eventually(() => expect(b.transport.counts.links).toBe(0))
      await withTime(ticker, second)
      await acceptedBy(b, 2)
    }
  )

  it("does not displace who shakes hands and goes on", async () => {
    const pair = await hosts({}, { accept: { handshakes: 2 } })
    const { a, b } = pair
    const { atA } = share(pair)
    const near = await a.dial(b)
    const far = await acceptedBy(b)
    const silent: Array<Awaited<ReturnType<typeof raw>>> = []
    for (let i = 0; i < 3; i++) {
      const it = await raw(b)
      it.socket.write(prefaceOf(pair, atA).bytes)
      await eventually(() => expect(it.heard.bytes.length).toBeGreaterThan(0))
      silent.push(it)
    }
    await eventually(() => expect(silent[0]!.heard.closed).toBe(true))
    expect(silent[2]!.heard.closed).toBe(false)
    expect([near.closed, far.closed]).toEqual([undefined, undefined])
  })
})
