import { describe, expect, it } from "vitest"
import { hostCaller, serviceCaller } from "../../model/Caller.ts"
import { accepted as acceptedHead, noFields } from "../../model/Exchange.ts"
import { NodeName, ServiceName } from "../../model/Names.ts"
import {
  clientGone,
  getHead,
  httpCall,
  makeLinkPair,
  okHead,
  postHead,
  Recorder,
  tcpCall
} from "../../testing/LinkTestPair.ts"
import { seededRandom } from "../../testing/simulator/EventQueue.ts"
import { FrameType } from "../wire/Frame.ts"
import { encodeOpening } from "../wire/FramePayload.ts"
import { FrameWriter } from "../wire/FrameWriter.ts"

const KiB = 1024
const MiB = 1024 * KiB

describe("an exchange over a link", () => {
  it("carries a call and its response whole", () => {
    const { dialed, served, pump } = makeLinkPair()
    const receiver = new Recorder()
    const stream = dialed.open(httpCall(postHead("/charge?x=1")), receiver)
    stream.write(Buffer.from("amount=1"))
    stream.end(["x-sum", "8"])
    expect(receiver.over).toBe(false)
    pump.settle()
    const [exchange] = served
    expect(exchange?.call).toEqual({ ...httpCall(postHead("/charge?x=1")) })
    expect(exchange?.text).toBe("amount=1")
    expect(exchange?.trailers).toEqual(["x-sum", "8"])
    exchange?.receiver.onInfo({ ...okHead(103), framing: { kind: "none" } })
    exchange?.receiver.onHead(okHead(201))
    exchange?.receiver.onData(Buffer.from("done"))
    exchange?.receiver.onEnd(["x-trailer", "yes"])
    pump.settle()
    expect(receiver.infos).toEqual([103])
    expect(receiver.head?.status).toBe(201)
    expect(receiver.head?.fields).toEqual(["content-type", "text/plain"])
    expect(receiver.text).toBe("done")
    expect(receiver.trailers).toEqual(["x-trailer", "yes"])
    expect(dialed.stats().exchanges).toBe(0)
  })

  it("names the peer of the handshake as the caller, whatever the call said", () => {
    const { dialed, served, pump, accepted } = makeLinkPair()
    dialed.open({ ...httpCall(), caller: dialed.remote }, new Recorder())
    pump.settle()
    expect(served[0]?.call.caller).toBe(accepted.remote)
  })

  it("says for which service a call speaks, and nothing of a host", () => {
    const { dialed, served, pump, accepted } = makeLinkPair({ carriesIdentity: true })
    const orders = serviceCaller(ServiceName.make("orders"))
    for (const identity of [orders, hostCaller(NodeName.make("host-z")), orders]) {
      dialed.open({ ...httpCall(), identity }, new Recorder())
      dialed.open({ ...tcpCall(), identity }, new Recorder())
    }
    pump.settle()
    const seen = served.map(({ call }) => call.identity)
    const itself = hostCaller(NodeName.make(accepted.remote))
    expect(seen).toEqual([orders, orders, itself, itself, orders, orders])
    // The same objects each time: whoever decides by them may remember.
    expect(seen[4]).toBe(seen[0])
    expect(seen[3]).toBe(seen[2])
  })

  it("carries a call in the host's name where there is no room for another", () => {
    const { dialed, served, pump, accepted } = makeLinkPair()
    const identity = serviceCaller(ServiceName.make("orders"))
    dialed.open({ ...httpCall(), identity }, new Recorder())
    pump.settle()
    expect(served[0]?.call.identity).toEqual(hostCaller(NodeName.make(accepted.remote)))
  })

  it("carries that a call goes past an open circuit between a program and its node alone", () => {
    for (const pastCircuits of [true, false]) {
      const { dialed, served, pump, downs } = makeLinkPair({ pastCircuits })
      for (const pastCircuit of [undefined, true, undefined]) {
        dialed.open({ ...httpCall(), pastCircuit }, new Recorder())
      }
      pump.settle()
      expect(served.map(({ call }) => call.pastCircuit)).toEqual([
        undefined,
        pastCircuits ? true : undefined,
        undefined
      ])
      expect(downs).toEqual([])
    }
  })

  it("carries a tunnel both ways", () => {
    const { dialed, served, pump } = makeLinkPair()
    const receiver = new Recorder()
    const stream = dialed.open(tcpCall(), receiver)
    stream.write(Buffer.from("ping"))
    pump.settle()
    expect(served[0]?.call).toEqual({ ...tcpCall() })
    expect(served[0]?.text).toBe("ping")
    served[0]?.receiver.onHead(acceptedHead)
    served[0]?.receiver.onData(Buffer.from("pong"))
    pump.settle()
    expect(receiver.text).toBe("pong")
    stream.end(noFields)
    pump.settle()
    served[0]?.receiver.onEnd(noFields)
    pump.settle()
    expect(receiver.trailers).toEqual([])
    expect(receiver.head).toEqual(acceptedHead)
  })

  it("puts everything of one turn into one write", () => {
    const { dialed, channels, pump, served } = makeLinkPair()
    pump.settle()
    let writes = 0
    const write = channels.left.write.bind(channels.left)
    channels.left.write = (bytes) => {
      writes++
      return write(bytes)
    }
    for (let i = 0; i < 20; i++) dialed.open(httpCall(), new Recorder()).end(noFields)
    pump.settle()
    expect(served.length).toBe(20)
    expect(writes).toBe(1)
  })

  it("does not wait for the request's end", () => {
    const { dialed, served, pump, accepted } = makeLinkPair()
    const receiver = new Recorder()
    const stream = dialed.open(httpCall(postHead()), receiver)
    stream.write(Buffer.from("first"))
    pump.settle()
    served[0]?.answer("early")
    pump.settle()
    expect(receiver.text).toBe("early")
    stream.write(Buffer.alloc(100_000))
    stream.end(noFields)
    pump.settle()
    expect(served[0]?.bytes).toBe(5)
    expect(accepted.stats().exchanges).toBe(0)
    expect(dialed.state).toBe("up")
  })

  it("works on a channel that cuts bytes anywhere", () => {
    const seed = 4711
    const random = seededRandom(seed)
    const { dialed, served, pump } = makeLinkPair({
      channel: { chunks: () => 1 + Math.floor(random() * 40) }
    })
    const receivers: Array<Recorder> = []
    for (let i = 0; i < 30; i++) {
      const receiver = new Recorder()
      receivers.push(receiver)
      const stream = dialed.open(httpCall(postHead(`/${i}`)), receiver)
      stream.write(Buffer.alloc(i * 50, "x"))
      stream.end(noFields)
    }
    pump.settle()
    served.forEach((exchange, i) => {
      expect(exchange.bytes, `seed ${seed}`).toBe(i * 50)
      exchange.answer(`answer ${exchange.call.head?.target}`)
    })
    pump.settle()
    expect(receivers.map((it) => it.text)).toEqual(receivers.map((_, i) => `answer /${i}`))
  })
})

describe("cancellation", () => {
  it("reaches the callee within one way", () => {
    const { dialed, served, pump, accepted } = makeLinkPair()
    const stream = dialed.open(httpCall(postHead()), new Recorder())
    pump.settle()
    stream.cancel(clientGone)
    pump.settle()
    expect(served[0]?.cancelled).toEqual(clientGone)
    expect(accepted.stats().exchanges).toBe(0)
    expect(dialed.stats().exchanges).toBe(0)
  })

  it("silences the receiver, also for what is already under way", () => {
    const { dialed, served, pump } = makeLinkPair()
    const receiver = new Recorder()
    const stream = dialed.open(httpCall(), receiver)
    pump.settle()
    served[0]?.answer("too late")
    stream.cancel(clientGone)
    pump.settle()
    expect(receiver.head).toBeUndefined()
    expect(receiver.over).toBe(false)
    expect(dialed.state).toBe("up")
  })

  it("goes back as the fault the callee gave", () => {
    const { dialed, served, pump } = makeLinkPair()
    const receiver = new Recorder()
    dialed.open(httpCall(), receiver)
    pump.settle()
    const fault = { ...clientGone, code: "rate_limited", retryAfter: 3, sent: false } as const
    served[0]?.receiver.onFault(fault)
    pump.settle()
    expect(receiver.fault).toEqual(fault)
  })
})

describe("back-pressure", () => {
  const bulk = (size: number) => Buffer.alloc(size, 7)

  it("stops a writer when the reader stops, and starts it again", () => {
    const { dialed, served, pump } = makeLinkPair()
    const receiver = new Recorder(false)
    const stream = dialed.open(httpCall(postHead()), receiver)
    pump.settle()
    const exchange = served[0]!
    exchange.more = () => false
    let written = 0
    const fill = () => {
      for (let more = true; more; written += 16 * KiB) more = stream.write(bulk(16 * KiB))
    }
    fill()
    for (let i = 0; i < 1_000 && written < 4 * MiB; i++) {
      const before = receiver.writables
      pump.settle()
      if (receiver.writables > before) fill()
    }
    // One chunk was taken, of at most a batch; a window's worth and an outbox's worth wait.
    expect(written).toBeLessThanOrEqual(128 * KiB + 64 * KiB + 256 * KiB)
    exchange.more = () => true
    exchange.receiver.onWritable()
    const before = receiver.writables
    pump.settle()
    expect(receiver.writables).toBeGreaterThan(before)
    expect(exchange.bytes).toBe(written)
  })

  it("holds the response back in the same way", () => {
    const { dialed, served, pump } = makeLinkPair()
    const receiver = new Recorder(false)
    receiver.more = () => false
    const stream = dialed.open(httpCall(), receiver)
    pump.settle()
    const exchange = served[0]!
    exchange.receiver.onHead(okHead())
    let written = 0
    let more = true
    while (more) {
      more = exchange.receiver.onData(bulk(16 * KiB))
      written += 16 * KiB
      pump.settle()
    }
    exchange.receiver.onEnd(noFields)
    pump.settle()
    // One frame was taken, the rest waits.
    expect(receiver.bytes).toBeGreaterThan(0)
    expect(receiver.bytes).toBeLessThanOrEqual(16 * KiB)
    expect(receiver.over).toBe(false)
    receiver.more = () => true
    stream.resume()
    pump.settle()
    expect(receiver.bytes).toBe(written)
    expect(receiver.trailers).toEqual([])
  })

  it("does not let stopped readers hold up others", () => {
    const { dialed, served, pump } = makeLinkPair()
    const stalled: Array<Recorder> = []
    for (let i = 0; i < 100; i++) {
      const receiver = new Recorder(false)
      receiver.more = () => false
      stalled.push(receiver)
      dialed.open(httpCall(getHead(`/big/${i}`)), receiver)
    }
    pump.settle()
    for (const exchange of served) {
      exchange.receiver.onHead(okHead())
      exchange.receiver.onData(bulk(128 * KiB))
    }
    pump.settle()
    const receiver = new Recorder(false)
    dialed.open(httpCall(getHead("/other")), receiver)
    pump.settle()
    const other = served[100]!
    other.receiver.onHead(okHead())
    other.receiver.onData(bulk(512 * KiB))
    other.receiver.onEnd(noFields)
    pump.settle()
    expect(receiver.bytes).toBe(512 * KiB)
    expect(receiver.trailers).toEqual([])
  })

  it("lets small exchanges pass bulk", () => {
    const { dialed, served, pump } = makeLinkPair({ channel: { capacity: 32 * KiB } })
    for (let i = 0; i < 4; i++) dialed.open(httpCall(getHead("/big")), new Recorder(false))
    pump.settle()
    for (const exchange of served) {
      exchange.receiver.onHead(okHead())
      exchange.receiver.onData(bulk(8 * MiB))
    }
    pump.turn()
    const receiver = new Recorder()
    dialed.open(httpCall(getHead("/small")), receiver)
    let turns = 0
    for (; !receiver.over && turns < 100; turns++) {
      served[4]?.receiver.onHead(okHead())
      if (served[4] !== undefined) {
        served[4].receiver.onData(Buffer.from("quick"))
        served[4].receiver.onEnd(noFields)
        served.pop()
      }
      pump.turn()
    }
    expect(receiver.text).toBe("quick")
    // 32 MiB in batches of 124 KiB would be 264 writes before it, were it queued behind.
    expect(turns).toBeLessThan(12)
  })

  it("shares a link fairly between bulk exchanges", () => {
    const { dialed, served, pump } = makeLinkPair({ channel: { capacity: 64 * KiB } })
    const receivers = [new Recorder(false), new Recorder(false), new Recorder(false)]
    for (const receiver of receivers) dialed.open(httpCall(), receiver)
    pump.settle()
    for (const exchange of served) {
      exchange.receiver.onHead(okHead())
      exchange.receiver.onData(bulk(4 * MiB))
    }
    const upTo = (bytes: number): ReadonlyArray<number> => {
      while (Math.max(...receivers.map((it) => it.bytes)) < bytes) pump.turn()
      return receivers.map((it) => it.bytes)
    }
    // Whoever's first window grew first is ahead by it from then on, and by no more.
    const before = upTo(MiB)
    expect(Math.min(...before)).toBeGreaterThan(0.6 * MiB)
    const after = upTo(3.5 * MiB)
    const got = after.map((bytes, i) => bytes - before[i]!)
    expect(Math.min(...got)).toBeGreaterThan(0.9 * Math.max(...got))
  })

  it("writes a round of a large body in one turn, in batches", () => {
    const limits = { window: { first: 512 * KiB, least: 512 * KiB, most: 512 * KiB } }
    const { dialed, channels, served, pump } = makeLinkPair({ limits })
    dialed.open(httpCall(), new Recorder(false))
    pump.settle()
    const writes: Array<number> = []
    const write = channels.right.write.bind(channels.right)
    channels.right.write = (bytes) => {
      writes.push(bytes.length)
      return write(bytes)
    }
    served[0]!.receiver.onHead(okHead())
    served[0]!.receiver.onData(bulk(400 * KiB))
    pump.turn()
    expect(writes.map((bytes) => Math.floor(bytes / KiB))).toEqual([124, 124])
    pump.turn()
    expect(writes.map((bytes) => Math.floor(bytes / KiB))).toEqual([124, 124, 124, 28])
  })

  it("stops within a round when the channel is full", () => {
    const limits = { window: { first: 512 * KiB, least: 512 * KiB, most: 512 * KiB } }
    const channel = { capacity: 100 * KiB }
    const { dialed, channels, served, pump } = makeLinkPair({ limits, channel })
    dialed.open(httpCall(), new Recorder(false))
    pump.settle()
    let writes = 0
    const write = channels.right.write.bind(channels.right)
    channels.right.write = (bytes) => {
      writes++
      return write(bytes)
    }
    served[0]!.receiver.onHead(okHead())
    served[0]!.receiver.onData(bulk(400 * KiB))
    pump.turn()
    expect(writes).toBe(1)
    pump.settle()
    expect(writes).toBeGreaterThan(3)
  })

  it("gives few exchanges large turns, and many small ones", () => {
    const sizes = (count: number): ReadonlyArray<number> => {
      const { dialed, served, pump } = makeLinkPair()
      const found: Array<number> = []
      for (let i = 0; i < count; i++) {
        const receiver = new Recorder(false)
        receiver.more = ({ length }) => found.push(length) > 0
        dialed.open(httpCall(), receiver)
      }
      pump.settle()
      for (const exchange of served) {
        exchange.receiver.onHead(okHead())
        exchange.receiver.onData(bulk(60 * KiB))
      }
      pump.settle()
      return found
    }
    expect(Math.max(...sizes(8).slice(0, 4))).toBe(31 * KiB)
    expect(Math.max(...sizes(64).slice(0, 8))).toBe(15 * KiB)
  })

  it("moves 64 MiB through a reader that stops and goes, holding little", () => {
    const seed = 99
    const random = seededRandom(seed)
    const { dialed, served, pump, channels } = makeLinkPair()
    const receiver = new Recorder(false)
    const stream = dialed.open(httpCall(), receiver)
    receiver.more = () => random() < 0.7
    pump.settle()
    const exchange = served[0]!
    exchange.receiver.onHead(okHead())
    const total = 64 * MiB
    let written = 0
    let most = 0
    let resumes = 0
    const chunk = bulk(64 * KiB)
    let more = true
    while (!receiver.over) {
      if (exchange.resumes > resumes) {
        resumes = exchange.resumes
        more = true
      }
      while (more && written < total) {
        more = exchange.receiver.onData(chunk)
        written += chunk.length
        if (written === total) exchange.receiver.onEnd(noFields)
      }
      pump.turn()
      most = Math.max(most, written - receiver.bytes)
      expect(channels.inFlight()).toBeLessThan(2 * MiB)
      stream.resume()
    }
    expect(receiver.bytes, `seed ${seed}`).toBe(total)
    expect(most).toBeLessThan(4 * MiB)
  })
})

describe("limits", () => {
  it("answers overflow above the number of exchanges, in a microtask", async () => {
    const { dialed, pump } = makeLinkPair({ limits: { exchanges: 2 } })
    dialed.open(httpCall(), new Recorder())
    dialed.open(httpCall(), new Recorder())
    const receiver = new Recorder()
    dialed.open(httpCall(), receiver)
    expect(receiver.over).toBe(false)
    await Promise.resolve()
    expect(receiver.fault).toMatchObject({ code: "overflow", sent: false, service: "payments" })
    pump.settle()
    expect(dialed.stats().exchanges).toBe(2)
  })

  it("answers overflow also when only the serving end has the limit", () => {
    const { dialed, pump } = makeLinkPair({ acceptedLimits: { exchanges: 1 } })
    const receivers = [new Recorder(), new Recorder()]
    for (const receiver of receivers) dialed.open(httpCall(), receiver)
    pump.settle()
    expect(receivers[0]?.over).toBe(false)
    expect(receivers[1]?.fault).toMatchObject({ code: "overflow", sent: false })
  })

  it("refuses a head that does not fit, and one that is not latin-1", async () => {
    const { dialed } = makeLinkPair()
    const large = new Recorder()
    dialed.open(httpCall(getHead("/", ["x-large", "y".repeat(70 * KiB)])), large)
    const strange = new Recorder()
    dialed.open(httpCall(getHead("/", ["x-name", "\u010a"])), strange)
    await Promise.resolve()
    expect(large.fault).toMatchObject({ code: "head_too_large", sent: false })
    expect(strange.fault).toMatchObject({ code: "bad_request", sent: false })
    expect(dialed.stats().exchanges).toBe(0)
  })

  it("opens nothing more towards a peer that does not read", async () => {
    const { dialed, pump, channels } = makeLinkPair({
      limits: { backlog: 1 * KiB },
      channel: { capacity: 1 * KiB }
    })
    pump.settle()
    channels.right.pause()
    const receivers = Array.from({ length: 60 }, () => new Recorder())
    for (const receiver of receivers) {
      dialed.open(httpCall(), receiver)
      pump.settle()
    }
    await Promise.resolve()
    expect(receivers.at(-1)?.fault).toMatchObject({ code: "overflow", sent: false })
    expect(dialed.stats().exchanges).toBeLessThan(60)
    channels.right.resume()
    pump.settle()
    const receiver = new Recorder()
    dialed.open(httpCall(), receiver)
    await Promise.resolve()
    expect(receiver.over).toBe(false)
  })
})

describe("the end of a link", () => {
  it("tells sent from not sent", () => {
    const { dialed, pump, channels, served, downs } = makeLinkPair()
    const first = new Recorder()
    dialed.open(httpCall(), first)
    pump.settle()
    const second = new Recorder()
    dialed.open(httpCall(), second)
    channels.cut(new Error("cable cut"))
    expect(first.fault).toMatchObject({ code: "upstream_reset", sent: true })
    expect(first.fault?.message).toContain("cable cut")
    expect(second.fault).toMatchObject({ code: "upstream_connect", sent: false })
    expect(served[0]?.cancelled).toMatchObject({ code: "client_gone" })
    expect(dialed.state).toBe("down")
    expect(downs.length).toBe(1)
  })

  it("refuses what is opened afterwards", async () => {
    const { dialed, channels } = makeLinkPair()
    channels.cut(new Error("cable cut"))
    const receiver = new Recorder()
    dialed.open(httpCall(), receiver)
    await Promise.resolve()
    expect(receiver.fault).toMatchObject({ code: "upstream_connect", sent: false })
  })

  it("drains without losing what was opened before the peer knew", () => {
    const { dialed, accepted, pump, served, downs } = makeLinkPair()
    const running = new Recorder()
    dialed.open(httpCall(), running)
    pump.settle()
    accepted.drain("shutting down")
    const crossing = new Recorder()
    dialed.open(httpCall(), crossing)
    pump.settle()
    expect(dialed.state).toBe("draining")
    expect(served.length).toBe(2)
    served[1]?.answer("crossed")
    pump.settle()
    expect(crossing.text).toBe("crossed")
    expect(downs.length).toBe(0)
    served[0]?.answer("last")
    pump.settle()
    expect(running.text).toBe("last")
    expect(dialed.state).toBe("down")
    expect(downs).toEqual([undefined])
  })

  it.each(["http", "tcp"])("leaves a slow reader the %s response that has come whole", (kind) => {
    const { dialed, accepted, pump, served, downs } = makeLinkPair()
    const receiver = new Recorder()
    receiver.more = () => false
    const stream = dialed.open(kind === "http" ? httpCall() : tcpCall(), receiver)
    stream.end(noFields)
    pump.settle()
    const exchange = served[0]!
    exchange.receiver.onHead(kind === "http" ? okHead() : acceptedHead)
    for (const part of ["first ", "second ", "third"]) {
      exchange.receiver.onData(Buffer.from(part))
      pump.settle()
    }
    exchange.receiver.onEnd(noFields)
    accepted.drain("shutting down")
    pump.settle()
    expect(downs).toEqual([undefined])
    expect(receiver.over).toBe(false)
    receiver.more = () => true
    stream.resume()
    expect(receiver.text).toBe("first second third")
    expect(receiver.trailers).toEqual([])
    expect(dialed.stats().exchanges).toBe(0)
  })

  it("tells a tunnel that still sends, once its reader has what came", () => {
    const { dialed, pump, channels, served } = makeLinkPair()
    const receiver = new Recorder()
    receiver.more = () => false
    const stream = dialed.open(tcpCall(), receiver)
    pump.settle()
    const exchange = served[0]!
    exchange.receiver.onHead(acceptedHead)
    exchange.receiver.onData(Buffer.from("first "))
    pump.settle()
    exchange.receiver.onData(Buffer.from("second"))
    exchange.receiver.onEnd(noFields)
    pump.settle()
    channels.cut(new Error("cable cut"))
    let ended = false
    receiver.onEnd = () => {
      ended = true
    }
    receiver.more = () => true
    stream.resume()
    expect(receiver.text).toBe("first second")
    expect(ended).toBe(true)
    expect(receiver.fault).toMatchObject({ code: "upstream_reset", sent: true })
  })

  it("refuses new calls while draining, as unsent", async () => {
    const { dialed, accepted, pump } = makeLinkPair()
    dialed.open(httpCall(), new Recorder())
    accepted.drain("shutting down")
    pump.settle()
    const receiver = new Recorder()
    dialed.open(httpCall(), receiver)
    await Promise.resolve()
    expect(receiver.fault).toMatchObject({ code: "draining", sent: false })
  })

  it("closes from the calling side when nothing runs", () => {
    const { dialed, pump, downs } = makeLinkPair()
    pump.settle()
    dialed.drain("unused")
    pump.settle()
    expect(dialed.state).toBe("down")
    expect(downs).toEqual([undefined])
  })
})

describe("pings", () => {
  it("measure the round trip", () => {
    const { dialed, pump, ticker } = makeLinkPair()
    pump.turn()
    ticker.advance(30)
    pump.settle()
    expect(dialed.stats().rtt).toBe(30)
  })

  it("keep a quiet link up", () => {
    const { dialed, accepted, pump, ticker } = makeLinkPair()
    ticker.advance(60_000, () => pump.settle())
    expect(dialed.state).toBe("up")
    expect(accepted.session.up).toBe(true)
  })

  it.each([0, 100, 250, 490])("find a dead peer within 3 s, %i ms after a beat", (phase) => {
    const { dialed, served, pump, ticker, channels } = makeLinkPair()
    const receiver = new Recorder()
    dialed.open(httpCall(), receiver)
    ticker.advance(5_000 + phase, () => pump.settle())
    served[0]?.receiver.onHead(okHead())
    pump.settle()
    expect(receiver.head).toBeDefined()
    channels.blackhole()
    ticker.advance(2_400, () => pump.settle())
    expect(dialed.state).toBe("up")
    ticker.advance(600, () => pump.settle())
    expect(dialed.state).toBe("down")
    expect(receiver.fault).toMatchObject({ code: "upstream_reset", sent: true })
  })

  it("do not blame the peer for a stall of this process", () => {
    const { dialed, pump, ticker } = makeLinkPair()
    ticker.advance(2_000, () => pump.settle())
    // Nothing is read for 10 s, and then the timer comes before the sockets.
    ticker.jump(10_000)
    expect(dialed.state).toBe("up")
    pump.settle()
    ticker.advance(5_000, () => pump.settle())
    expect(dialed.state).toBe("up")
  })
})

describe("a peer that breaks the rules loses the link and nothing else happens", () => {
  const frame = (write: (writer: FrameWriter) => void): Buffer => {
    const writer = new FrameWriter()
    write(writer)
    return writer.take()
  }
  const openFrame = (id: number) =>
    frame((it) => it.text(FrameType.open, id, encodeOpening(tcpCall(), 0), ""))
  const attacks: Record<string, Buffer> = {
    "no type": Buffer.from([0, 0, 0, 0, 0, 0, 0, 1]),
    "an end of a type that is not known": Buffer.from([0, 0, 0, 200, 0, 0, 0, 1]),
    "too much of a type that is not known": Buffer.from([1, 0, 0, 72, 0, 0, 0, 1]),
    "an endless frame": Buffer.from([255, 255, 255, 4, 0, 0, 0, 1]),
    "data on an exchange that was never opened": frame((it) =>
      it.bytes(FrameType.data, 77, Buffer.from("x"))
    ),
    "empty data": Buffer.concat([
      openFrame(1),
      frame((it) => it.bytes(FrameType.data, 1, Buffer.alloc(0)))
    ]),
    "an exchange opened twice": Buffer.concat([openFrame(5), openFrame(5)]),
    "an id that goes back": Buffer.concat([openFrame(5), openFrame(4)]),
    "data after the end": Buffer.concat([
      openFrame(1),
      frame((it) => it.bytes(FrameType.end, 1, Buffer.alloc(0))),
      frame((it) => it.bytes(FrameType.data, 1, Buffer.from("x")))
    ]),
    "a response from the caller": Buffer.concat([
      openFrame(1),
      frame((it) => it.text(FrameType.head, 1, undefined, "HTTP/1.1 200 OK\r\n\r\n"))
    ]),
    "a reset that is no fault": Buffer.concat([
      openFrame(1),
      frame((it) => it.bytes(FrameType.reset, 1, Buffer.from("{}")))
    ]),
    "trailers that would be two": Buffer.concat([
      openFrame(1),
      frame((it) => it.bytes(FrameType.end, 1, Buffer.from("\0\u0001a\0\u0003b\r\n", "latin1")))
    ]),
    "credit without bounds": frame((it) => {
      for (let i = 0; i < 3; i++) it.number(FrameType.credit, 0, 0x7fff_ffff)
    }),
    "a cut ping": frame((it) => it.bytes(FrameType.ping, 0, Buffer.from("x"))),
    "an opening for no service": frame((it) =>
      it.bytes(FrameType.open, 1, Buffer.from([0, 0, 0, 0, 0, 0, 2, 0, 0, 0x2e, 0x2e]))
    ),
    "an opening after goaway": Buffer.concat([
      openFrame(1),
      frame((it) => it.text(FrameType.goaway, 0, undefined, "bye")),
      openFrame(2)
    ])
  }
  for (const [name, bytes] of Object.entries(attacks)) {
    it(name, () => {
      const { accepted, channels, pump, defects, downs, served } = makeLinkPair()
      pump.settle()
      channels.left.write(bytes)
      pump.settle()
      expect(accepted.session.up).toBe(false)
      expect(downs[0]?.name).toBe("ProtocolError")
      expect(defects).toEqual([])
      for (const exchange of served) {
        expect(exchange.cancelled ?? exchange.trailers).toBeDefined()
      }
    })
  }

  it("data beyond its credit", () => {
    const { accepted, channels, pump, downs } = makeLinkPair({
      serve: () => ({ write: () => false, end: () => {}, cancel: () => {}, resume: () => {} })
    })
    pump.settle()
    channels.left.write(openFrame(1))
    for (let i = 0; i < 5; i++) {
      channels.left.write(frame((it) => it.bytes(FrameType.data, 1, Buffer.alloc(16 * KiB))))
    }
    pump.settle()
    expect(accepted.session.up).toBe(false)
    expect(downs[0]?.message).toContain("credit")
  })

  it("any garbage", () => {
    const seed = 20_26
    const random = seededRandom(seed)
    for (let round = 0; round < 300; round++) {
      const { accepted, dialed, channels, pump, defects } = makeLinkPair()
      dialed.open(httpCall(), new Recorder())
      pump.settle()
      const bytes = Buffer.alloc(200)
      for (let i = 0; i < bytes.length; i++) bytes[i] = Math.floor(random() * 256)
      // Half of the rounds begin like frames, or nothing but the header would ever be looked at.
      if (round % 2 === 0)
        bytes.set([0, 0, Math.floor(random() * 60), 1 + (round % 10), 0, 0, 0, 2])
      channels.left.write(bytes)
      channels.right.write(bytes)
      expect(() => pump.settle(), `seed ${seed}, round ${round}`).not.toThrow()
      expect(defects).toEqual([])
      accepted.abort(new Error("next"))
    }
  })
})

describe("a bug behind the link", () => {
  it("costs its exchange only", () => {
    const { dialed, pump, served, defects } = makeLinkPair()
    const receiver = new Recorder()
    const stream = dialed.open(httpCall(postHead()), receiver)
    const healthy = new Recorder()
    dialed.open(httpCall(), healthy)
    pump.settle()
    served[0]!.more = () => {
      throw new Error("bug in an endpoint")
    }
    stream.write(Buffer.from("boom"))
    pump.settle()
    expect(receiver.fault).toMatchObject({ code: "upstream_reset", sent: true, node: "host-b" })
    expect(defects.length).toBe(1)
    served[1]?.answer("fine")
    pump.settle()
    expect(healthy.text).toBe("fine")
    expect(dialed.state).toBe("up")
  })

  it("in a dispatch is a reset for the caller", () => {
    const { dialed, pump, defects } = makeLinkPair({
      serve: () => {
        throw new Error("bug in a dispatch")
      }
    })
    const receiver = new Recorder()
    dialed.open(httpCall(), receiver)
    pump.settle()
    expect(receiver.fault).toMatchObject({ code: "upstream_reset", sent: true })
    expect(defects.length).toBe(1)
    expect(dialed.state).toBe("up")
  })

  it("in a receiver resets the callee", () => {
    const { dialed, pump, defects, served } = makeLinkPair()
    const receiver = new Recorder()
    receiver.more = () => {
      throw new Error("bug in a receiver")
    }
    dialed.open(httpCall(), receiver)
    pump.settle()
    const exchange = served[0]!
    exchange.receiver.onHead(okHead())
    exchange.receiver.onData(Buffer.from("x"))
    pump.settle()
    expect(defects.length).toBe(1)
    expect(exchange.cancelled).toBeDefined()
    expect(receiver.fault).toMatchObject({ code: "upstream_reset" })
    expect(dialed.state).toBe("up")
  })
})
