import { createHash } from "node:crypto"
import {
  type HttpApp,
  HttpIncomingMessage,
  HttpServer,
  HttpServerRequest,
  HttpServerResponse,
  type Socket
} from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Layer, Option, Queue, Scope, Stream } from "effect"
import { type Dispatch, fieldValue, noFields, type RequestStream } from "../model/Exchange.ts"
import type { Fault } from "../model/Fault.ts"
import { httpCall, payments, RecordingReceiver } from "../testing/InboundFixture.ts"
import * as MeshHttpServer from "./MeshHttpServer.ts"
import { MeshProgram } from "./MeshProgram.ts"

const op = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const

/** From a client: with a mask. */
const frame = (opcode: number, payload: Uint8Array | string): Buffer => {
  const content = Buffer.from(payload)
  const { length } = content
  const head = Buffer.alloc(length < 126 ? 2 : length < 65_536 ? 4 : 10)
  head[0] = 0x80 | opcode
  head[1] = 0x80 | (length < 126 ? length : length < 65_536 ? 126 : 127)
  if (length >= 65_536) head.writeBigUInt64BE(BigInt(length), 2)
  else if (length >= 126) head.writeUInt16BE(length, 2)
  const mask = Buffer.from([1, 2, 3, 4])
  for (let i = 0; i < length; i++) content[i] = content.readUInt8(i) ^ mask.readUInt8(i & 3)
  return Buffer.concat([head, mask, content])
}

const closing = (code: number): Buffer => {
  const payload = Buffer.alloc(2)
  payload.writeUInt16BE(code)
  return frame(op.close, payload)
}

/** What the program has sent: short frames, by opcode and payload. */
const framesOf = ({ chunks }: RecordingReceiver): ReadonlyArray<readonly [number, string]> => {
  const frames: Array<readonly [number, string]> = []
  let rest = Buffer.concat(chunks)
  while (rest.length > 0) {
    const opcode = rest.readUInt8(0) & 0x0f
    const end = 2 + rest.readUInt8(1)
    const payload = rest.subarray(2, end)
    frames.push([
      opcode,
      opcode === op.close ? String(payload.readUInt16BE(0)) : payload.toString()
    ])
    rest = rest.subarray(end)
  }
  return frames
}

const serve = <E>(app: HttpApp.Default<E, Scope.Scope>, scope?: Scope.Scope) =>
  Effect.gen(function* () {
    let dispatch: Dispatch | undefined
    const node = Layer.succeed(MeshProgram, {
      node: () => "host-a",
      drainDeadline: () => 30_000,
      mayServe: () => Effect.void,
      reportActors: () => Effect.void,
      offer: (served) =>
        Effect.sync(() => {
          dispatch = served.dispatch
          return { endpoint: "program", setHealth: () => Effect.void }
        })
    })
    const layer = Layer.provide(
      HttpServer.serve(app),
      Layer.provide(MeshHttpServer.layer("payments"), node)
    )
    yield* Layer.buildWithScope(layer, scope ?? (yield* Effect.scope))
    if (dispatch === undefined) throw new Error("nothing is offered")
    return dispatch
  })

const key = "dGhlIHNhbXBsZSBub25jZQ=="
const handshake = ["Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", key]

interface Client {
  readonly receiver: RecordingReceiver
  readonly stream: RequestStream
}

const ask = (dispatch: Dispatch, fields: ReadonlyArray<string> = handshake): Client => {
  const receiver = new RecordingReceiver()
  const call = httpCall({ upgrade: "websocket", fields })
  return { receiver, stream: dispatch(call, receiver) }
}

const until = (receiver: RecordingReceiver, condition: () => boolean) =>
  Effect.promise(() => receiver.until(condition))

const open = (dispatch: Dispatch) =>
  Effect.gen(function* () {
    const client = ask(dispatch)
    yield* until(client.receiver, () => client.receiver.head !== undefined)
    expect(client.receiver.head?.status).toBe(101)
    return client
  })

const gone: Fault = { code: "client_gone", message: "", node: "", service: payments, sent: true }

const { upgrade } = {
  upgrade: Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => request.upgrade)
}

const echo = Effect.gen(function* () {
  const socket = yield* upgrade
  const write = yield* socket.writer
  yield* socket.runRaw((message) => write(message))
  return HttpServerResponse.empty()
})

describe("a WebSocket of a program without a port", () => {
  it.scoped("is opened, answers pings, and is closed by its client", () =>
    Effect.gen(function* () {
      const { receiver, stream } = yield* open(yield* serve(echo))
      const accept = createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
      expect(receiver.head).toMatchObject({ upgrade: "websocket", framing: { kind: "stream" } })
      expect(fieldValue(receiver.head?.fields ?? [], "sec-websocket-accept")).toBe(
        accept.digest("base64")
      )
      stream.write(Buffer.concat([frame(op.text, "hello"), frame(op.ping, "there?")]))
      yield* until(receiver, () => framesOf(receiver).length === 2)
      stream.write(frame(op.binary, "bytes"))
      yield* until(receiver, () => framesOf(receiver).length === 3)
      stream.write(closing(1000))
      yield* Effect.promise(() => receiver.done)
      expect([...framesOf(receiver)].sort()).toEqual(
        [
          [op.text, "hello"],
          [op.pong, "there?"],
          [op.binary, "bytes"],
          [op.close, "1000"]
        ].sort()
      )
      stream.end(noFields)
    })
  )

  it.scoped("has a handler like any other request, which sees what was asked for", () =>
    Effect.gen(function* () {
      const app = Effect.gen(function* () {
        const { headers, text } = yield* HttpServerRequest.HttpServerRequest
        return HttpServerResponse.unsafeJson([
          headers["upgrade"],
          headers["connection"],
          yield* text
        ])
      })
      const { receiver } = ask(yield* serve(app))
      yield* Effect.promise(() => receiver.done)
      expect([receiver.head?.status, receiver.text]).toEqual([200, '["websocket","upgrade",""]'])
    })
  )

  it.scoped("is refused where none was asked for, or by no handshake", () =>
    Effect.gen(function* () {
      const dispatch = yield* serve(echo)
      const plain = new RecordingReceiver()
      dispatch(httpCall(), plain).end(noFields)
      yield* Effect.promise(() => plain.done)
      expect(plain.head?.status).toBe(400)
      const { receiver } = ask(dispatch, ["Sec-WebSocket-Version", "7", "Sec-WebSocket-Key", key])
      yield* Effect.promise(() => receiver.done)
      expect(receiver.head).toMatchObject({ status: 400, framing: { kind: "length" } })
      expect(fieldValue(receiver.head?.fields ?? [], "sec-websocket-version")).toBe("13, 8")
      const ended = ask(dispatch)
      ended.stream.end(noFields)
      yield* Effect.promise(() => ended.receiver.done)
      expect(ended.receiver.head?.status).toBe(400)
    })
  )

  it.scoped("closes when its handler has ended, and when that fails", () =>
    Effect.gen(function* () {
      for (const end of [Effect.void, Effect.fail("no")]) {
        const app = Effect.gen(function* () {
          const socket = yield* upgrade
          yield* Effect.raceFirst(
            socket.run(() => undefined),
            Effect.zipRight(Effect.yieldNow(), Effect.zipRight(Effect.sleep(0), end))
          )
          return HttpServerResponse.empty()
        }).pipe(Effect.withClock(yield* Effect.clock))
        const { receiver, stream } = yield* open(yield* serve(app))
        yield* until(receiver, () => receiver.bytes > 0)
        expect(Buffer.concat(receiver.chunks)).toEqual(Buffer.from([0x88, 0]))
        stream.write(closing(1000))
        yield* until(receiver, () => receiver.over)
        expect(receiver.fault).toBeUndefined()
        stream.end(noFields)
      }
    })
  )

  it.scoped("ends with its client's half, and with its client", () =>
    Effect.gen(function* () {
      const ends = yield* Queue.unbounded<string>()
      const app = Effect.gen(function* () {
        const socket = yield* upgrade
        yield* socket.run(() => undefined)
        yield* Queue.offer(ends, "ended")
        return HttpServerResponse.empty()
      }).pipe(Effect.onInterrupt(() => Queue.offer(ends, "interrupted")))
      const dispatch = yield* serve(app)
      const one = yield* open(dispatch)
      one.stream.end(noFields)
      expect(yield* Queue.take(ends)).toBe("ended")
      yield* Effect.promise(() => one.receiver.done)
      expect(one.receiver.fault).toBeUndefined()
      const other = yield* open(dispatch)
      other.stream.cancel(gone)
      expect(yield* Queue.take(ends)).toBe("interrupted")
    })
  )

  it.scoped("is read no faster than its handlers have done with what came", () =>
    Effect.gen(function* () {
      const go = yield* Deferred.make<void>()
      let begun = 0
      const app = Effect.gen(function* () {
        const socket = yield* upgrade
        yield* socket.run(() => {
          begun++
          return Deferred.await(go)
        })
        return HttpServerResponse.empty()
      })
      const { receiver, stream } = yield* open(yield* serve(app))
      const message = frame(op.binary, Buffer.alloc(100 * 1024))
      let sent = 0
      // It stops for good somewhere below 3 MiB: one is with handlers, and buffers are full.
      for (let before = -1; sent < 100 && before < sent; ) {
        before = sent
        const room = receiver.writable
        while (sent < 100 && stream.write(message)) sent++
        sent++
        for (let i = 0; i < 50 && receiver.writable === room; i++) yield* Effect.promise(tick)
        if (receiver.writable === room) break
      }
      expect(sent).toBeGreaterThan(10)
      expect(sent).toBeLessThan(20)
      expect(begun).toBeLessThan(13)
      yield* Deferred.succeed(go, undefined)
      yield* until(receiver, () => receiver.writable >= 1)
      while (begun < sent) yield* Effect.promise(tick)
      stream.cancel(gone)
    })
  )

  it.scoped("is written no faster than its client takes it", () =>
    Effect.gen(function* () {
      let written = 0
      const app = Effect.gen(function* () {
        const socket = yield* upgrade
        const write = yield* socket.writer
        const all = Effect.forever(
          Effect.zipRight(
            write(new Uint8Array(16 * 1024)),
            Effect.sync(() => written++)
          )
        )
        yield* Effect.raceFirst(
          socket.run(() => undefined),
          Effect.interruptible(all)
        )
        return HttpServerResponse.empty()
      })
      const dispatch = yield* serve(app)
      const client = ask(dispatch)
      client.receiver.accept = false
      yield* until(client.receiver, () => client.receiver.chunks.length > 0)
      for (let i = 0; i < 50; i++) yield* Effect.promise(tick)
      expect(written).toBeLessThan(8)
      client.receiver.accept = true
      client.stream.resume()
      yield* until(client.receiver, () => client.receiver.bytes > 1024 * 1024)
      client.stream.cancel(gone)
    })
  )

  it.scoped("has messages no longer than bodies", () =>
    Effect.gen(function* () {
      const app = HttpIncomingMessage.withMaxBodySize(
        Effect.either(Effect.scoped(echo)),
        Option.some(10)
      )
      const small = Effect.map(app, () => HttpServerResponse.empty())
      const { receiver, stream } = yield* open(yield* serve(small))
      stream.write(frame(op.text, "0123456789"))
      yield* until(receiver, () => receiver.bytes > 0)
      stream.write(frame(op.text, "0123456789a"))
      yield* until(receiver, () => framesOf(receiver).length === 2)
      expect(framesOf(receiver)).toEqual([
        [op.text, "0123456789"],
        [op.close, "1009"]
      ])
      stream.cancel(gone)
    })
  )

  it.scoped("is closed as going away when its service ends, and its handler ends well", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const ended = yield* Deferred.make<Exit.Exit<void, Socket.SocketError>>()
      const app = Effect.gen(function* () {
        const socket = yield* upgrade
        yield* Deferred.succeed(ended, yield* Effect.exit(socket.run(() => undefined)))
        return HttpServerResponse.empty()
      })
      const { receiver, stream } = yield* open(yield* serve(app, scope))
      const closed = yield* Effect.fork(Scope.close(scope, Exit.void))
      yield* until(receiver, () => receiver.bytes > 0)
      expect(framesOf(receiver)[0]).toEqual([op.close, "1001"])
      stream.write(closing(1001))
      yield* Effect.promise(() => receiver.done)
      stream.end(noFields)
      expect(yield* Deferred.await(ended)).toEqual(Exit.void)
      yield* closed
      expect(receiver.fault).toBeUndefined()
    })
  )

  it.scoped("is closed as going away when it is opened while its service ends", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const go = yield* Deferred.make<void>()
      const ended = yield* Deferred.make<Exit.Exit<void, Socket.SocketError>>()
      const app = Effect.gen(function* () {
        yield* Deferred.await(go)
        const socket = yield* upgrade
        yield* Deferred.succeed(ended, yield* Effect.exit(socket.run(() => undefined)))
        return HttpServerResponse.empty()
      })
      const { receiver, stream } = ask(yield* serve(app, scope))
      yield* Effect.yieldNow()
      const closed = yield* Effect.fork(Scope.close(scope, Exit.void))
      yield* Effect.promise(tick)
      yield* Deferred.succeed(go, undefined)
      yield* until(receiver, () => receiver.bytes > 0)
      expect(receiver.head?.status).toBe(101)
      expect(framesOf(receiver)[0]).toEqual([op.close, "1001"])
      stream.write(closing(1001))
      yield* Effect.promise(() => receiver.done)
      stream.end(noFields)
      expect(yield* Deferred.await(ended)).toEqual(Exit.void)
      yield* closed
    })
  )

  it.scoped("is a channel as well", () =>
    Effect.gen(function* () {
      const app = Stream.make(Buffer.from("hi")).pipe(
        Stream.concat(Stream.never),
        Stream.pipeThroughChannel(HttpServerRequest.upgradeChannel()),
        Stream.take(1),
        Stream.runForEach((bytes) => Queue.offer(heard, Buffer.from(bytes).toString())),
        Effect.as(HttpServerResponse.empty())
      )
      const heard = yield* Queue.unbounded<string>()
      const { receiver, stream } = yield* open(yield* serve(app))
      yield* until(receiver, () => receiver.bytes > 0)
      expect(framesOf(receiver)).toEqual([[op.binary, "hi"]])
      stream.write(frame(op.text, "grüße"))
      expect(yield* Queue.take(heard)).toBe("grüße")
      stream.cancel(gone)
    })
  )

  it.scoped("is had once", () =>
    Effect.gen(function* () {
      const app = Effect.gen(function* () {
        const request = yield* HttpServerRequest.HttpServerRequest
        const socket = yield* request.upgrade
        yield* socket.run(() => undefined)
        const again = yield* Effect.flip(socket.run(() => undefined))
        const other = yield* Effect.flip(request.upgrade)
        yield* Queue.offer(seen, `${again.reason} ${other.reason}`)
        return HttpServerResponse.empty()
      })
      const seen = yield* Queue.unbounded<string>()
      const { receiver, stream } = yield* open(yield* serve(app))
      stream.write(closing(1000))
      stream.end(noFields)
      expect(yield* Queue.take(seen)).toBe("Open Decode")
      yield* Effect.promise(() => receiver.done)
    })
  )
})

const tick = () => new Promise<void>((resolve) => void setImmediate(resolve))
