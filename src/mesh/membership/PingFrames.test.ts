import fc from "fast-check"
import { describe, expect, it } from "vitest"
import type { ByteChannel } from "../../model/ByteChannel.ts"
import { makeMemoryChannels } from "../../testing/MemoryChannel.ts"
import { PingFrames, type PingQuestion, type PingReply } from "./PingFrames.ts"

/** Runs what is under way. */
const pump = () => {
  const tasks: Array<() => void> = []
  return {
    defer: (task: () => void) => void tasks.push(task),
    run: () => {
      for (let task = tasks.shift(); task !== undefined; task = tasks.shift()) task()
    }
  }
}

const listen = (channel: ByteChannel) => {
  const questions: Array<PingQuestion> = []
  const replies: Array<PingReply> = []
  const end = { closed: false }
  const frames = new PingFrames(channel, {
    onQuestion: (question) => questions.push(question),
    onReply: (reply) => replies.push(reply),
    onClose: () => {
      end.closed = true
    }
  })
  return { questions, replies, end, frames }
}

const setUp = (chunks?: () => number) => {
  const { defer, run } = pump()
  const { left, right } = makeMemoryChannels({ defer, ...(chunks && { chunks }) })
  return { run, raw: left, speaker: () => listen(left), hearer: listen(right) }
}

const count = fc.nat({ max: Number.MAX_SAFE_INTEGER })
const id = fc.nat({ max: 0xffff_ffff })

describe("ping frames", () => {
  it("bring questions and answers as they were, however they are cut", () => {
    const question = fc.record({
      id,
      clock: count,
      accused: fc.option(
        count.filter((at) => at > 0),
        { nil: undefined }
      )
    })
    const reply = fc.record({
      id,
      clock: count,
      incarnation: count,
      alive: fc.option(fc.uint8Array({ minLength: 1, maxLength: 900 }), { nil: undefined })
    })
    fc.assert(
      fc.property(
        fc.array(question),
        fc.array(reply),
        fc.integer({ min: 1, max: 40 }),
        (asked, answered, size) => {
          const { hearer, run, speaker } = setUp(() => size)
          const { frames } = speaker()
          for (const one of asked) frames.ask(one)
          for (const one of answered) frames.answer(one)
          run()
          expect(hearer.questions).toEqual(asked)
          expect(hearer.replies).toEqual(answered)
        }
      )
    )
  })

  it("pass over kinds that are not known, and what a later version adds to a question", () => {
    const { hearer, raw, run } = setUp()
    const frame = (kind: number, extra: number) => {
      const bytes = Buffer.alloc(2 + 21 + extra)
      bytes.writeUInt16BE(21 + extra, 0)
      bytes.writeUInt8(kind, 2)
      bytes.writeUInt32BE(7, 3)
      bytes.writeDoubleBE(5, 7)
      bytes.writeDoubleBE(3, 15)
      return bytes
    }
    for (const bytes of [frame(9, 0), frame(1, 30), Buffer.from([0, 1, 1]), Buffer.from([0, 0])])
      raw.write(bytes)
    run()
    expect(hearer.questions).toEqual([{ id: 7, clock: 5, accused: 3 }])
    expect([hearer.replies, hearer.end.closed]).toEqual([[], false])
  })

  it("take no number that is no time", () => {
    for (const value of [Number.NaN, -1, Number.POSITIVE_INFINITY, 0.5, 2 ** 60]) {
      const { hearer, raw, run } = setUp()
      const bytes = Buffer.alloc(23)
      bytes.writeUInt16BE(21, 0)
      bytes.writeUInt8(2, 2)
      bytes.writeDoubleBE(5, 7)
      bytes.writeDoubleBE(value, 15)
      raw.write(bytes)
      run()
      expect(hearer.replies).toEqual([])
    }
  })

  it("end the stream at what is too long for one", () => {
    const { hearer, raw, run } = setUp()
    raw.write(Buffer.from([0xff, 0xff]))
    run()
    expect(hearer.end.closed).toBe(true)
  })

  it("end the stream when the other side does not read", () => {
    const { defer } = pump()
    const { left } = makeMemoryChannels({ defer, capacity: 60 })
    const { end, frames } = listen(left)
    for (let i = 0; i < 4; i++) frames.ask({ id: i, clock: 1, accused: undefined })
    expect(end.closed).toBe(true)
  })

  it("survive any bytes", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ minLength: 1, maxLength: 200 })), (chunks) => {
        const { raw, run } = setUp()
        for (const bytes of chunks) raw.write(bytes)
        run()
      })
    )
  })
})
