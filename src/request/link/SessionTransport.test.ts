import { randomBytes } from "node:crypto"
import { afterEach, describe, expect, it, vi } from "@effect/vitest"
import { noFields } from "../../model/Exchange.ts"
import { httpCall, postHead, Recorder, Served } from "../../testing/LinkTestPair.ts"
import { closeAll, hosts, prefaceOf, raw, refusals } from "../../testing/SessionCallers.ts"
import { type ChannelOwner, type SessionHost, share } from "../../testing/SessionHosts.ts"
import { LinkPool } from "./LinkPool.ts"

const eventually = (condition: () => void) => vi.waitFor(condition, { timeout: 5_000, interval: 1 })

afterEach(closeAll)

/** The other end of what was dialled last. */
const acceptedBy = async ({ accepted }: SessionHost, count = 1): Promise<ChannelOwner> => {
  await eventually(() => expect(accepted).toHaveLength(count))
  return accepted[count - 1]!.owner
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
