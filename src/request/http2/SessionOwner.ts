/** Whom a connection of HTTP/2 belongs to, and what it is to go by. */
import type { OnDefect } from "../../model/Defect.ts"
import type { Http1Limits } from "../http1/Limits.ts"
import type { Http2Error } from "./Http2Error.ts"
import type { Http2Limits } from "./Http2Limits.ts"

export interface SessionOwner {
  /** One write; false: enough for now, `onDrain` follows. */
  write(parts: ReadonlyArray<Uint8Array>): boolean
  /** The last stream has ended. */
  onIdle(): void
  /** Another one has ended, or the peer takes more of them. */
  onRoom?(): void
  /** The peer has said its settings, for the first time or others. */
  onSettings?(): void
  /** Nothing of it can be used any more; what was to be said of that is written. */
  onBroken(error: Http2Error): void
  /** The peer takes no more streams. */
  onGoaway(): void
  /** A trailer field was dropped; its name, or another label of a fixed set. */
  onDroppedTrailer(field: string): void
}

export interface SessionOptions {
  readonly owner: SessionOwner
  readonly limits: Http2Limits
  /** Of single messages. */
  readonly messages: Http1Limits
  /** Milliseconds. */
  readonly now: () => number
  /** Runs the task once the events at hand are handled. Default `setImmediate`. */
  readonly defer?: ((flush: () => void) => void) | undefined
  /** An owner of a stream threw: it costs that stream. */
  readonly onDefect: OnDefect
}
