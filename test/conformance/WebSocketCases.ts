/**
 * What the Autobahn test suite sends a WebSocket server, by its own numbering (RFC 6455): client
 * frames, right and wrong. Whether a server answers well is its own matter; that the answer is the
 * same with a mesh between is ours.
 */

export interface WebSocketCase {
  readonly name: string
  /** As they go onto the wire. */
  readonly bytes: Buffer
}

interface FrameOptions {
  readonly final?: boolean
  /** RSV1–3, as a number of three bits. */
  readonly reserved?: number
  readonly masked?: boolean
  /** Bits of the length field; the shortest that will do unless told otherwise. */
  readonly lengthBits?: 7 | 16 | 64
}

const mask = Buffer.from([0x37, 0xfa, 0x21, 0x3d])
const op = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const

const frame = (opcode: number, payload: Buffer | string, options: FrameOptions = {}): Buffer => {
  const { final = true, reserved = 0, masked = true } = options
  const content = Buffer.from(payload)
  const { length } = content
  const bits = options.lengthBits ?? (length < 126 ? 7 : length < 65_536 ? 16 : 64)
  const head = Buffer.alloc(bits === 7 ? 2 : bits === 16 ? 4 : 10)
  head[0] = (final ? 0x80 : 0) | (reserved << 4) | opcode
  head[1] = (masked ? 0x80 : 0) | (bits === 7 ? length : bits === 16 ? 126 : 127)
  if (bits === 16) head.writeUInt16BE(length, 2)
  else if (bits === 64) head.writeBigUInt64BE(BigInt(length), 2)
  if (!masked) return Buffer.concat([head, content])
  for (let i = 0; i < length; i++) content[i] = content.readUInt8(i) ^ mask.readUInt8(i & 3)
  return Buffer.concat([head, mask, content])
}

const closing = (code?: number, reason: Buffer | string = ""): Buffer => {
  if (code === undefined) return frame(op.close, "")
  const payload = Buffer.alloc(2)
  payload.writeUInt16BE(code)
  return frame(op.close, Buffer.concat([payload, Buffer.from(reason)]))
}

const normal = closing(1_000)

/** A case whose server is still willing at the end: it is closed as it should be. */
const open = (name: string, ...frames: ReadonlyArray<Buffer>): WebSocketCase => ({
  name,
  bytes: Buffer.concat([...frames, normal])
})

const inFragments = (opcode: number, payload: Buffer, size: number): Buffer => {
  const frames: Array<Buffer> = []
  for (let at = 0; at < payload.length; at += size) {
    const part = payload.subarray(at, at + size)
    const final = at + size >= payload.length
    frames.push(frame(at === 0 ? opcode : op.continuation, part, { final }))
  }
  return Buffer.concat(frames)
}

const sizes = [0, 1, 125, 126, 127, 128, 65_535, 65_536]
const bytesOf = (length: number): Buffer => Buffer.alloc(length, "*")

const framing = sizes.flatMap((size) => [
  open(`1.1 text of ${size}`, frame(op.text, bytesOf(size))),
  open(`1.2 binary of ${size}`, frame(op.binary, Buffer.alloc(size, 0xfe)))
])

const pings = [
  open("2.1 ping without payload", frame(op.ping, "")),
  open("2.2 ping with text", frame(op.ping, "Hello, world!")),
  open("2.3 ping with bytes", frame(op.ping, Buffer.from([0, 255, 254, 253, 252, 0, 255]))),
  open("2.4 ping of 125", frame(op.ping, bytesOf(125))),
  open("2.5 ping of 126", frame(op.ping, bytesOf(126))),
  open("2.7 pong nobody asked for", frame(op.pong, "")),
  open("2.8 pong with payload", frame(op.pong, "unsolicited"), frame(op.ping, "a")),
  open("2.10 ten pings", ...Array.from({ length: 10 }, (_, i) => frame(op.ping, `ping ${i}`)))
]

const hello = frame(op.text, "Hello")
const reserved = [1, 2, 3, 4, 5, 6, 7].flatMap((bits) => [
  open(`3 reserved bits ${bits} in text`, hello, frame(op.text, "x", { reserved: bits })),
  open(`3 reserved bits ${bits} in ping`, frame(op.ping, "x", { reserved: bits })),
  open(`3 reserved bits ${bits} in close`, frame(op.close, "", { reserved: bits }))
])

const opcodes = [3, 4, 5, 6, 7, 11, 12, 13, 14, 15].map((opcode) =>
  open(`4 opcode ${opcode}`, hello, frame(opcode, "reserved"), frame(op.ping, ""))
)

const part = { final: false }
const fragments = [
  open("5.1 ping in fragments", frame(op.ping, "a", part), frame(op.continuation, "b")),
  open("5.2 pong in fragments", frame(op.pong, "a", part), frame(op.continuation, "b")),
  open("5.3 text in two", frame(op.text, "a", part), frame(op.continuation, "b")),
  open(
    "5.6 ping between",
    frame(op.text, "a", part),
    frame(op.ping, "between"),
    frame(op.continuation, "b")
  ),
  open("5.9 continuation of nothing", frame(op.continuation, "x"), hello),
  open("5.12 continuation of nothing, not final", frame(op.continuation, "x", part), hello),
  open("5.15 text, then continuation of nothing", hello, frame(op.continuation, "x", part)),
  open("5.18 text within a text", frame(op.text, "a", part), frame(op.text, "b")),
  open(
    "5.19 five fragments, pings between",
    frame(op.text, "1", part),
    frame(op.continuation, "2", part),
    frame(op.ping, "one"),
    frame(op.continuation, "3", part),
    frame(op.continuation, "4", part),
    frame(op.ping, "two"),
    frame(op.continuation, "5")
  ),
  open(
    "5.21 empty fragments",
    frame(op.text, "", part),
    frame(op.continuation, "", part),
    frame(op.continuation, "")
  )
]

const kosme = Buffer.from("κόσμε")
const texts: ReadonlyArray<readonly [string, Buffer]> = [
  ["6.2 valid", Buffer.from("Hello-µ@ßöäüàá-UTF-8!!")],
  ["6.3 invalid in the middle", Buffer.from("cebae1bdb9cf83cebcceb5eda080656469746564", "hex")],
  ["6.4 beyond U+10FFFF", Buffer.concat([kosme, Buffer.from("f4908080", "hex"), kosme])],
  ["6.5 κόσμε", kosme],
  ["6.6 cut short", kosme.subarray(0, 3)],
  ["6.7 U+0000 to four bytes", Buffer.from("\u0000\u0080\u0800\u{10000}")],
  ["6.9 last of each length", Buffer.from("\u007f\u07ff\uffff\u{10ffff}")],
  ["6.10 five bytes", Buffer.from("f888808080", "hex")],
  ["6.12 continuation bytes alone", Buffer.from("80bf80bf", "hex")],
  ["6.13 all first bytes, alone", Buffer.from("c020c120e020f020", "hex")],
  ["6.14 cut short at the end", Buffer.from("f09f98", "hex")],
  ["6.16 FE and FF", Buffer.from("fefffeff", "hex")],
  ["6.17 overlong slash", Buffer.from("c0af", "hex")],
  ["6.18 overlong, three bytes", Buffer.from("e080af", "hex")],
  ["6.20 surrogate", Buffer.from("eda080", "hex")],
  ["6.21 pair of surrogates", Buffer.from("eda080edb080", "hex")],
  ["6.22 noncharacters", Buffer.from("\ufffe\uffff\u{1fffe}")]
]
const utf8 = texts.flatMap(([name, payload]) => [
  open(name, frame(op.text, payload), frame(op.ping, "after")),
  open(`${name}, a byte per fragment`, inFragments(op.text, payload, 1), frame(op.ping, "after"))
])

const goodCodes = [1_000, 1_001, 1_002, 1_003, 1_007, 1_008, 1_009, 1_010, 1_011]
const freeCodes = [3_000, 3_999, 4_000, 4_999]
const badCodes = [0, 999, 1_004, 1_005, 1_006, 1_016, 1_100, 2_000, 2_999, 5_000, 65_535]
const only = (name: string, ...frames: ReadonlyArray<Buffer>): WebSocketCase => ({
  name,
  bytes: Buffer.concat(frames)
})
const closes = [
  only("7.1.1 text, then close", hello, normal),
  only("7.1.2 two closes", normal, normal),
  only("7.1.3 ping after close", normal, frame(op.ping, "late")),
  only("7.1.4 text after close", normal, hello),
  only(
    "7.1.5 close within a message",
    frame(op.text, "a", part),
    normal,
    frame(op.continuation, "b")
  ),
  only("7.1.6 256 KiB, then close", frame(op.text, bytesOf(262_144)), hello, normal),
  only("7.3.1 close without payload", closing()),
  only("7.3.2 close with half a code", frame(op.close, "\u0003")),
  only("7.3.4 close with a reason", closing(1_000, "Hello World!")),
  only("7.3.5 reason of 123 bytes", closing(1_000, bytesOf(123))),
  only("7.3.6 reason of 124 bytes", closing(1_000, bytesOf(124))),
  only("7.5.1 reason that is no UTF-8", closing(1_000, Buffer.from("edbfbf", "hex"))),
  ...[...goodCodes, ...freeCodes].map((code) => only(`7.7 code ${code}`, closing(code))),
  ...badCodes.map((code) => only(`7.9 code ${code}`, closing(code)))
]

const lengths = [
  open("frame that is not masked", frame(op.text, "x", { masked: false })),
  open("length in more bytes than needed", frame(op.text, "x", { lengthBits: 16 })),
  open("length of 64 bits for one byte", frame(op.text, "x", { lengthBits: 64 })),
  only("length beyond 2^63", Buffer.from("82ffffffffffffffffff00000000", "hex"))
]

const MiB = 1024 * 1024
const large = [
  ...[65_536, 262_144, MiB, 4 * MiB].flatMap((size) => [
    open(`9.1 text of ${size}`, frame(op.text, bytesOf(size))),
    open(`9.2 binary of ${size}`, frame(op.binary, Buffer.alloc(size, 0xfe)))
  ]),
  ...[64, 256, 1_024, 65_536].map((size) =>
    open(`9.3 1 MiB in fragments of ${size}`, inFragments(op.text, bytesOf(MiB), size))
  ),
  ...[0, 16, 64, 256, 1_024].map((size) =>
    open(
      `9.7 1,000 messages of ${size}`,
      ...Array.from({ length: 1_000 }, () => frame(op.text, bytesOf(size)))
    )
  ),
  open("10.1 64 KiB in fragments of 1,300", inFragments(op.text, bytesOf(65_536), 1_300))
]

export const webSocketCases: Readonly<Record<string, ReadonlyArray<WebSocketCase>>> = {
  framing,
  "pings and pongs": pings,
  "reserved bits": reserved,
  opcodes,
  fragmentation: fragments,
  "UTF-8": utf8,
  closing: closes,
  lengths,
  "large and many": large
}
