/** What both ends of a link need, and the sizes they agree on. */

import type { ByteChannel } from "../../model/ByteChannel.ts"
import type { OnDefect } from "../../model/Defect.ts"
import type { RequestHead, ResponseHead } from "../../model/Exchange.ts"
import type { PeerKey } from "../../model/Names.ts"
import type { Ticker } from "../../model/Time.ts"
import type { FieldSection } from "../http1/FieldSection.ts"
import type { Speakers } from "./FramePayload.ts"
import type { WindowSizes } from "./ReceiveWindow.ts"

/**
 * Heads cross a link as the text of their HTTP/1.1 form; who can write and read that is told. With
 * a section its fields are not in the text: the other end has them already.
 */
export interface HeadCodec {
  /** Latin-1 text including the empty line. */
  encodeRequest(head: RequestHead, section: FieldSection | undefined): string
  /** Throws on anything that is not one complete, unambiguous head. */
  decodeRequest(bytes: Buffer, from: number, section: FieldSection | undefined): RequestHead
  /** `method` is that of the request: framing depends on it. */
  encodeResponse(head: ResponseHead, method: string, section: FieldSection | undefined): string
  decodeResponse(
    bytes: Buffer,
    from: number,
    method: string,
    section: FieldSection | undefined
  ): ResponseHead
}

export interface LinkLimits {
  /**
   * Exchanges open at a time. The caller's end answers `overflow` above it, and so does the
   * server's end to a caller that has a higher one. Default 2048.
   */
  readonly exchanges: number
  /**
   * Receive window of an exchange, in bytes: 64 KiB at first, 16 KiB for slow readers, at most
   * 1 MiB. `first` is part of the protocol: the peer assumes it.
   */
  readonly window: WindowSizes
  /**
   * Bytes that came and were not taken by their readers, over all exchanges. Part of the protocol.
   * Default 16 MiB.
   */
  readonly linkWindow: number
  /** What windows may grow by beyond their first size, over all exchanges. Default 8 MiB. */
  readonly growth: number
  /**
   * Written but unsent bytes of one exchange at which `write` and `onData` answer false: 248 KiB, as
   * much as leaves in a round. With less a fast source is stopped and started again for each write.
   */
  readonly outbox: number
  /** Unsent bytes of all exchanges at which each of them may keep only an eighth: 8 MiB. */
  readonly outboxes: number
  /**
   * Frames other than data that wait because the peer does not read. Above it nothing is opened
   * and the peer is not read either. Default 4 MiB.
   */
  readonly backlog: number
  /** Data of one exchange before it is another's turn, if another waits, at least: 15 KiB. */
  readonly turn: number
  /**
   * Data per turn of the event loop, in writes of `batch`, while the channel takes it at once: 248 KiB.
   * Where few exchanges wait, their turns are larger, so that all have had one within a round: each
   * turn is a frame, and the frame a chunk for everybody behind the link.
   */
  readonly round: number
  /**
   * Data per write: what a small frame has to wait for at most, apart from what the channel
   * buffers itself. Default 124 KiB, which with its headers and small frames fits one record.
   */
  readonly batch: number
  /** Time between pings, ms: 500. They come from the calling end (Heartbeat.ts). */
  readonly pingEvery: number
  /**
   * A link on which nothing came for so long is dead, ms: 2,500. It is looked at with every ping, so
   * a silent peer is found 2.5 to 3 s after its last word.
   */
  readonly deadAfter: number
}

const KiB = 1024
const MiB = 1024 * KiB

export const defaultLinkLimits: LinkLimits = {
  exchanges: 2048,
  window: { first: 64 * KiB, least: 16 * KiB, most: MiB },
  linkWindow: 16 * MiB,
  growth: 8 * MiB,
  outbox: 248 * KiB,
  outboxes: 8 * MiB,
  backlog: 4 * MiB,
  turn: 15 * KiB,
  round: 248 * KiB,
  batch: 124 * KiB,
  pingEvery: 500,
  deadAfter: 2_500
}

export interface LinkOptions {
  readonly channel: ByteChannel
  readonly ticker: Ticker
  readonly heads: HeadCodec
  /** Name of this node, for faults it makes. */
  readonly node: string
  /** Who is at the other end, as the handshake has proved. */
  readonly remote: PeerKey
  /** What to call it in faults; without this its key. */
  readonly nameOf?: (peer: PeerKey) => string
  readonly limits?: Partial<LinkLimits>
  /**
   * Who calls may speak for on it: `all` between a node and a program of its host, which hears of hosts
   * by name. Default: services, and the calling node itself.
   */
  readonly speakers?: Speakers | undefined
  /** Calls on it may say that they go past an open circuit: those of a program to its node. Default: none may. */
  readonly pastCircuits?: boolean | undefined
  /**
   * Runs the task once the events at hand are handled; what was written until then goes out in
   * one write. Default `setImmediate`: after the sockets that were readable in this turn of the
   * event loop, and before it sleeps.
   */
  readonly defer?: (task: () => void) => void
  /**
   * A receiver, stream or dispatch threw: a bug behind the link. Its exchange is reset. What throws
   * in the link itself ends the link. Default: it is thrown on.
   */
  readonly onDefect?: OnDefect | undefined
}

export interface LinkStats {
  readonly exchanges: number
  readonly bytesIn: number
  readonly bytesOut: number
  /** Of the last ping, ms; undefined before the first pong. */
  readonly rtt: number | undefined
}
