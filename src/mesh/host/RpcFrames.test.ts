import { encode } from "cborg"
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { Pump } from "../../testing/LinkTestPair.ts"
import { makeMemoryChannels } from "../../testing/MemoryChannel.ts"
import { RpcFrames, rpcMessageLimit } from "./RpcFrames.ts"

const makePair = (options: { readonly capacity?: number; readonly chunks?: () => number } = {}) => {
  const pump = new Pump()
  const channels = makeMemoryChannels({ ...options, defer: pump.defer })
  const got: Array<unknown> = []
  const closes: Array<Error | undefined> = []
  const frames = (channel: typeof channels.left) =>
    new RpcFrames(channel, {
      onMessage: (message) => got.push(message),
      onClose: (cause) => closes.push(cause)
    })
  return { pump, channels, got, closes, left: frames(channels.left), right: frames(channels.right) }
}

const flushed = async (pump: Pump) => {
  for (let i = 0; i < 5; i++) {
    await Promise.resolve()
    pump.settle()
  }
}

describe("messages", () => {
  it("come out as they went in, however the stream is cut", async () => {
    const value = fc.oneof(
      fc.string(),
      fc.integer(),
      fc.boolean(),
      fc.uint8Array(),
      fc.constant(null)
    )
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.dictionary(fc.stringMatching(/^[a-z]{1,8}$/), value, { noNullPrototype: true }),
          { maxLength: 12 }
        ),
        fc.integer({ min: 1, max: 60 }),
        async (messages, size) => {
          const { left, pump, got } = makePair({ chunks: () => size })
          for (const message of messages) expect(left.send(message)).toBe(true)
          await flushed(pump)
          expect(got).toEqual(messages)
        }
      ),
      { numRuns: 60 }
    )
  })

  it("of one tick are one write", async () => {
    const { left, channels, pump, got } = makePair()
    let writes = 0
    const write = channels.left.write.bind(channels.left)
    channels.left.write = (bytes) => {
      writes++
      return write(bytes)
    }
    for (let i = 0; i < 50; i++) left.send({ i })
    await flushed(pump)
    expect(got.length).toBe(50)
    expect(writes).toBe(1)
  })

  it("over the limit are refused, at either end", async () => {
    const { left, channels, pump, closes } = makePair()
    expect(left.send({ bytes: new Uint8Array(rpcMessageLimit) })).toBe(false)
    channels.left.write(Buffer.from([0, 0x10, 0, 1]))
    await flushed(pump)
    expect(closes.some((it) => it?.name === "ProtocolError")).toBe(true)
  })

  it("that are garbage break the channel and throw nothing", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 60 }), (body) => {
        const { channels, pump, right } = makePair()
        const header = Buffer.alloc(4)
        header.writeUInt32BE(body.length)
        channels.left.write(Buffer.concat([header, body]))
        pump.settle()
        channels.left.write(Buffer.from(body))
        pump.settle()
        expect(typeof right.closed).toBe("boolean")
      }),
      { numRuns: 500 }
    )
    // Nested a million times: decoding it needs more stack than there is.
    const { channels, pump, right } = makePair()
    const nested = Buffer.alloc(rpcMessageLimit, 0x81)
    const header = Buffer.alloc(4)
    header.writeUInt32BE(nested.length)
    channels.left.write(header)
    channels.left.write(nested)
    pump.settle()
    expect(right.closed).toBe(true)
  })

  it("are not read from a peer that does not read the answers", async () => {
    const { left, right, channels, pump, got } = makePair({ capacity: 1_000 })
    channels.left.pause()
    right.send({ answer: "x".repeat(2_000) })
    await flushed(pump)
    expect(right.full).toBe(true)
    left.send({ question: 1 })
    await flushed(pump)
    expect(got).toEqual([])
    let ready = false
    right.whenReady(() => {
      ready = true
    })
    expect(ready).toBe(false)
    channels.left.resume()
    await flushed(pump)
    expect(ready).toBe(true)
    expect(got.length).toBe(2)
    expect(encode(got[1]).length).toBeGreaterThan(0)
  })
})
