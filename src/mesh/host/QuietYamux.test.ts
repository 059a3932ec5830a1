import { randomBytes } from "node:crypto"
import { yamux } from "@chainsafe/libp2p-yamux"
import type { MessageStream, Stream, StreamMuxer, StreamMuxerFactory } from "@libp2p/interface"
import { byteStream, multiaddrConnectionPair } from "@libp2p/utils"
import { describe, expect, it, vi } from "vitest"
import { quietYamux } from "./QuietYamux.ts"

const KiB = 1024
const windowUpdate = 1

/** Both ends of a connection, and the frames that went over it, by type. */
const pair = (make: () => StreamMuxerFactory, makeFar = make) => {
  const [near, far] = multiaddrConnectionPair()
  const frames = new Map<number, number>()
  const count = (connection: MessageStream) =>
    connection.addEventListener("message", ({ data }) => {
      const bytes = data.subarray()
      for (let at = 0; at + 12 <= bytes.length; ) {
        const type = bytes[at + 1]!
        frames.set(type, (frames.get(type) ?? 0) + 1)
        at += 12 + (type === 0 ? Buffer.from(bytes).readUInt32BE(at + 8) : 0)
      }
    })
  count(near)
  count(far)
  const [one, other]: ReadonlyArray<StreamMuxer> = [
    make().createStreamMuxer(near),
    makeFar().createStreamMuxer(far)
  ]
  return { near: one!, far: other!, updates: () => frames.get(windowUpdate) ?? 0 }
}

const open = async ({ far, near }: ReturnType<typeof pair>) => {
  const accepted = new Promise<Stream>((resolve) =>
    far.addEventListener("stream", ({ detail }) => resolve(detail), { once: true })
  )
  const stream = await near.createStream()
  return [byteStream(stream), byteStream(await accepted)] as const
}

const settings = { enableKeepAlive: false }

/** Questions and answers of 30 bytes. Returns the window updates that they cost. */
const talk = async (make: () => StreamMuxerFactory) => {
  const both = pair(make)
  const [asking, answering] = await open(both)
  for (let n = 0; n < 50; n++) {
    await asking.write(Buffer.alloc(30, n))
    await answering.write(await answering.read({ bytes: 30 }))
    const answer = await asking.read({ bytes: 30 })
    expect(Buffer.from(answer.subarray())).toEqual(Buffer.alloc(30, n))
  }
  return both.updates()
}

describe("quiet yamux", () => {
  it("does not answer small messages with window updates", async () => {
    expect(await talk(quietYamux(settings))).toBeLessThanOrEqual(3)
  })

  it("makes no events of what was written that nobody hears", async () => {
    const made = vi.spyOn(EventTarget.prototype, "dispatchEvent")
    const idle = () => made.mock.calls.filter(([{ type }]) => type === "idle").length
    await talk(yamux(settings))
    const before = idle()
    expect(before).toBeGreaterThan(0)
    made.mockClear()
    await talk(quietYamux(settings))
    // Those of the pair's own ends.
    expect(idle()).toBeLessThanOrEqual(before / 2)
    made.mockRestore()
  })

  it("is needed: the library answers each of them", async () => {
    expect(await talk(yamux(settings))).toBeGreaterThanOrEqual(100)
  })

  it("lets pass whatever is larger than a window, both ways, and is understood by the other kind", async () => {
    const bytes = randomBytes(3 * 1024 * KiB)
    for (const far of [quietYamux(settings), yamux(settings)]) {
      const both = pair(quietYamux(settings), far)
      const [one, other] = await open(both)
      for (const [from, to] of [
        [one, other],
        [other, one]
      ] as const) {
        const sent = from.write(bytes)
        const got = await to.read({ bytes: bytes.length })
        await sent
        expect(Buffer.from(got.subarray()).equals(bytes)).toBe(true)
      }
    }
  })

  it("tops a window up when half of it is used", async () => {
    const both = pair(quietYamux(settings))
    const [one, other] = await open(both)
    await one.write(Buffer.alloc(KiB))
    await other.read({ bytes: KiB })
    const before = both.updates()
    for (let n = 0; n < 12; n++) {
      await one.write(Buffer.alloc(10 * KiB))
      await other.read({ bytes: 10 * KiB })
    }
    expect(both.updates()).toBe(before)
    await one.write(Buffer.alloc(10 * KiB))
    await other.read({ bytes: 10 * KiB })
    expect(both.updates()).toBe(before + 1)
  })
})
