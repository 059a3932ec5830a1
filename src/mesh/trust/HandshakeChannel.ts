/**
 * The few messages that two nodes exchange right after Noise, before anything else is spoken:
 *
 *     dialler ── member{chain} | joiner{name, claim} | knock ──► listener
 *     dialler ◄── roots{statements} … ───────────────── listener    when they hold different things
 *     dialler ── roots{statements} … ──────────────────► listener    of the mesh's roots (RootTalk.ts)
 *     dialler ◄── welcome{chain, issued?} | refuse ───── listener
 *     dialler ── accept{issued?} | refuse ─────────────► listener
 *     dialler ── trust{records} … ─────────────────────► listener    when they hold different things
 *     dialler ◄── trust{records} … | refuse ───────────── listener    about trust (TrustTalk.ts)
 *     dialler ── keys{secret} ─────────────────────────► listener
 *     dialler ◄── keys{secret} | refuse ───────────────── listener
 *
 * and from then on whatever libp2p puts on the connection; the secrets of both become the session
 * (SessionSecret.ts). Who knocks only wanted to know who answers here, which Noise has proved, and is
 * gone.
 *
 * The dialler shows itself first, so that a stranger who knocks learns nothing of the mesh. Each
 * message is its length (u16, big-endian) and CBOR, at most `maxMessageBytes`.
 */
import type { MessageStream } from "@libp2p/interface"
import { type LengthPrefixedStream, lpStream } from "@libp2p/utils"
import { Either, Schema } from "effect"
import { NodeName } from "../../schema/NamesSchema.ts"
import { refusedByPeer, refusedByUs } from "./AdmissionRefused.ts"
import { Bytes, decodeCbor, encodeCbor } from "./Cbor.ts"
import { maxChainBytes } from "./SignedChain.ts"

/** A welcome holds up to three paths: the member's own, the newcomer's, and its delegation's. */
export const maxMessageBytes = 3 * maxChainBytes + 1_024
/** Records in one message about trust. */
export const mostRecords = 512
const lengthBytes = 2
/** What may lie unread before the handshake is over: our messages and a muxer's first words. */
const maxBufferBytes = 128 * 1024

const Issued = Schema.optional(Bytes)
/** Of the speaker, ms: when clocks part two nodes, both know by how much. */
const WallClock = Schema.optional(Schema.Int)

/** Of what the speaker holds about trust, or roots; from before nodes told each other of it there is none. */
const Digest = Schema.optional(Bytes.pipe(Schema.filter((bytes) => bytes.length === 16)))

export const HandshakeMessage = Schema.Union(
  Schema.Struct({
    type: Schema.Literal("member"),
    chain: Bytes,
    clock: WallClock,
    trust: Digest,
    roots: Digest
  }),
  Schema.Struct({
    type: Schema.Literal("joiner"),
    name: NodeName,
    claim: Bytes,
    roots: Digest
  }),
  Schema.Struct({
    type: Schema.Literal("roots"),
    statements: Schema.Array(Bytes).pipe(Schema.maxItems(mostRecords)),
    /** Another such message follows. */
    more: Schema.Boolean
  }),
  Schema.Struct({ type: Schema.Literal("knock") }),
  Schema.Struct({
    type: Schema.Literal("welcome"),
    chain: Bytes,
    issued: Issued,
    clock: WallClock,
    trust: Digest
  }),
  Schema.Struct({ type: Schema.Literal("accept"), issued: Issued }),
  Schema.Struct({
    type: Schema.Literal("trust"),
    records: Schema.Array(Bytes).pipe(Schema.maxItems(mostRecords)),
    /** Another such message follows. */
    more: Schema.Boolean
  }),
  Schema.Struct({ type: Schema.Literal("keys"), secret: Bytes }),
  Schema.Struct({
    type: Schema.Literal("refuse"),
    code: Schema.String.pipe(Schema.pattern(/^[a-z_]{1,32}$/)),
    /** Wall clock of the node that refuses, ms. */
    clock: Schema.Int,
    /** Signed settings that say why, for who was thrown out. */
    records: Schema.optional(Schema.Array(Bytes).pipe(Schema.maxItems(16)))
  })
)
export type HandshakeMessage = typeof HandshakeMessage.Type
type MessageType = HandshakeMessage["type"]
type MessageOf<Type extends MessageType> = Extract<HandshakeMessage, { readonly type: Type }>

const encodeLength = (length: number): Uint8Array => new Uint8Array([length >> 8, length & 0xff])

type ByteList = Awaited<ReturnType<LengthPrefixedStream["read"]>>

const decodeLength = (bytes: ByteList): number => {
  // lpStream's protocol for "more bytes, please".
  if (bytes.byteLength < lengthBytes) throw new RangeError("a length has two bytes")
  return bytes.getUint16(0)
}

export class HandshakeChannel {
  readonly #stream: LengthPrefixedStream
  readonly #signal: AbortSignal
  readonly #now: () => number

  constructor(stream: MessageStream, signal: AbortSignal, now: () => number) {
    this.#stream = lpStream(stream, {
      // Not lpStream's own varint: it reads a malformed one byte by byte without end.
      lengthEncoder: encodeLength,
      lengthDecoder: decodeLength,
      maxLengthLength: lengthBytes,
      maxDataLength: maxMessageBytes,
      maxBufferSize: maxBufferBytes
    })
    this.#signal = signal
    this.#now = now
  }

  async send(message: HandshakeMessage): Promise<void> {
    await this.#stream.write(encodeCbor(message), {
      signal: this.#signal
    })
  }

  /** The next message, which must be of one of these types; a refusal is thrown. */
  async receive<Type extends MessageType>(...types: ReadonlyArray<Type>): Promise<MessageOf<Type>> {
    const bytes = await this.#read()
    // A copy of our own: Noise decrypts in place, and statements are kept.
    const message = decodeCbor(HandshakeMessage, bytes.slice(), "the handshake message")
    if (Either.isLeft(message)) throw refusedByUs("protocol", message.left.message)
    const { right } = message
    if (isOneOf(right, types)) return right
    if (right.type === "refuse") {
      throw refusedByPeer(right.code, right.clock, this.#now(), right.records)
    }
    throw refusedByUs(
      "protocol",
      `the peer sent a ${right.type} message where ${types.join(" or ")} belongs`
    )
  }

  /** The conversation is over: what the peer has said beyond it belongs to who reads next. */
  release(): void {
    this.#stream.unwrap()
  }

  async #read(): Promise<ByteList> {
    try {
      return await this.#stream.read({ signal: this.#signal })
    } catch (cause) {
      if (cause instanceof Error && cause.name === "InvalidDataLengthError") {
        throw refusedByUs("protocol", `the peer's message is too large: ${cause.message}`)
      }
      throw cause
    }
  }
}

const isOneOf = <Type extends MessageType>(
  message: HandshakeMessage,
  types: ReadonlyArray<Type>
): message is MessageOf<Type> => types.some((type) => type === message.type)
