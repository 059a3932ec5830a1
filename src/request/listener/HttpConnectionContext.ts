/** What all HTTP connections of one listener share. */

import type { OnDefect } from "../../model/Defect.ts"
import type { Dispatch } from "../../model/Exchange.ts"
import type { Fault } from "../../model/Fault.ts"
import type { Ticker } from "../../model/Time.ts"
import type { KnownBlocks } from "../http1/BlockMemory.ts"
import type { Http1Limits } from "../http1/Limits.ts"
import type { HttpCallContext } from "./HttpCall.ts"

export interface HttpConnectionContext extends HttpCallContext {
  readonly dispatch: Dispatch
  readonly ticker: Ticker
  readonly limits: Http1Limits
  /** What clients say again and again. */
  readonly blocks: KnownBlocks
  /** Hears of what throws: it costs the connection it threw on. */
  readonly onDefect: OnDefect
  /** Milliseconds a connection may be open with no request on it. */
  readonly idleTimeout: number
  /** Milliseconds from the first byte of a head to its last. */
  readonly headTimeout: number
  /** Every response is the last of its connection. */
  readonly draining: boolean
  /** Others wait for the place of a connection that has been open since `openedAt`. */
  readonly isTurnOver: (openedAt: number) => boolean
  /** IMF-fixdate of now. */
  readonly date: string
  /** A request was refused; by which rule of HTTP (or `head_timeout`). */
  readonly onParseError: (rule: string) => void
  /** A tunnel is cut off with a reset, because of this. `client`: address and port. */
  readonly onTunnelReset: (fault: Fault, client: string) => void
  /** A trailer field of a request was dropped; its name, or another label of a fixed set. */
  readonly onDroppedTrailer: (field: string) => void
}

/**
 * A client that goes on sending what nobody wants any more is read from all the same, so that it can
 * read our answer: closing with bytes unread would reset that away. As nginx does, for so long in
 * all, and only while something comes: longer when the connection is to live on.
 */
export const discardLimit = 30_000
export const discardTimeout = 5_000
export const lingerTimeout = 2_000
