import { randomBytes } from "node:crypto"
import { once } from "node:events"
import net from "node:net"
import { afterEach, describe, expect, it, vi } from "@effect/vitest"

import { noFields } from "../../model/Exchange.ts"

import { isOwnShortage } from "../../model/OwnShortage.ts"

import { reasonOf } from "../../model/Reason.ts"
import type { Session } from "../../model/Session.ts"
import { httpCall, ManualTicker, postHead, Recorder, Served } from "../../testing/LinkTestPair.ts"
import {
  type ChannelOwner,
  freshSecret,
  makeSessionPair,
  SessionHost,
  type SessionPair,
  share
} from "../../testing/SessionHosts.ts"
import { DiallerPreface, encodeRefusal, type LinkRefusal } from "../wire/LinkPreface.ts"
import { RecordSealer } from "../wire/RecordCipher.ts"
import { AddressAttempt } from "./AddressAttempt.ts"
import { LinkDialError } from "./LinkDialError.ts"
import { LinkPool } from "./LinkPool.ts"
import { recordKinds } from "./SealedChannel.ts"
import { parseTcpAddress } from "./TcpAddress.ts"

const eventually = (condition: () => void) => vi.waitFor(condition, { timeout: 5_000, interval: 1 })
const turn = () => new Promise(setImmediate)

const closers: Array<() => unknown> = []
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

const hosts = async (...options: Parameters<typeof makeSessionPair>): Promise<SessionPair> => {
  const pair = await makeSessionPair(...options)
  closers.push(
    () => pair.b.stop(),
    () => pair.a.stop()
  )
  return pair
}

/** The other end of what a has dialled last. */
const acceptedBy = async ({ accepted }: SessionHost, count = 1): Promise<ChannelOwner> => {
  await eventually(() => expect(accepted).toHaveLength(count))
  return accepted[count - 1]!.owner
}

const refusals = ({ transport }: SessionHost): Partial<Record<LinkRefusal, number>> =>
  Object.fromEntries(transport.counts.refused)

/** Moves the clock whenever nothing else happens, until the promise is settled. */
const withTime = async <A>(ticker: ManualTicker, promise: Promise<A>): Promise<A> => {
  let settled = false
  const settle = () => {
    settled = true
  }
  promise.then(settle, settle)
  while (!settled) {
    await turn()
    await turn()
    ticker.advance(10)
  }
  return promise
}

/** A connection of a test's own, with what comes back and whether it is closed. */
const raw = async ({ addresses }: SessionHost) => {
  const { port } = parseTcpAddress(addresses[0]!)!
  const socket = net.connect({ host: "127.0.0.1", port, noDelay: true })
  const heard = { bytes: Buffer.alloc(0), closed: false }
  socket.on("data", (bytes) => {
    heard.bytes = Buffer.concat([heard.bytes, bytes])
  })
  socket.on("error", () => undefined)
  socket.on("close", () => {
    heard.closed = true
  })
  closers.push(() => socket.destroy())
  await once(socket, "connect")
  return { socket, heard }
}

const prefaceOf = ({ a, b }: SessionPair, { id, secret }: Session): DiallerPreface =>
  new DiallerPreface({
    session: id,
    secret,
    dialler: a.peer,
    acceptor: b.peer,
    thread: undefined,
    tries: 0
  })

/** An answer of a test's own to whoever dials. */
const impostor = async (answer: (socket: net.Socket, bytes: Buffer) => void) => {
  const sockets: Array<net.Socket> = []
  const server = net.createServer((socket) => {
    sockets.push(socket)
    socket.on("error", () => undefined)
    socket.on("data", (bytes) => answer(socket, bytes))
  })
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  closers.push(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const address = server.address()
  if (address === null || typeof address === "string") throw new Error("no port")
  return { address: `/ip4/127.0.0.1/tcp/${address.port}`, sockets }
}

describe("links between request threads", () => {
  it("are made from a session, and carry bytes both ways", async () => {
    const pair = await hosts()
    const { a, b } = pair
    share(pair)
    const near = await a.dial(b)
    const far = await acceptedBy(b)
    expect(b.accepted[0]?.peer).toBe(a.peer)
    near.channel.write(Buffer.from("there"))
    far.channel.write(Buffer.from("and back"))
    await eventually(() => expect([far.text, near.text]).toEqual(["there", "and back"]))
    expect([a, b].map(({ transport }) => transport.connectedPeers())).toEqual([[b.peer], [a.peer]])
    expect(a.transport.counts).toMatchObject({ links: 1, dialled: 1, accepted: 0 })
    expect(b.transport.counts).toMatchObject({ links: 1, dialled: 0, accepted: 1 })
    near.channel.close()
    await eventually(() => expect([near.closed, far.closed]).toEqual(["in order", "in order"]))
    expect([a, b].map(({ transport }) => transport.connectedPeers())).toEqual([[], []])
  })

  it("echo 64 MiB each way, held back by each other, in bounded memory", async () => {
    const pair = await hosts()
    const { a, b } = pair
    share(pair)
    const near = await a.dial(b)
    const far = await acceptedBy(b)
    const total = 64 * 1024 * 1024
    const block = randomBytes(256 * 1024)
    let most = 0
    // The echo takes nothing while it cannot get rid of what it has.
    far.onChunk = (bytes) => {
      if (!far.channel.write(bytes)) far.channel.pause()
      most = Math.max(most, b.sockets[0]!.writableLength)
    }
    far.onRoom = () => far.channel.resume()
    let sent = 0
    const send = (): void => {
      while (sent < total) {
        const at = sent % block.length
        const length = Math.min(60 * 1024, block.length - at, total - sent)
        const room = near.channel.write(block.subarray(at, at + length))
        sent += length
        if (!room) return
      }
    }
    near.onRoom = send
    let checked = 0
    near.onChunk = (bytes) => {
      for (let at = 0; at < bytes.length; ) {
        const from = checked % block.length
        const length = Math.min(bytes.length - at, block.length - from)
        if (block.compare(bytes, at, at + length, from, from + length) !== 0) {
          throw new Error(`other bytes came back, from byte ${checked} on`)
        }
        at += length
        checked += length
      }
    }
    send()
    // Both ends in one process: what is not in the kernel's buffers is in these sockets'.
    await vi.waitFor(() => expect(checked).toBe(total), { timeout: 60_000, interval: 5 })
    expect(near.closed).toBeUndefined()
    expect(most).toBeLessThan(512 * 1024)
  }, 60_000)

  it("may be several at a time with one peer", async () => {
    const pair = await hosts()
    const { a, b } = pair
    share(pair)
    const owners = await Promise.all([a.dial(b), a.dial(b), a.dial(b)])
    await acceptedBy(b, 3)
    owners[1]!.channel.abort(new Error("enough"))
    await eventually(() => expect(b.transport.counts.links).toBe(2))
    a.transport.disconnect(b.peer, new Error("silent"))
    expect(owners.map(({ closed }) => closed)).toEqual(["silent", "enough", "silent"])
    expect(a.transport.connectedPeers()).toEqual([])
  })

  it("carry the exchanges of link pools", async () => {
    const pair = await hosts()
    const { a, b, ticker } = pair
    share(pair)
    const served: Array<Served> = []
    const poolOf = (host: SessionHost) =>
      new LinkPool({
        transport: host.transport,
        ticker,
        node: host.name,
        serve: (call, receiver) => {
          const exchange = new Served(call, receiver)
          served.push(exchange)
          return exchange
        },
        addressesOf: () => b.addresses
      })
    const [near, far] = [poolOf(a), poolOf(b)]
    await far.listen()
    const answer = new Recorder()
    const stream = near.dispatchTo(b.peer)(httpCall(postHead()), answer)
    stream.write(Buffer.alloc(100_000, "q"))
    stream.end(noFields)
    await eventually(() => expect(served[0]?.trailers).toBeDefined())
    expect(served[0]?.bytes).toBe(100_000)
    served[0]?.answer("well done")
    await eventually(() => expect(answer.over).toBe(true))
    expect(answer.text).toBe("well done")
    b.sessions.endPeer(a.peer, "revoked")
    await eventually(() => expect(near.isUp(b.peer)).toBe(false))
  })

  it("say which thread has answered, and which one was wished for", async () => {
    const wishes: Array<readonly [number, number | undefined]> = []
    const pair = await hosts(
      { wish: () => 2 },
      {
        thread: 1,
        threads: 4,
        mayAccept: (tries, thread) => {
          wishes.push([tries, thread])
          return tries === 3
        }
      }
    )
    share(pair)
    const { channel } = await pair.a.dial(pair.b)
    expect(channel).toMatchObject({ answeredBy: { thread: 1, threads: 4 } })
    expect(wishes).toEqual([0, 1, 2, 3].map((tries) => [tries, 2]))
    expect(refusals(pair.b)).toEqual({ other_thread: 3 })
  })

  it("are taken wherever they land when no thread wants them", async () => {
    const pair = await hosts({}, { mayAccept: () => false })
    share(pair)
    await pair.a.dial(pair.b)
    await acceptedBy(pair.b)
    expect(refusals(pair.b)).toEqual({ other_thread: 8 })
  })

  it("end when this thread stops, with the handshakes under way", async () => {
    const pair = await hosts()
    const { a, b } = pair
    const { atA } = share(pair)
    const near = await a.dial(b)
    await acceptedBy(b)
    const { socket, heard } = await raw(b)
    socket.write(prefaceOf(pair, atA).bytes)
    await eventually(() => expect(heard.bytes.length).toBeGreaterThan(0))
    b.transport.stop(new Error("shutting down"))
    await eventually(() => {
      expect(near.closed).toBeDefined()
      expect(heard.closed).toBe(true)
    })
    expect(b.transport.counts.links).toBe(0)
    await expect(b.dial(a, ["/ip4/127.0.0.1/tcp/1"])).rejects.toThrow("shutting down")
  })
})

describe("a session", () => {
  it("that is not known there yet is tried again shortly", async () => {
    const pair = await hosts()
    const { a, b, ticker } = pair
    const shared = freshSecret()
    a.sessions.put(a.half(b, shared))
    const dialling = a.dial(b)
    await eventually(() => expect(refusals(b)).toEqual({ unknown_session: 1 }))
    await eventually(() => {
      ticker.advance(10)
      expect(refusals(b)).toEqual({ unknown_session: 2 })
    })
    b.sessions.put(b.half(a, shared))
    await turn()
    await withTime(ticker, dialling)
    await acceptedBy(b)
    expect(refusals(b)).toEqual({ unknown_session: 2 })
  })

  it("that stays unknown there is asked for anew", async () => {
    const pair = await hosts()
    const { a, b, ticker } = pair
    const old = a.half(b, freshSecret())
    a.sessions.put(old)
    const asked: Array<Session | undefined> = []
    a.onNeedSession = async (_peer, refused) => {
      asked.push(refused)
      return share(pair).atA
    }
    await withTime(ticker, a.dial(b))
    expect(asked).toEqual([old])
    expect(refusals(b)).toEqual({ unknown_session: 4 })
  })

  it("is asked for where there is none, and that says why it is not to be had", async () => {
    const pair = await hosts()
    const { a, b } = pair
    a.onNeedSession = async (_peer, refused) => {
      expect(refused).toBeUndefined()
      return share(pair).atA
    }
    await a.dial(b)
    a.sessions.endPeer(b.peer, "a test")
    a.onNeedSession = () => Promise.reject(new Error("the node is not admitted"))
    const failed = await a.dial(b).catch((error: unknown) => error)
    expect(failed).toBeInstanceOf(LinkDialError)
    expect(failed).toMatchObject({
      code: "no_session",
      message: `there is no session with the node ${b.peer} to make a link from: the node is not admitted`
    })
    // What is given must be of use.
    const third = new SessionHost("C", pair.ticker)
    a.onNeedSession = async () => a.half(third, freshSecret())
    await expect(a.dial(b)).rejects.toMatchObject({ code: "no_session" })
  })

  it("that was ended there is asked for anew at once, and its links are closed at once", async () => {
    const pair = await hosts()
    const { a, b } = pair
    const { atB } = share(pair)
    const near = await a.dial(b)
    const far = await acceptedBy(b)
    b.sessions.end(atB.id, "its certificate was revoked")
    expect(far.closed).toBe("the session with host-a was ended: its certificate was revoked")
    expect(b.transport.counts.links).toBe(0)
    await eventually(() => expect(near.closed).toBeDefined())
    let asked = 0
    a.onNeedSession = () => {
      asked++
      return Promise.reject(new Error("revoked"))
    }
    await expect(a.dial(b)).rejects.toMatchObject({ code: "no_session" })
    expect(asked).toBe(1)
    expect(refusals(b)).toEqual({ session_ended: 1 })
  })

  it("ends handshakes that are under way, on both sides", async () => {
    const pair = await hosts()
    const { a, b } = pair
    const { atA, atB } = share(pair)
    const { socket, heard } = await raw(b)
    socket.write(prefaceOf(pair, atA).bytes)
    await eventually(() => expect(heard.bytes.length).toBeGreaterThan(0))
    b.sessions.end(atB.id, "revoked")
    await eventually(() => expect(heard.closed).toBe(true))
    // Ended here, after our preface has left and before its answer is there.
    const held = await impostor((_, bytes) => {
      a.sessions.end(atA.id, "revoked")
      expect(bytes.length).toBeGreaterThan(0)
      forward.connect(parseTcpAddress(b.addresses[0]!)!.port, "127.0.0.1", () => {
        forward.write(bytes)
      })
    })
    const forward = new net.Socket()
    forward.on("error", () => undefined)
    forward.on("data", (bytes) => held.sockets[0]?.write(bytes))
    closers.push(() => forward.destroy())
    b.sessions.put(b.half(a, { ...atB, id: atB.id }))
    await expect(a.dial(b, [held.address])).rejects.toMatchObject({ code: "no_session" })
    expect(a.transport.counts).toMatchObject({ links: 0, dialled: 0 })
  })

  it("past its time by the acceptor's clock is refused, whatever the dialler's says", async () => {
    const pair = await hosts()
    const { a, b } = pair
    share(pair, 60_000)
    b.skew = 60_000
    const fresh: Array<Session> = []
    a.onNeedSession = async () => {
      b.skew = 0
      fresh.push(share(pair, 60_000).atA)
      return fresh[0]!
    }
    await a.dial(b)
    expect(fresh).toHaveLength(1)
    expect(refusals(b)).toEqual({ session_ended: 1 })
    // And by the dialler's own it is not dialled with.
    a.skew = 60_000
    a.onNeedSession = () => Promise.reject(new Error("none"))
    await expect(a.dial(b)).rejects.toMatchObject({ code: "no_session" })
    expect(refusals(b)).toEqual({ session_ended: 1 })
  })

  it("that is renewed leaves its links alone", async () => {
    const pair = await hosts()
    const { a, b } = pair
    const old = share(pair)
    const first = await a.dial(b)
    const renewed = share(pair)
    const second = await a.dial(b)
    const far = await acceptedBy(b, 2)
    expect(second.channel).toMatchObject({ session: { id: renewed.atA.id } })
    b.sessions.end(old.atB.id, "renewed")
    await eventually(() => expect(first.closed).toBeDefined())
    expect(far.closed).toBeUndefined()
    expect(second.closed).toBeUndefined()
  })

  it("whose secret is another there is asked for anew, and then it is said", async () => {
    const pair = await hosts()
    const { a, b } = pair
    const wrong = () => {
      const { id, secret } = freshSecret()
      b.sessions.put(b.half(a, { id, secret: randomBytes(32) }))
      const session = a.half(b, { id, secret })
      a.sessions.put(session)
      return session
    }
    wrong()
    a.onNeedSession = async () => wrong()
    await expect(a.dial(b)).rejects.toMatchObject({
      code: "refused",
      message: expect.stringMatching(
        /^host-b at \S+ refused a link \(not_genuine\): it holds another/
      )
    })
    expect(b.accepted).toEqual([])
    expect(refusals(b)).toEqual({ not_genuine: 3 })
  })
})

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
    closers.push(() => forward.destroy())
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
    closers.push(() => thread.stop())
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

describe("dialling", () => {
  it("tries addresses one after the other, and the first that leads there wins", async () => {
    const pair = await hosts()
    const { a, b, ticker } = pair
    share(pair)
    const silent = await impostor(() => undefined)
    const dialling = a.dial(b, [silent.address, "/ip4/127.0.0.1/udp/1", ...b.addresses])
    await eventually(() => expect(silent.sockets).toHaveLength(1))
    await turn()
    expect(b.sockets).toHaveLength(0)
    ticker.advance(260)
    await dialling
    await acceptedBy(b)
    // The loser is given up.
    await eventually(() => expect(silent.sockets[0]!.destroyed).toBe(true))
  })

  it("does not wait where an address fails", async () => {
    const pair = await hosts()
    const { a, b } = pair
    share(pair)
    const web = await impostor((socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"))
    await a.dial(b, ["/ip4/127.0.0.1/tcp/1", web.address, ...b.addresses])
  })

  it("says of each address why it does not lead there", async () => {
    const pair = await hosts()
    const { a, b, ticker } = pair
    share(pair)
    const web = await impostor((socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"))
    const mute = await impostor((socket) => socket.end())
    const silent = await impostor(() => undefined)
    const addresses = ["/ip4/127.0.0.1/tcp/1", web.address, mute.address, silent.address]
    const dialling = a.dial(b, addresses).catch((error: unknown) => error)
    await eventually(() => expect(silent.sockets).toHaveLength(1))
    ticker.advance(4_100)
    const failed = await dialling
    expect(failed).toBeInstanceOf(LinkDialError)
    if (!(failed instanceof LinkDialError)) return
    expect(failed.code).toBe("unreachable")
    expect(failed.message).toMatch(
      /^no address of host-b leads to it: \/ip4\/127\.0\.0\.1\/tcp\/1: /
    )
    expect(failed.attempts.map(({ address, reason }) => [address, reason])).toEqual([
      [addresses[0], expect.stringContaining("ECONNREFUSED")],
      [addresses[1], "what answers there is not a node"],
      [addresses[2], expect.stringMatching(/^the connection was closed without an answer; /)],
      [addresses[3], expect.stringMatching(/^connected, but no answer within 4000 ms; /)]
    ])
    expect(isOwnShortage(failed)).toBe(false)
  })

  it("says that there is no address, or none for TCP", async () => {
    const pair = await hosts()
    share(pair)
    const { a, b } = pair
    await expect(a.dial(b, [])).rejects.toMatchObject({ code: "no_address" })
    await expect(a.dial(b, ["/ip4/10.0.0.1/udp/1"])).rejects.toThrow(/\/ip4\/10\.0\.0\.1\/udp\/1/)
  })

  it("goes on at another address when one is another node's by now", async () => {
    const pair = await hosts()
    const { a, b } = pair
    share(pair)
    const other = new SessionHost("C", pair.ticker)
    closers.push(() => other.stop())
    await other.listen()
    await a.dial(b, [...other.addresses, ...b.addresses])
    expect(refusals(other)).toEqual({ unknown_session: 1 })
  })

  it("takes the word of who knows the session for the peer's, and asks at no other address", async () => {
    const pair = await hosts({}, { mayAccept: (tries) => tries === 1 })
    const { a, b } = pair
    share(pair)
    const web = await impostor((socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"))
    await a.dial(b, [...b.addresses, web.address])
    expect(refusals(b)).toEqual({ other_thread: 1 })
    expect(web.sockets).toHaveLength(0)
  })

  it("goes on with a newer session when there is one by then", async () => {
    const pair = await hosts()
    const { a, b, ticker } = pair
    a.sessions.put(a.half(b, freshSecret()))
    const dialling = a.dial(b)
    await eventually(() => expect(refusals(b)).toEqual({ unknown_session: 1 }))
    const { atA } = share(pair)
    const { channel } = await withTime(ticker, dialling)
    expect(channel).toMatchObject({ session: { id: atA.id } })
    expect(refusals(b)).toEqual({ unknown_session: 1 })
  })

  it("says that the peer speaks another version", async () => {
    const pair = await hosts()
    share(pair)
    const newer = await impostor((socket) => {
      const refusal = encodeRefusal("version")
      refusal[4] = 2
      socket.end(refusal)
    })
    await expect(pair.a.dial(pair.b, [newer.address])).rejects.toThrow(
      /refused a link \(version\): it speaks another version/
    )
  })

  it("is given up with its signal wherever it is, and leaves no socket", async () => {
    const pair = await hosts()
    const { a, b } = pair
    const enough = new Error("enough")
    await expect(a.dial(b, b.addresses, AbortSignal.abort(enough))).rejects.toBe(enough)
    const asking = new AbortController()
    a.onNeedSession = () => new Promise(() => undefined)
    const asked = a.dial(b, b.addresses, asking.signal)
    asking.abort(enough)
    await expect(asked).rejects.toBe(enough)

    share(pair)
    const silent = await impostor(() => undefined)
    const waiting = new AbortController()
    const waited = a.dial(b, [silent.address], waiting.signal)
    await eventually(() => expect(silent.sockets).toHaveLength(1))
    waiting.abort(enough)
    await expect(waited).rejects.toBe(enough)
    await eventually(() => expect(silent.sockets[0]!.destroyed).toBe(true))
    expect(a.transport.counts).toMatchObject({ links: 0, dialled: 0 })
  })

  it("knows when it was this host that had no room", async () => {
    const ticker = new ManualTicker()
    const address = parseTcpAddress("/ip4/127.0.0.1/tcp/1")!
    const outcome = await new Promise((resolve) => {
      new AddressAttempt({
        address,
        preface: () => {
          throw new Error("not reached")
        },
        ticker,
        patience: 1_000,
        onOutcome: resolve
      })
    })
    expect(outcome).toMatchObject({ kind: "failed" })
    const { unreachable } = await import("./LinkDialError.ts")
    const full = Object.assign(new Error("connect EMFILE"), { code: "EMFILE" })
    const failure = (error: Error) => ({
      address: address.text,
      reason: error.message,
      refusal: undefined,
      error: new Error(error.message, { cause: error })
    })
    const { name } = new SessionHost("B", ticker)
    expect(isOwnShortage(unreachable(name, [failure(full)]))).toBe(true)
    const several = unreachable(name, [failure(new Error("x")), failure(full)])
    expect(reasonOf(several)).not.toContain("AggregateError")
    expect(isOwnShortage(several)).toBe(true)
  })
})
