import * as fc from "fast-check"
import { describe, expect, it } from "vitest"
import type { Fields } from "../../model/Exchange.ts"
import { defaultHttp1Limits } from "../http1/Limits.ts"
import { Http2ClientSession } from "./Http2ClientSession.ts"
import { Http2Code, type Http2Error } from "./Http2Error.ts"
import { FrameType, frame, preface, Setting, settingsPayload } from "./Http2Frame.ts"
import { defaultHttp2Limits } from "./Http2Limits.ts"
import { Http2ServerSession } from "./Http2ServerSession.ts"
import type { Http2Session } from "./Http2Session.ts"
import type { Http2Stream, StreamOwner, StreamReset } from "./Http2Stream.ts"
import type { Http2Request } from "./RequestHeadFields.ts"

/** Bytes one way, handed over in pieces, with a socket's room for so many. */
class Pipe {
  to: Http2Session | undefined = undefined
  from: Http2Session | undefined = undefined
  readonly #room: number
  readonly #cut: () => number
  #waiting: Array<Uint8Array> = []
  #bytes = 0
  #full = false

  constructor(room: number, cut: () => number) {
    this.#room = room
    this.#cut = cut
  }

  write(parts: ReadonlyArray<Uint8Array>): boolean {
    for (const part of parts) {
      this.#waiting.push(Uint8Array.from(part))
      this.#bytes += part.length
    }
    this.#full = this.#bytes >= this.#room
    return !this.#full
  }

  /** False: nothing was on its way. */
  move(): boolean {
    if (this.#bytes === 0) return false
    const all = Buffer.concat(this.#waiting)
    const length = Math.min(all.length, this.#cut())
    this.#waiting = length === all.length ? [] : [all.subarray(length)]
    this.#bytes -= length
    this.to?.feed(Buffer.from(all.subarray(0, length)))
    if (this.#full && this.#bytes < this.#room) {
      this.#full = false
      this.from?.onDrain()
    }
    return true
  }
}

class Recorder implements StreamOwner {
  stream: Http2Stream | undefined = undefined
  head: unknown = undefined
  bytes = 0
  ended: Fields | undefined = undefined
  reset: StreamReset | undefined = undefined
  /** Takes so many chunks, then says "enough for now". */
  appetite = Number.POSITIVE_INFINITY
  /** To be sent, whenever there is room. */
  #left = 0
  #piece = 1
  #sentAll: Fields = []

  onStreamHead(head: unknown): void {
    this.head = head
  }
  onStreamData(chunk: Uint8Array): boolean {
    this.bytes += chunk.length
    this.appetite--
    return this.appetite > 0
  }
  onStreamEnd(trailers: Fields): void {
    this.ended = trailers
  }
  onStreamReset(reset: StreamReset): void {
    this.reset = reset
  }
  onStreamRoom(): void {
    this.pump()
  }
  send(bytes: number, piece: number, trailers: Fields = []): void {
    this.#left = bytes
    this.#piece = piece
    this.#sentAll = trailers
    this.pump()
  }
  get left(): number {
    return this.#left
  }
  pump(): void {
    while (this.#left > 0) {
      const length = Math.min(this.#left, this.#piece)
      this.#left -= length
      if (this.stream?.write(Buffer.alloc(length, 1)) === false) break
    }
    if (this.#left === 0) this.stream?.end(this.#sentAll)
  }
}

const makePair = (room = 64 * 1024, cut: () => number = () => 16 * 1024) => {
  let tasks: Array<() => void> = []
  const there = new Pipe(room, cut)
  const back = new Pipe(room, cut)
  const broken: Array<Http2Error> = []
  const defects: Array<unknown> = []
  const requests: Array<{ readonly request: Http2Request; readonly owner: Recorder }> = []
  const clock = { now: 0 }
  const common = {
    limits: defaultHttp2Limits,
    messages: defaultHttp1Limits,
    now: () => clock.now,
    defer: (task: () => void) => {
      tasks.push(task)
    },
    onDefect: (error: unknown) => {
      defects.push(error)
    }
  }
  const owner = {
    onIdle: () => undefined,
    onBroken: (error: Http2Error) => {
      broken.push(error)
    },
    onGoaway: () => undefined,
    onDroppedTrailer: () => undefined
  }
  const on = { request: (_: Recorder): void => undefined }
  const client = new Http2ClientSession({
    ...common,
    owner: { ...owner, write: (parts) => there.write(parts) }
  })
  const server = new Http2ServerSession(common, {
    ...owner,
    write: (parts) => back.write(parts),
    onRequest: (stream, request) => {
      const recorder = new Recorder()
      recorder.stream = stream
      stream.owner = recorder
      requests.push({ request, owner: recorder })
      on.request(recorder)
    },
    onBadRequest: (stream) => stream.reset(Http2Code.protocol)
  })
  there.to = server
  there.from = client
  back.to = client
  back.from = server
  const run = (): void => {
    for (let i = 0; i < 100_000; i++) {
      const due = tasks
      tasks = []
      for (const task of due) task()
      const moved = [there.move(), back.move()]
      if (due.length === 0 && !moved.includes(true)) return
    }
    throw new Error("it never rests")
  }
  const ask = (method = "POST"): Recorder => {
    const recorder = new Recorder()
    const pseudo = [":method", method, ":scheme", "http", ":authority", "a.mesh", ":path", "/"]
    recorder.stream = client.request(method, { pseudo, fields: [], more: [] }, recorder)
    return recorder
  }
  return {
    ...{ ask, broken, client, clock, defects, on, requests, run, server }
  }
}

const ok = { pseudo: [":status", "200"], fields: ["x-a", "1"], more: [] }

describe("two sessions", () => {
  it("carry a request and its response, with trailers", () => {
    const pair = makePair()
    pair.on.request = (owner) => {
      owner.stream?.begin(ok)
      owner.send(10, 3, ["grpc-status", "0"])
    }
    const asked = pair.ask()
    asked.send(5, 5, ["x-sum", "5"])
    pair.run()
    expect(asked).toMatchObject({ bytes: 10, ended: ["grpc-status", "0"], reset: undefined })
    expect(asked.head).toMatchObject({ status: 200, fields: ["x-a", "1"] })
    expect(pair.requests[0]?.owner).toMatchObject({ bytes: 5, ended: ["x-sum", "5"] })
    expect([pair.client.open, pair.server.open]).toEqual([0, 0])
  })

  it("carry bodies of any size in both directions, whatever is cut and whoever pauses", () => {
    const transfer = fc.record({
      up: fc.nat({ max: 700_000 }),
      down: fc.nat({ max: 700_000 }),
      piece: fc.integer({ min: 1_000, max: 200_000 }),
      pauses: fc.boolean()
    })
    fc.assert(
      fc.property(
        fc.array(transfer, { minLength: 1, maxLength: 5 }),
        fc.integer({ min: 1_000, max: 200_000 }),
        fc.array(fc.integer({ min: 1, max: 150_000 }), { minLength: 1, maxLength: 20 }),
        (transfers, room, cuts) => {
          let at = 0
          const pair = makePair(room, () => cuts[at++ % cuts.length]! + (at > 200 ? 50_000 : 0))
          pair.on.request = (owner) => {
            const { down, pauses, piece } = transfers[pair.requests.length - 1]!
            if (pauses) owner.appetite = 2
            owner.stream?.begin(ok)
            owner.send(down, piece)
          }
          const asked = transfers.map(({ pauses, piece, up }) => {
            const recorder = pair.ask()
            if (pauses) recorder.appetite = 2
            recorder.send(up, piece)
            return recorder
          })
          const all = (): ReadonlyArray<Recorder> => [
            ...asked,
            ...pair.requests.map(({ owner }) => owner)
          ]
          for (let round = 0; round < 2_000; round++) {
            pair.run()
            const stopped = all().filter(({ appetite, ended }) => appetite <= 0 && !ended)
            if (stopped.length === 0) break
            for (const recorder of stopped) {
              recorder.appetite = 2
              recorder.stream?.resume()
            }
          }
          expect(pair.broken).toEqual([])
          expect(pair.defects).toEqual([])
          for (const [i, { down, up }] of transfers.entries()) {
            expect(asked[i]).toMatchObject({ bytes: down, ended: [], reset: undefined })
            // A response that ends first leaves the rest of the request to nobody.
            const { owner } = pair.requests[i]!
            if (owner.reset === undefined) expect(owner.bytes).toBeLessThanOrEqual(up)
          }
        }
      ),
      { numRuns: 60 }
    )
  })

  it("end with an Http2Error at worst, whatever frames come in whatever pieces", () => {
    const anyFrame = fc
      .record({
        type: fc.integer({ min: 0, max: 10 }),
        flags: fc.integer({ min: 0, max: 255 }),
        stream: fc.integer({ min: 0, max: 9 }),
        payload: fc.oneof(
          fc.uint8Array({ maxLength: 40 }),
          // GET / of a.mesh, and settings, which get further than what is random.
          fc.constant(Buffer.from("828684410661 2e6d657368".replace(" ", ""), "hex")),
          fc.constant(settingsPayload([[Setting.window, 10]])),
          fc.constantFrom(Buffer.alloc(4, 1), Buffer.alloc(5), Buffer.alloc(8))
        )
      })
      .map(({ flags, payload, stream, type }) => frame(type, flags, stream, payload))
    fc.assert(
      fc.property(
        fc.array(anyFrame, { maxLength: 30 }),
        fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 5 }),
        (frames, cuts) => {
          const pair = makePair()
          pair.on.request = (owner) => {
            owner.stream?.begin(ok)
            owner.send(100, 10)
          }
          const hello = frame(FrameType.settings, 0, 0, new Uint8Array())
          const bytes = Buffer.concat([preface, hello, ...frames])
          for (let at = 0, i = 0; at < bytes.length; i++) {
            const length = cuts[i % cuts.length]!
            pair.server.feed(bytes.subarray(at, at + length))
            at += length
          }
          expect(pair.defects).toEqual([])
          expect(pair.broken.length).toBe(pair.server.closed ? 1 : 0)
          pair.server.lost("the test is over")
          expect(pair.server.open).toBe(0)
        }
      ),
      { numRuns: 1_000 }
    )
  })
})
