/**
 * Frames of HTTP/2 (RFC 9113 §4.1, §6): a header of nine bytes and a payload.
 *
 *     u24 payload length | u8 type | u8 flags | u31 stream (0: the connection)
 */

export const frameHeader = 9

export const FrameType = {
  data: 0x0,
  headers: 0x1,
  priority: 0x2,
  reset: 0x3,
  settings: 0x4,
  push: 0x5,
  ping: 0x6,
  goaway: 0x7,
  window: 0x8,
  continuation: 0x9
} as const

/** Of headers and data: the sender's half of the stream ends with this. */
export const endStream = 0x1
/** Of settings and pings. */
export const ack = 0x1
export const endHeaders = 0x4
export const padded = 0x8
export const hasPriority = 0x20

export const Setting = {
  tableSize: 0x1,
  push: 0x2,
  streams: 0x3,
  window: 0x4,
  frameSize: 0x5,
  headerList: 0x6,
  /** RFC 8441 */
  connectProtocol: 0x8
} as const

/** What a client begins with (§3.4). */
export const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1")

/** Payloads that both sides take without having agreed on it (§6.5.2). */
export const leastFrameSize = 16 * 1024
export const firstWindow = 65_535
export const mostWindow = 2 ** 31 - 1
export const lastStream = 2 ** 31 - 1

export const writeFrameHeader = (
  bytes: Buffer,
  at: number,
  length: number,
  type: number,
  flags: number,
  stream: number
): number => {
  bytes[at] = length >>> 16
  bytes[at + 1] = length >>> 8
  bytes[at + 2] = length
  bytes[at + 3] = type
  bytes[at + 4] = flags
  bytes[at + 5] = stream >>> 24
  bytes[at + 6] = stream >>> 16
  bytes[at + 7] = stream >>> 8
  bytes[at + 8] = stream
  return at + frameHeader
}

export const frame = (type: number, flags: number, stream: number, payload: Uint8Array): Buffer => {
  const bytes = Buffer.allocUnsafe(frameHeader + payload.length)
  bytes.set(payload, writeFrameHeader(bytes, 0, payload.length, type, flags, stream))
  return bytes
}

/** A payload of settings: number and value of each. */
export const settingsPayload = (settings: ReadonlyArray<readonly [number, number]>): Buffer => {
  const bytes = Buffer.allocUnsafe(settings.length * 6)
  settings.forEach(([id, value], index) => {
    bytes.writeUInt16BE(id, index * 6)
    bytes.writeUInt32BE(value, index * 6 + 2)
  })
  return bytes
}
