import { randomBytes } from "node:crypto"
import net from "node:net"
import { afterEach, describe, expect, it, vi } from "@effect/vitest"
import type { Session } from "../../model/Session.ts"
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
import { LinkDialError } from "./LinkDialError.ts"
import { parseTcpAddress } from "./TcpAddress.ts"

const eventually = (condition: () => void) => vi.waitFor(condition, { timeout: 5_000, interval: 1 })

afterEach(closeAll)

/** The other end of what was dialled last. */
const acceptedBy = async ({ accepted }: SessionHost, count = 1): Promise<ChannelOwner> => {
  await eventually(() => expect(accepted).toHaveLength(count))
  return accepted[count - 1]!.owner
}

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
    closeLater(() => forward.destroy())
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
