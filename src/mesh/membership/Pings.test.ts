import { describe, expect, it } from "vitest"
import { PeerKey } from "../../model/Names.ts"
import { TimerWheel } from "../../model/TimerWheel.ts"
import { MemoryNetwork } from "../../testing/MemoryNetwork.ts"
import type { RpcTransport } from "../host/RpcTransport.ts"
import type { PingAnswer } from "./MembershipMessages.ts"
import { PeerClocks } from "./PeerClocks.ts"
import { type AnswerPing, Pings } from "./Pings.ts"

const a = PeerKey.make("12D3KooWKF6X2KPTPHQSgDgd6jQNQ3rLyy9J3FJvguN8ugfxZVKh")
const b = PeerKey.make("12D3KooWPGHHQPPrz4zwD3XH7Snc946bbQw67T6L9qWjdTYQDc7h")

const settled = () => new Promise((done) => setImmediate(done))

const setUp = async (answer: AnswerPing, connect: () => Promise<void> = async () => undefined) => {
  const network = new MemoryNetwork()
  const wheel = new TimerWheel(0)
  const clock = { now: 0 }
  const ticker = {
    now: () => clock.now,
    wall: () => 1_000_000 + clock.now,
    after: (delay: number, callback: () => void) => wheel.schedule(clock.now, delay, callback)
  }
  const clocks = { a: new PeerClocks(ticker), b: new PeerClocks(ticker) }
  const streams = { opened: 0 }
  const own = network.transport(a)
  const counted: RpcTransport = {
    ...own,
    open: (...asked) => {
      streams.opened++
      return own.open(...asked)
    }
  }
  const rest = { ticker, connect, addressesOf: () => [] }
  const asking = new Pings({ ...rest, transport: counted, clocks: clocks.a })
  const answering = new Pings({ ...rest, transport: network.transport(b), clocks: clocks.b })
  await answering.listen(answer)
  const answers: Array<PingAnswer | undefined> = []
  const ping = (accused?: number, late?: (got: PingAnswer) => void) =>
    asking.ping(b, accused, 500, (got) => answers.push(got), late)
  const pass = (ms: number) => {
    clock.now += ms
    wheel.advance(clock.now)
  }
  const connected = () => own.connectedPeers()
  return { network, clocks, asking, streams, connected, answers, ping, pass }
}

const alive: AnswerPing = (_from, accused, reply) =>
  reply({ incarnation: 5, alive: accused === undefined ? undefined : Uint8Array.of(accused) })

describe("pings", () => {
  it("are answered on one stream, with the denial of who is accused, and tell the clocks", async () => {
    const heard: Array<PeerKey> = []
    const { answers, clocks, ping, streams } = await setUp((from, accused, reply) => {
      heard.push(from)
      alive(from, accused, reply)
    })
    ping()
    ping(3)
    await settled()
    ping()
    await settled()
    const plain = { incarnation: 5, alive: undefined }
    expect(answers).toEqual([plain, { incarnation: 5, alive: Uint8Array.of(3) }, plain])
    expect(heard).toEqual([a, a, a])
    expect(streams.opened).toBe(1)
    expect(clocks.a.aheadOf(b)).toBe(0)
    expect(clocks.b.aheadOf(a)).toBeDefined()
  })

  it("have no answer after their time, and one that comes later is passed over", async () => {
    const late: Array<() => void> = []
    const { answers, pass, ping } = await setUp((from, accused, reply) => {
      late.push(() => alive(from, accused, reply))
    })
    ping()
    await settled()
    pass(499)
    expect(answers).toEqual([])
    pass(2)
    expect(answers).toEqual([undefined])
    late[0]?.()
    await settled()
    expect(answers).toEqual([undefined])
  })

  it("are listened for a second longer, by whom an answer that is late means something", async () => {
    const replies: Array<() => void> = []
    const { answers, pass, ping } = await setUp((from, accused, reply) => {
      replies.push(() => alive(from, accused, reply))
    })
    const late: Array<PingAnswer> = []
    const asked = (n: number) => {
      ping(undefined, (got) => late.push(got))
      return { reply: () => replies[n]?.() }
    }
    const [soon, never] = [asked(0), asked(1)]
    await settled()
    pass(501)
    expect(answers).toEqual([undefined, undefined])
    pass(900)
    soon.reply()
    await settled()
    expect(late).toEqual([{ incarnation: 5, alive: undefined }])
    pass(200)
    never.reply()
    soon.reply()
    await settled()
    expect(late).toHaveLength(1)
    expect(answers).toHaveLength(2)
  })

  it("of whom nobody speaks when the stream breaks while they are listened for", async () => {
    const { answers, network, pass, ping } = await setUp(() => undefined)
    const late: Array<PingAnswer> = []
    ping(undefined, (got) => late.push(got))
    await settled()
    pass(501)
    network.cut(a, b, new Error("cut"))
    expect(answers).toEqual([undefined])
    expect(late).toEqual([])
  })

  it("have none at once when the stream breaks, and the next one makes another", async () => {
    const { answers, network, ping, streams } = await setUp(() => undefined)
    ping()
    ping()
    await settled()
    network.cut(a, b, new Error("cut"))
    expect(answers).toEqual([undefined, undefined])
    ping()
    await settled()
    expect(streams.opened).toBe(2)
  })

  it("have none at once where there is no connection to be had", async () => {
    const { answers, ping } = await setUp(alive, () => Promise.reject(new Error("resting")))
    ping()
    await settled()
    expect(answers).toEqual([undefined])
  })

  it("to one peer are bounded", async () => {
    const { answers, ping } = await setUp(() => undefined)
    for (let i = 0; i < 40; i++) ping()
    expect(answers).toHaveLength(8)
  })

  it("that are under way end when it stops, and there are none after", async () => {
    const { answers, asking, connected, ping } = await setUp(() => undefined)
    ping()
    await settled()
    asking.stop()
    expect(answers).toEqual([undefined])
    ping()
    await settled()
    expect(answers).toEqual([undefined, undefined])
    expect(connected()).toEqual([])
  })
})
