/// <reference path="./ws.d.ts" />
/**
 * A served call as the `Socket` of @effect/platform: a WebSocket (RFC 6455), spoken by `ws` as on the
 * platform's own server. Neither side is ahead of the other: nothing is read while handlers of messages
 * have enough to do, and who writes waits until the caller takes it.
 */
import type * as Headers from "@effect/platform/Headers"
import * as Socket from "@effect/platform/Socket"
import { Effect, Option } from "effect"
import type { ServerWebSocket } from "ws"
import type { ServedCall } from "./ServedCall.ts"
import { TunnelStream } from "./TunnelStream.ts"

/** What handlers may have in work; then no more is read until they have less. */
const maxHandled = { bytes: 1024 * 1024, messages: 1_024 }

/** Bytes of a message: the most that the library can limit them to. */
const mostBytes = 2 ** 31 - 1

/** RFC 6455 §7.4.1 */
const goingAway = 1001

// biome-ignore lint/suspicious/noConfusingVoidType: as the platform has it
type Handling<A, E, R> = Effect.Effect<A, E, R> | void

/** What went wrong before there was a WebSocket. */
const notOpened = (cause: unknown) => new Socket.SocketGenericError({ reason: "Open", cause })

const encodedLength = (message: string | Uint8Array): number =>
  typeof message === "string" ? Buffer.byteLength(message) : message.length

/** Says no more than that is had in work at a time. */
class Handled {
  #bytes = 0
  #messages = 0
  readonly #socket: ServerWebSocket

  constructor(socket: ServerWebSocket) {
    this.#socket = socket
  }

  begin(bytes: number): void {
    this.#bytes += bytes
    this.#messages++
    if (this.#isEnough && !this.#socket.isPaused) this.#socket.pause()
  }

  end(bytes: number): void {
    this.#bytes -= bytes
    this.#messages--
    if (!this.#isEnough && this.#socket.isPaused) this.#socket.resume()
  }

  get #isEnough(): boolean {
    return this.#bytes >= maxHandled.bytes || this.#messages >= maxHandled.messages
  }
}

interface Opened {
  readonly socket: ServerWebSocket
  readonly stream: TunnelStream
  readonly handled: Handled
}

type RunOptions = NonNullable<Parameters<Socket.Socket["run"]>[1]>

/** `limit`: bytes of a message. The 101 is given when it is run, as the platform's own servers do. */
export const servedSocket = (
  call: ServedCall,
  headers: Headers.Headers,
  limit: Option.Option<number>
): Effect.Effect<Socket.Socket> =>
  Effect.gen(function* () {
    let opened: Opened | undefined
    let isLeaving = false

    const open = Effect.acquireRelease(
      Effect.flatMap(Effect.promise(library), ({ WebSocketServer }) => {
        if (!call.maySwitch) return notOpened("its caller takes no WebSocket any more")
        const { method, target } = call.head
        const stream = new TunnelStream(call)
        const accepted: Array<ServerWebSocket> = []
        new WebSocketServer({
          ...{ noServer: true, clientTracking: false },
          maxPayload: Math.min(
            Math.max(
              1,
              Option.getOrElse(limit, () => mostBytes)
            ),
            mostBytes
          )
        }).handleUpgrade({ method, url: target, headers }, stream, Buffer.alloc(0), (socket) =>
          accepted.push(socket)
        )
        const [socket] = accepted
        if (socket === undefined) return notOpened("the handshake is not that of RFC 6455")
        // Who runs it hears of it while it does so, and nobody later.
        socket.on("error", () => undefined)
        opened = { socket, stream, handled: new Handled(socket) }
        return Effect.succeed(socket)
      }),
      (socket) => Effect.sync(() => socket.close())
    )

    /** Not before it runs: one that is closing by then is taken for one that has never been open. */
    const mayLeave = Effect.sync(() =>
      call.whenLeaving(() => {
        isLeaving = true
        opened?.socket.close(goingAway, "the program is ending")
      })
    )
    const running = (options: RunOptions | undefined): RunOptions => ({
      onOpen: Effect.zipRight(mayLeave, options?.onOpen ?? Effect.void)
    })

    const base = yield* Socket.fromWebSocket(open, {
      // Who is asked to go answers with the same.
      closeCodeIsError: (code) =>
        !(isLeaving && code === goingAway) && Socket.defaultCloseCodeIsError(code)
    })

    /** The handlers of the platform run side by side, as many as there are messages. */
    const bounded =
      <A, _, E, R>(handler: (message: A) => Handling<_, E, R>, length: (message: A) => number) =>
      (message: A): Handling<_, E, R> => {
        const done = handler(message)
        const handled = opened?.handled
        if (done === undefined || handled === undefined) return done
        const bytes = length(message)
        handled.begin(bytes)
        return Effect.ensuring(
          done,
          Effect.sync(() => handled.end(bytes))
        )
      }

    return Socket.Socket.of({
      [Socket.TypeId]: Socket.TypeId,
      run: (handler, options) => base.run(bounded(handler, encodedLength), running(options)),
      runRaw: (handler, options) => base.runRaw(bounded(handler, encodedLength), running(options)),
      writer: Effect.map(
        base.writer,
        (write) => (chunk) =>
          Effect.zipRight(
            write(chunk),
            Effect.suspend(() => untilRoom(opened?.stream))
          )
      )
    })
  })

/** Loaded for the first of them: it takes as long as all else of a small program. */
const library = () => import("ws")

const untilRoom = (stream: TunnelStream | undefined): Effect.Effect<void> =>
  stream === undefined || !stream.writableNeedDrain || stream.destroyed
    ? Effect.void
    : Effect.async<void>((resume) => {
        const done = (): void => {
          stop()
          resume(Effect.void)
        }
        const stop = (): void => {
          stream.off("drain", done)
          stream.off("close", done)
        }
        stream.on("drain", done)
        stream.on("close", done)
        return Effect.sync(stop)
      })
