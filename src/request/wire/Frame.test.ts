import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { hostCaller, serviceCaller } from "../../model/Caller.ts"
import type { Call } from "../../model/Exchange.ts"
import type { Fault } from "../../model/Fault.ts"
import { leastLoan, lend } from "../../model/Loan.ts"
import { NodeName, PeerKey, ServiceName } from "../../model/Names.ts"
import { tcpCall } from "../../testing/LinkTestPair.ts"
import { endsWith, FrameType, frameLimits, headerLength, ProtocolError } from "./Frame.ts"
import { FrameDecoder } from "./FrameDecoder.ts"
import {
  decodeFault,
  decodeOpening,
  decodeTrailers,
  encodeFault,
  encodeOpening,
  encodeTrailers,
  markPast
} from "./FramePayload.ts"
import { FrameWriter } from "./FrameWriter.ts"
import { Outbox } from "./Outbox.ts"

interface Seen {
  readonly type: number
  readonly exchange: number
  readonly payload: string
}

const collect = (chunks: Iterable<Uint8Array>): Array<Seen> => {
  const seen: Array<Seen> = []
  const decoder = new FrameDecoder((type, exchange, payload) =>
    seen.push({ type, exchange, payload: payload.toString("latin1") })
  )
  for (const chunk of chunks) decoder.push(chunk)
  return seen
}

/** Cuts at the given offsets. */
const cut = (bytes: Uint8Array, sizes: ReadonlyArray<number>): Array<Uint8Array> => {
  const chunks: Array<Uint8Array> = []
  for (let offset = 0, i = 0; offset < bytes.length; i++) {
    const size = sizes.length === 0 ? bytes.length : sizes[i % sizes.length]!
    chunks.push(bytes.subarray(offset, offset + size))
    offset += size
  }
  return chunks
}

const exchange = fc.integer({ min: 0, max: 0xffff_ffff })
const anyFrame = fc.record({
  type: fc.constantFrom<FrameType>(FrameType.head, FrameType.data, FrameType.end),
  exchange,
  payload: fc.uint8Array({ maxLength: 3_000 })
})

describe("frames", () => {
  it("come out as they went in, however the stream is cut", () => {
    fc.assert(
      fc.property(
        fc.array(anyFrame, { maxLength: 20 }),
        fc.array(fc.integer({ min: 1, max: 5_000 }), { maxLength: 6 }),
        (frames, sizes) => {
          const writer = new FrameWriter()
          for (const it of frames) writer.bytes(it.type, it.exchange, it.payload)
          const seen = collect(cut(writer.take(), sizes))
          expect(seen).toEqual(
            frames.map((it) => ({
              type: it.type,
              exchange: it.exchange,
              payload: Buffer.from(it.payload).toString("latin1")
            }))
          )
        }
      )
    )
  })

  it("are gathered from chunks, whose memory is free as soon as it was copied", () => {
    const length = fc.oneof(fc.integer({ min: 1, max: 400 }), fc.constant(leastLoan + 1))
    fc.assert(
      fc.property(
        fc.array(length, { minLength: 1, maxLength: 12 }),
        fc.array(fc.integer({ min: 1, max: 3 * leastLoan }), { minLength: 1 }),
        (sizes, turns) => {
          const chunks = sizes.map((size, i) => Buffer.from(new ArrayBuffer(size)).fill(i))
          const whole = Buffer.concat(chunks).toString("latin1")
          const outbox = new Outbox(9, whole.length, {
            onRoom: () => {},
            onDrained: () => {},
            onBroken: () => {}
          })
          for (const chunk of chunks) {
            lend(chunk)
            outbox.put(chunk)
          }
          const writer = new FrameWriter()
          for (let i = 0; outbox.sendable; i++) {
            outbox.send(writer, Math.min(outbox.pending, turns[i % turns.length]!))
          }
          const frames = collect([writer.take()])
          expect(frames.map(({ payload }) => payload).join("")).toBe(whole)
          for (const [i, chunk] of chunks.entries()) {
            expect(chunk.length).toBe(sizes[i]! < leastLoan ? sizes[i] : 0)
          }
        }
      )
    )
  })

  it("are the same bytes in parts, where large data is not copied, and free when given back", () => {
    const length = fc.oneof(
      fc.integer({ min: 1, max: 400 }),
      fc.integer({ min: 16_000, max: 32_000 })
    )
    const step = fc.record({
      sizes: fc.array(length, { maxLength: 4 }),
      small: fc.boolean(),
      end: fc.boolean()
    })
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 8 }), (steps) => {
        const [apart, together] = [new FrameWriter(true), new FrameWriter()]
        const lent: Array<Buffer> = []
        const copied: Array<Buffer> = []
        for (const [exchange, { end, sizes, small }] of steps.entries()) {
          for (const writer of [apart, together]) {
            const chunks = sizes.map((size, i) => Buffer.from(new ArrayBuffer(size)).fill(i + 1))
            const total = sizes.reduce((sum, size) => sum + size, 0)
            writer.beginData(exchange, total)
            for (const chunk of chunks) {
              lend(chunk)
              writer.append(chunk)
              const isHeld = writer === apart && chunk.length >= 16 * 1024
              ;(isHeld ? lent : copied).push(chunk)
            }
            // Which frame says the end may differ.
            if (end && !writer.end(exchange)) {
              writer.bytes(FrameType.end, exchange, Buffer.alloc(0))
            }
            if (small) writer.text(FrameType.head, exchange, undefined, "head")
          }
        }
        const parts = apart.isParted ? apart.takeParts() : [apart.take()]
        expect(apart.length).toBe(0)
        expect(collect(parts)).toEqual(collect([together.take()]))
        for (const chunk of lent) expect(parts.includes(chunk)).toBe(true)
        expect(copied.every((chunk) => chunk.length < leastLoan)).toBe(true)
        apart.giveBack()
        expect(lent.every((chunk) => chunk.length === 0)).toBe(true)
      })
    )
  })

  it("that were taken are never written to again", () => {
    const writer = new FrameWriter()
    writer.bytes(FrameType.data, 1, Buffer.from("first"))
    const first = writer.take()
    const before = Buffer.from(first)
    for (let i = 0; i < 5_000; i++) writer.bytes(FrameType.data, 2, Buffer.from("second"))
    expect(first.equals(before)).toBe(true)
    expect(collect([writer.take()]).length).toBe(5_000)
  })

  it("say the end of their exchange, if they are its last and nothing stands between", () => {
    const writer = new FrameWriter()
    writer.text(FrameType.open, 1, undefined, "head")
    expect(writer.end(2)).toBe(false)
    expect(writer.end(1)).toBe(true)
    expect(writer.end(1)).toBe(false)
    writer.number(FrameType.credit, 1, 7)
    expect(writer.end(1)).toBe(false)
    writer.bytes(FrameType.data, 3, Buffer.alloc(40_000, "x"))
    expect(writer.end(3)).toBe(true)
    const bytes = writer.take()
    expect(writer.end(3)).toBe(false)
    for (const sizes of [[], [1], [7, 30_000]]) {
      const seen = collect(cut(bytes, sizes)).map(({ type, exchange }) => [type, exchange])
      expect(seen).toEqual([
        [FrameType.open, 1],
        [FrameType.end, 1],
        [FrameType.credit, 1],
        [FrameType.data, 3],
        [FrameType.end, 3]
      ])
    }
  })

  it("of other types cannot say an end", () => {
    const writer = new FrameWriter()
    writer.number(FrameType.credit, 1, 7)
    const bytes = writer.take()
    bytes[3] = FrameType.credit | endsWith
    expect(() => collect([bytes])).toThrow(ProtocolError)
  })

  it("of types that a later version added are passed over, however the stream is cut", () => {
    const later = Buffer.from([0, 0, 5, 0x7f, 0, 0, 0, 9, ...Buffer.from("hello")])
    const writer = new FrameWriter()
    writer.number(FrameType.ping, 0, 1)
    const known = writer.take()
    const bytes = Buffer.concat([later, known, later, later, known])
    for (let size = 1; size <= bytes.length; size++) {
      const seen = collect(cut(bytes, [size]))
      expect(seen.map(({ type }) => type)).toEqual([FrameType.ping, FrameType.ping])
    }
  })

  it("within one chunk are not copied", () => {
    const writer = new FrameWriter()
    writer.bytes(FrameType.data, 1, Buffer.from("payload"))
    const chunk = writer.take()
    const payloads: Array<Buffer> = []
    new FrameDecoder((_type, _exchange, payload) => payloads.push(payload)).push(chunk)
    expect(payloads[0]?.buffer).toBe(chunk.buffer)
  })

  it("of faults that lack something, or say it wrongly, are refused", () => {
    const fault = { code: "overflow", message: "m", node: "n", service: "payments", sent: true }
    const { code: _, ...codeless } = fault
    const wrong = ["", "{", "null", "[]", "5", JSON.stringify(codeless), JSON.stringify([fault])]
    for (const change of [
      ...[{ code: 5 }, { message: null }, { node: {} }, { service: undefined }, { service: false }],
      ...[{ sent: 1 }, { sent: undefined }, { retryAfter: null }, { retryAfter: "2" }],
      ...[{ retryAfter: -1 }, { retryAfter: 86_401 }]
    ]) {
      wrong.push(JSON.stringify({ ...fault, ...change }))
    }
    for (const text of wrong) {
      expect(() => decodeFault(Buffer.from(text)), text).toThrow(
        new ProtocolError("reset frame without a readable fault")
      )
    }
    const right = { ...fault, retryAfter: 86_400, later: "what a newer peer says besides" }
    expect(decodeFault(Buffer.from(JSON.stringify(right)))).toEqual({
      ...fault,
      retryAfter: 86_400
    })
    expect(decodeFault(Buffer.from(JSON.stringify({ ...fault, service: "A B" }))).service).toBe(
      undefined
    )
  })

  it("that are garbage throw nothing but a ProtocolError", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 300 }),
        fc.integer({ min: 1, max: 50 }),
        (bytes, size) => {
          try {
            collect(cut(bytes, [size]))
          } catch (error) {
            expect(error).toBeInstanceOf(ProtocolError)
          }
        }
      ),
      { numRuns: 2_000 }
    )
  })

  it("that are too long are refused before memory is taken for them", () => {
    const header = Buffer.alloc(headerLength)
    header.writeUInt32BE((frameLimits.data + 1) * 256 + FrameType.data)
    expect(() => collect([header])).toThrow(ProtocolError)
    header.writeUInt32BE(frameLimits.data * 256 + FrameType.data)
    expect(collect([header])).toEqual([])
  })

  it("are not handed on after stop", () => {
    const writer = new FrameWriter()
    writer.bytes(FrameType.data, 1, Buffer.from("a"))
    writer.bytes(FrameType.data, 1, Buffer.from("b"))
    let seen = 0
    const decoder: FrameDecoder = new FrameDecoder(() => {
      seen++
      decoder.stop()
    })
    decoder.push(writer.take())
    decoder.push(Buffer.from("whatever"))
    expect(seen).toBe(1)
  })
})

const call: fc.Arbitrary<Call> = fc.record({
  kind: fc.constant("tcp"),
  service: fc
    .stringMatching(/^[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?$/)
    .map((name) => ServiceName.make(name)),
  head: fc.constant(undefined),
  endpoint: fc.option(fc.string({ maxLength: 64 }), { nil: undefined }),
  caller: fc.constant(PeerKey.make("12D3KooWA1iceA1iceA1iceA1ice")),
  identity: fc.constantFrom(
    hostCaller(NodeName.make("host-a")),
    serviceCaller(ServiceName.make("orders")),
    serviceCaller(ServiceName.make("x".repeat(63)))
  ),
  deadline: fc.option(fc.integer({ min: 0, max: 10_000_000 }), { nil: undefined }),
  attempt: fc.integer({ min: 0, max: 255 }),
  connectTimeout: fc.option(fc.integer({ min: 0, max: 10_000_000 }), { nil: undefined })
})

describe("payloads", () => {
  it("of openings come back equal", () => {
    fc.assert(
      fc.property(call, (it) => {
        const section = it.attempt % 129
        const said = it.identity.kind === "service" ? it.identity : undefined
        const bytes = encodeOpening(it, section, said)
        const pastCircuit = it.attempt % 2 === 0
        if (pastCircuit) markPast(bytes)
        const { head, ...opening } = decodeOpening(bytes, undefined, true)
        // A lone surrogate has no UTF-8 form.
        const { head: _head, caller: _caller, endpoint, ...sent } = it
        const text = endpoint === undefined ? undefined : Buffer.from(endpoint).toString()
        expect(opening).toEqual({ ...sent, endpoint: text, identity: said, section, pastCircuit })
        expect(head).toBe(bytes.length)
      })
    )
  })

  it("of openings speak for a service of this mesh or for nobody", () => {
    const orders = serviceCaller(ServiceName.make("orders"))
    const call: Call = { ...tcpCall(), endpoint: "0" }
    for (const bad of ["host/db-1", "Orders", "", `${"0".repeat(32)}//service/orders`, "a b"]) {
      const good = encodeOpening(call, 0, orders)
      const start = good.length - "orders".length - 1
      const bytes = Buffer.concat([
        good.subarray(0, start),
        Buffer.of(bad.length),
        Buffer.from(bad)
      ])
      expect(() => decodeOpening(bytes), bad).toThrow(ProtocolError)
    }
    const cut = encodeOpening(call, 0, orders)
    for (let length = 14; length < cut.length; length++) {
      expect(() => decodeOpening(cut.subarray(0, length)), `${length}`).toThrow(ProtocolError)
    }
    cut[0] = 4
    expect(() => decodeOpening(cut)).toThrow(/unknown kind 4/)
  })

  it("of openings round times to what is left of them, and cut what does not fit", () => {
    const sent = (millis: number | undefined) => {
      const limits = { deadline: millis, connectTimeout: millis }
      const opening = decodeOpening(encodeOpening({ ...tcpCall(), ...limits }, 0))
      expect(opening.connectTimeout).toBe(opening.deadline)
      return opening.connectTimeout
    }
    expect(sent(undefined)).toBeUndefined()
    expect(sent(299.9)).toBe(299)
    expect(sent(-1)).toBe(0)
    // 49 days and more; not "none".
    expect(sent(1e12)).toBe(0xffff_fffe)
  })

  it("of trailers come back equal", () => {
    const field = fc.tuple(
      fc.stringMatching(/^[A-Za-z0-9-]{1,20}$/),
      fc.stringMatching(/^[ -~]{0,60}$/)
    )
    fc.assert(
      fc.property(fc.array(field, { maxLength: 20 }), (fields) => {
        const flat = fields.flat()
        expect(decodeTrailers(encodeTrailers(flat) ?? Buffer.from("too long"))).toEqual(flat)
      })
    )
  })

  it("of trailers say nothing in the mesh's name", () => {
    const sent = ["a", "1", "skein-error", "denied", "Skein_Caller", "root", "b", "skein-x"]
    expect(decodeTrailers(encodeTrailers(sent)!)).toEqual(["a", "1", "b", "skein-x"])
  })

  it("of trailers that do not fit, or are not latin-1, are refused when encoding", () => {
    expect(encodeTrailers(["x", "y".repeat(frameLimits.trailers)])).toBeUndefined()
    expect(encodeTrailers(["x", "\u010d\u010a"])).toBeUndefined()
  })

  it("of faults come back equal, and fit", () => {
    const fault: Fault = {
      code: "rate_limited",
      message: "more than 100 per second",
      node: "host-b",
      service: ServiceName.make("payments"),
      sent: false,
      retryAfter: 2
    }
    expect(decodeFault(encodeFault(fault))).toEqual(fault)
    const { retryAfter: _, ...without } = fault
    expect(decodeFault(encodeFault({ ...without, service: undefined }))).toEqual({
      ...without,
      service: undefined
    })
    const long = { ...fault, message: "\u0001".repeat(10_000) }
    expect(encodeFault(long).length).toBeLessThanOrEqual(frameLimits.reset)
  })

  it("of a newer peer's fault become the most careful one", () => {
    const bytes = Buffer.from(
      '{"code":"brand_new","message":"m","node":"n","service":null,"sent":true}'
    )
    expect(decodeFault(bytes).code).toBe("upstream_reset")
  })

  it("of faults that lack something, or say it wrongly, are refused", () => {
    const fault = { code: "overflow", message: "m", node: "n", service: "payments", sent: true }
    const { code: _, ...codeless } = fault
    const wrong = ["", "{", "null", "[]", "5", JSON.stringify(codeless), JSON.stringify([fault])]
    for (const change of [
      ...[{ code: 5 }, { message: null }, { node: {} }, { service: undefined }, { service: false }],
      ...[{ sent: 1 }, { sent: undefined }, { retryAfter: null }, { retryAfter: "2" }],
      ...[{ retryAfter: -1 }, { retryAfter: 86_401 }]
    ]) {
      wrong.push(JSON.stringify({ ...fault, ...change }))
    }
    for (const text of wrong) {
      expect(() => decodeFault(Buffer.from(text)), text).toThrow(
        new ProtocolError("reset frame without a readable fault")
      )
    }
    const right = { ...fault, retryAfter: 86_400, later: "what a newer peer says besides" }
    expect(decodeFault(Buffer.from(JSON.stringify(right)))).toEqual({
      ...fault,
      retryAfter: 86_400
    })
    expect(decodeFault(Buffer.from(JSON.stringify({ ...fault, service: "A B" }))).service).toBe(
      undefined
    )
  })

  it("that are garbage throw nothing but a ProtocolError", () => {
    for (const decode of [decodeOpening, decodeTrailers, decodeFault]) {
      fc.assert(
        fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
          try {
            decode(Buffer.from(bytes))
          } catch (error) {
            expect(error).toBeInstanceOf(ProtocolError)
          }
        }),
        { numRuns: 1_000 }
      )
    }
  })
})
