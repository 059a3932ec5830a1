/**
 * What travels on a link (`/skein/link/2`): frames of one 8-byte header and a payload.
 *
 *     u24 payload length | u8 type | u32 exchange (0: the link itself) | payload
 *
 * With the highest bit of the type, an end without trailers follows at once and has no frame of its
 * own: of the five frames of a small exchange that saves two.
 * All numbers are big-endian. The side that opened the channel opens exchanges, with ids that only
 * grow; the other side answers on the same id. Text is latin-1, as HTTP/1.1 heads are.
 *
 * Frames of types that are not known, those of a later version, are passed over: what a peer must
 * understand is agreed on by the version of the preface.
 */

export const headerLength = 8

/** Of the type: the sender's end of this exchange is said with this frame. */
export const endsWith = 0x80

export const FrameType = {
  /** A call: what `encodeOpening` (FramePayload.ts) says. Caller to server only. */
  open: 1,
  /** Response head: u8 section or 0, the text of an HTTP/1.1 head. Server to caller only. */
  head: 2,
  /** Interim (1xx) response head, likewise. Server to caller only. */
  info: 3,
  /** Body or tunnel bytes; never empty, always within the credit of exchange and link. */
  data: 4,
  /** The sender's last data is out; trailers as length-prefixed strings. */
  end: 5,
  /** The exchange is over for both; the fault as JSON. From the caller: it cancels. */
  reset: 6,
  /** u32: that many more bytes may be sent on this exchange, or (id 0) on this link. */
  credit: 7,
  /** u32, to be echoed in a pong. */
  ping: 8,
  pong: 9,
  /** No new exchanges from now on, as far as the sender can say; a reason as text. */
  goaway: 10,
  /** A field section as text; in place of the exchange its number. See LinkSections.ts. */
  section: 11
} as const

export type FrameType = (typeof FrameType)[keyof typeof FrameType]

/** Types above it are those of a later version, up to 127. */
export const lastType = FrameType.section

/** Longest payloads, in bytes. A peer that exceeds one loses the link. */
export const frameLimits = {
  data: 128 * 1024,
  /** A head's text. */
  head: 64 * 1024,
  /** What an open frame holds besides the head: fixed part, service, endpoint, identity. */
  openPreamble: 769,
  /** Encoded trailers. */
  trailers: 16 * 1024,
  /** An encoded fault. */
  reset: 4 * 1024,
  goaway: 256,
  section: 4 * 1024,
  /** Of a type that is not known. */
  later: 16 * 1024
} as const

const maxPayload: ReadonlyArray<number> = [
  -1, // 0 is no type
  frameLimits.head + frameLimits.openPreamble,
  frameLimits.head + 1,
  frameLimits.head + 1,
  frameLimits.data,
  frameLimits.trailers,
  frameLimits.reset,
  4,
  4,
  4,
  frameLimits.goaway,
  frameLimits.section
]

/** The peer broke the rules of the wire: what it sent cannot be made sense of. Ends the link. */
export class ProtocolError extends Error {
  override readonly name = "ProtocolError"
}

/** Frames that an end may follow at once. */
export const mayEnd = (type: number): boolean =>
  type === FrameType.data || type === FrameType.open || type === FrameType.head

/**
 * Checks what a header claims, before anything is allocated for it. A type above `lastType` passes,
 * for who hands on none of those.
 */
export function assertHeader(type: number, length: number): asserts type is FrameType {
  const most = maxPayload[type] ?? frameLimits.later
  if (most < 0) throw new ProtocolError(`unknown frame type ${type}`)
  if (length > most) {
    throw new ProtocolError(`frame of type ${type} with ${length} bytes; at most ${most} allowed`)
  }
}
