import net from "node:net"
import { afterEach, describe, expect, it, vi } from "@effect/vitest"
import { isOwnShortage } from "../../model/OwnShortage.ts"
import { reasonOf } from "../../model/Reason.ts"
import { ManualTicker } from "../../testing/LinkTestPair.ts"
import {
  closeAll,
  closeLater,
  hosts,
  impostor,
  refusals,
  turn,
  withTime
} from "../../testing/SessionCallers.ts"
import { type ChannelOwner, freshSecret, SessionHost, share } from "../../testing/SessionHosts.ts"
import { encodeRefusal, oldestPreface, prefaceVersion } from "../wire/LinkPreface.ts"
import { AddressAttempt } from "./AddressAttempt.ts"
import { LinkDialError, unreachable } from "./LinkDialError.ts"
import { parseTcpAddress } from "./TcpAddress.ts"

const eventually = (condition: () => void) => vi.waitFor(condition, { timeout: 5_000, interval: 1 })

afterEach(closeAll)

/** The other end of what was dialled last. */
const acceptedBy = async ({ accepted }: SessionHost, count = 1): Promise<ChannelOwner> => {
  await eventually(() => expect(accepted).toHaveLength(count))
  return accepted[count - 1]!.owner
}

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

  it("asks who speaks an older version once more, in that one, and at that address alone", async () => {
    const pair = await hosts()
    const { a, b } = pair
    share(pair)
    const asked: Array<number> = []
    const older = await impostor((socket, preface) => {
      asked.push(preface[4]!)
      const isNew = preface[4] !== oldestPreface
      const refusal = encodeRefusal(isNew ? "version" : "unknown_session")
      refusal[4] = oldestPreface
      socket.end(refusal)
    })
    const { channel } = await a.dial(b, [older.address, ...b.addresses])
    expect(asked).toEqual([prefaceVersion, oldestPreface])
    expect(channel.carriesIdentity).toBe(true)
    expect((await acceptedBy(b)).channel.carriesIdentity).toBe(true)
  })

  it("makes a link of an older version that tells nobody for whom calls speak", async () => {
    const pair = await hosts()
    const { a, b } = pair
    share(pair)
    const to = parseTcpAddress(b.addresses[0]!)!
    const older = await impostor((socket, bytes) => {
      if (socket.listenerCount("data") > 1) return // on its way to b
      if (bytes[4] !== oldestPreface) {
        const refusal = encodeRefusal("version")
        refusal[4] = oldestPreface
        socket.end(refusal)
        return
      }
      const through = net.connect(to.port, to.host)
      through.write(bytes)
      socket.pipe(through).pipe(socket)
      through.on("error", () => socket.destroy())
      socket.on("close", () => through.destroy())
    })
    const { channel } = await a.dial(b, [older.address])
    expect(channel.carriesIdentity).toBe(false)
    expect((await acceptedBy(b)).channel.carriesIdentity).toBe(false)
  })

  it("gives up where a version is asked for that is none", async () => {
    const pair = await hosts()
    const { a, b } = pair
    share(pair)
    for (const version of [0, prefaceVersion, 9]) {
      const strange = await impostor((socket) => {
        const refusal = encodeRefusal("version")
        refusal[4] = version
        socket.end(refusal)
      })
      await expect(a.dial(b, [strange.address])).rejects.toMatchObject({ code: "refused" })
      expect(strange.sockets).toHaveLength(1)
    }
  })

  it("goes on at another address when one is another node's by now", async () => {
    const pair = await hosts()
    const { a, b } = pair
    share(pair)
    const other = new SessionHost("C", pair.ticker)
    closeLater(() => other.stop())
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
