/** How much one connection of HTTP/2 may hold and ask for. */
import type { WindowSizes } from "../wire/ReceiveWindow.ts"
import type { RateSizes } from "./Allowance.ts"
import { firstWindow } from "./Http2Frame.ts"

export interface Http2Limits {
  /** Streams a peer may have open at a time. Default 256. */
  readonly streams: number
  /**
   * Bytes of one stream that came and were not taken by its reader: the first size is what HTTP/2
   * begins with, so that no setting has to be waited for.
   */
  readonly window: WindowSizes
  /**
   * The same over all streams. Default 16 MiB, which is the first window of them all: streams that
   * nobody reads hold up no others.
   */
  readonly connectionWindow: number
  /** What windows may grow by beyond their first size, over all streams. Default 4 MiB. */
  readonly growth: number
  /** Bytes of a table that fields are said with, in either direction. Default 4 KiB. */
  readonly table: number
  /** Bytes of a field block as it is sent; of what it says see Http1Limits. Default 64 KiB. */
  readonly blockBytes: number
  /** Frames of a field block. Default 16. */
  readonly blockFrames: number
  /** Written but unsent bytes of one stream at which `write` answers false. Default 128 KiB. */
  readonly outbox: number
  /** Unsent bytes of all streams at which each may keep only an eighth. Default 4 MiB. */
  readonly outboxes: number
  /** Data in one turn of the event loop. Default 248 KiB. */
  readonly round: number
  /** Bytes of answers to frames that wait because the peer does not read. Default 64 KiB. */
  readonly answers: number
  /**
   * Frames that carry nothing: pings, settings, priorities, empty data, unknown ones, windows. What is
   * sent earns more of them.
   */
  readonly control: RateSizes
  /** Streams that the peer gives up before they are answered, or that are refused. */
  readonly resets: RateSizes
}

const KiB = 1024
const MiB = 1024 * KiB

export const defaultHttp2Limits: Http2Limits = {
  streams: 256,
  window: { first: firstWindow, least: 16 * KiB, most: MiB },
  connectionWindow: 16 * MiB,
  growth: 4 * MiB,
  table: 4 * KiB,
  blockBytes: 64 * KiB,
  blockFrames: 16,
  outbox: 128 * KiB,
  outboxes: 4 * MiB,
  round: 248 * KiB,
  answers: 64 * KiB,
  control: { burst: 2_000, perSecond: 500 },
  resets: { burst: 1_000, perSecond: 100 }
}
