/** What of HTTP/2 cannot be taken, by which rule, and with which code it ends (RFC 9113 §7). */

export const Http2Code = {
  none: 0x0,
  protocol: 0x1,
  internal: 0x2,
  flowControl: 0x3,
  settingsTimeout: 0x4,
  streamClosed: 0x5,
  frameSize: 0x6,
  refused: 0x7,
  cancel: 0x8,
  compression: 0x9,
  connect: 0xa,
  /** ENHANCE_YOUR_CALM */
  calm: 0xb,
  http11: 0xd
} as const

/**
 * Every rule whose breach costs the connection, with the code that its GOAWAY says. Stable: they are
 * labels beside those of HTTP/1.1 (http1/Http1Error.ts), whose rules hold for single messages.
 * docs/http2.md says why each is there.
 */
export const http2Rules = {
  h2_preface: Http2Code.protocol,
  h2_frame_size: Http2Code.frameSize,
  h2_frame_place: Http2Code.protocol,
  h2_padding: Http2Code.protocol,
  h2_settings: Http2Code.protocol,
  h2_window: Http2Code.flowControl,
  h2_stream_closed: Http2Code.streamClosed,
  bad_header_block: Http2Code.compression,
  // Limits
  h2_block_bytes: Http2Code.calm,
  h2_block_frames: Http2Code.calm,
  h2_control_flood: Http2Code.calm,
  h2_reset_flood: Http2Code.calm,
  h2_unread_answers: Http2Code.calm
} as const satisfies Readonly<Record<string, number>>

export type Http2Rule = keyof typeof http2Rules

/** The connection it came on cannot be used further. */
export class Http2Error extends Error {
  readonly rule: Http2Rule
  readonly code: (typeof http2Rules)[Http2Rule]

  constructor(rule: Http2Rule, message: string) {
    super(message)
    this.name = "Http2Error"
    this.rule = rule
    this.code = http2Rules[rule]
  }
}

const names = new Map<number, string>([
  [0x0, "NO_ERROR"],
  [0x1, "PROTOCOL_ERROR"],
  [0x2, "INTERNAL_ERROR"],
  [0x3, "FLOW_CONTROL_ERROR"],
  [0x4, "SETTINGS_TIMEOUT"],
  [0x5, "STREAM_CLOSED"],
  [0x6, "FRAME_SIZE_ERROR"],
  [0x7, "REFUSED_STREAM"],
  [0x8, "CANCEL"],
  [0x9, "COMPRESSION_ERROR"],
  [0xa, "CONNECT_ERROR"],
  [0xb, "ENHANCE_YOUR_CALM"],
  [0xc, "INADEQUATE_SECURITY"],
  [0xd, "HTTP_1_1_REQUIRED"]
])

/** For people. */
export const codeName = (code: number): string => names.get(code) ?? `code ${code}`
