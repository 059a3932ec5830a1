/**
 * What two request threads say before they have a link: which session it is made from, and a Noise
 * handshake (model/NoiseNNpsk0.ts) that proves both know its secret.
 *
 *     dialler  ── magic, version, session, thread, tries, first message ──► acceptor
 *     dialler ◄── magic, version, 0, second message{thread, threads} ────── acceptor
 *              or magic, version, reason, u32
 *     dialler  ── hello, the first sealed record ─────────────────────────► acceptor
 *
 * The first byte is none that libp2p begins with, nor TLS or HTTP: it alone tells who is calling.
 * `magic`, the place of the version and the form of a refusal stay in all versions. An acceptor
 * answers in the version it was asked in, and refuses what is newer than it is, saying which version it
 * speaks; who is refused so may ask again in that one. Version 2 differs from 1 in what an open frame may
 * say: for whom the call speaks (FramePayload.ts).
 *
 * All of it that is in the clear goes into the handshake's hash, and so do the names of both nodes:
 * who changes any of it, or leads a node's words back to itself, gets no link. A refusal is not
 * authenticated, and does no more than a connection that is reset.
 *
 * An acceptor has no link before the hello. The first message says nothing of when it was made, so
 * whoever recorded one can send it again; but they cannot say hello.
 */
import type { PeerKey } from "../../model/Names.ts"
import {
  type EphemeralKey,
  NoiseError,
  NoiseInitiator,
  NoiseResponder,
  noiseOverhead
} from "../../model/NoiseNNpsk0.ts"
import { type SessionId, sessionIdBytes } from "../../model/Session.ts"

/** Not ASCII, not 0x13 (multistream) and not 0x16 (TLS). */
export const prefaceFirstByte = 0xd3
const magic = Buffer.of(prefaceFirstByte, 0x53, 0x4b, 0x4c)
export const prefaceVersion = 2
/** The oldest that is still spoken. */
export const oldestPreface = 1
/** From this version on an open frame may say for whom the call speaks. */
const identities = 2

/** Does a link of this version carry who its calls speak for? */
export const carriesIdentity = (version: number): boolean => version >= identities

const versionAt = magic.length
const sessionAt = versionAt + 1
const threadAt = sessionAt + sessionIdBytes
const triesAt = threadAt + 2
/** What a preface says in the clear. */
const clearLength = triesAt + 1
export const prefaceLength = clearLength + noiseOverhead

const codeAt = versionAt + 1
const answerAt = codeAt + 1
const refusalLength = answerAt + 4
const threadsLength = 4
const answerLength = answerAt + noiseOverhead + threadsLength

const anyThread = 0xffff
/** Threads of a node, at most: indices fit beside `anyThread`. */
export const maxThreads = anyThread

/** How often a dialler may be sent on to another thread; then it is taken wherever it lands. */
export const maxThreadTries = 8

/** Why there is no link. Each is a byte on the wire, by its place; the first is not sent. */
const reasons = [
  "accepted",
  /** The acceptor speaks another version. */
  "version",
  /** Not a preface. */
  "malformed",
  /** This thread has not heard of the session; a moment later it may have. */
  "unknown_session",
  /** The session was ended, or is past its time by the acceptor's clock. */
  "session_ended",
  /** Too many links or handshakes; come back after so many ms. */
  "busy",
  /** Dial again at once: the connection came to a thread that has more links than others. */
  "other_thread",
  /** Made without the session's secret, for another node, or changed on its way. */
  "not_genuine",
  /** This very preface has been seen before. */
  "replayed"
] as const
export type LinkRefusal = Exclude<(typeof reasons)[number], "accepted">
const acceptedCode = reasons.indexOf("accepted")

export const linkRefusals: ReadonlyArray<LinkRefusal> = reasons.filter((it) => it !== "accepted")

/** What came is no answer to a preface: there is something else at that address. */
export class PrefaceError extends Error {
  override readonly name = "PrefaceError"
}

/** Of one direction each, for RecordSealer and RecordOpener. */
export interface LinkKeys {
  readonly send: Buffer
  readonly receive: Buffer
}

interface Parties {
  readonly dialler: PeerKey
  readonly acceptor: PeerKey
}

/** Both names are in it: a node whose own words are led back to it must not take them for its peer's. */
const prologueOf = (clear: Uint8Array, { dialler, acceptor }: Parties): Buffer =>
  Buffer.concat([
    clear,
    ...[dialler, acceptor].flatMap((name) => [Buffer.of(name.length), Buffer.from(name, "latin1")])
  ])

export interface PrefaceOptions extends Parties {
  readonly session: SessionId
  readonly secret: Uint8Array
  /** Index of the acceptor's thread that the dialler would like; undefined: any. */
  readonly thread: number | undefined
  /** How many times it was sent to another thread before; 255 at most. */
  readonly tries: number
  /** Of the preface. Default: the newest. */
  readonly version?: number
  /** For tests. */
  readonly ephemeral?: EphemeralKey
}

export type PrefaceAnswer =
  | {
      readonly linked: true
      readonly keys: LinkKeys
      /** Index of the thread that answered, and how many the node has. */
      readonly thread: number
      readonly threads: number
      /** Of the preface, and so of the link. */
      readonly version: number
      /** What came behind the answer. */
      readonly rest: Buffer
    }
  | {
      readonly linked: false
      readonly code: LinkRefusal
      /** Before it makes sense to come back, ms; 0: not said. */
      readonly wait: number
      readonly version: number
    }

/** The dialler's end. */
export class DiallerPreface {
  /** What to send. */
  readonly bytes: Buffer
  readonly #version: number
  readonly #noise: NoiseInitiator
  readonly #answer = new Collector(answerLength)

  constructor(options: PrefaceOptions) {
    const { session, secret, thread, tries, ephemeral, version = prefaceVersion } = options
    this.#version = version
    const clear = Buffer.alloc(clearLength)
    magic.copy(clear)
    clear[versionAt] = version
    clear.write(session, sessionAt, sessionIdBytes, "hex")
    clear.writeUInt16BE(thread ?? anyThread, threadAt)
    clear[triesAt] = tries
    const prologue = prologueOf(clear, options)
    this.#noise = new NoiseInitiator({
      secret,
      prologue,
      ...(ephemeral === undefined ? {} : { ephemeral })
    })
    this.bytes = Buffer.concat([clear, this.#noise.write(nothing)])
  }

  /** Undefined: more has to come. Throws a PrefaceError; it is then of no further use. */
  push(bytes: Uint8Array): PrefaceAnswer | undefined {
    const answer = this.#answer
    const rest = answer.take(bytes)
    if (!answer.beginsWithMagic()) throw new PrefaceError("what answers there is not a node")
    const { data, length } = answer
    if (length < answerAt) return undefined
    const version = data[versionAt]!
    const code = data[codeAt]!
    if (code !== acceptedCode) return this.#refused(version, code)
    if (version !== this.#version) {
      throw new PrefaceError(`the node answers in version ${version}, which was not offered`)
    }
    if (length < answerLength) return undefined
    const { payload, keys } = this.#read(data.subarray(answerAt))
    const thread = payload.readUInt16BE(0)
    return { linked: true, keys, thread, threads: payload.readUInt16BE(2), version, rest }
  }

  #refused(version: number, byte: number): PrefaceAnswer | undefined {
    // A reason that a later version added: it is to be tried again when it says so, as who is busy.
    const known = reasons[byte]
    const code = known === undefined || known === "accepted" ? "busy" : known
    const { data, length } = this.#answer
    if (length < refusalLength) return undefined
    return { linked: false, code, wait: data.readUInt32BE(answerAt), version }
  }

  #read(message: Buffer) {
    try {
      return this.#noise.read(message)
    } catch (cause) {
      if (!(cause instanceof NoiseError)) throw cause
      throw new PrefaceError("the node does not know the session's secret", { cause })
    }
  }
}

/** A whole preface, as it came: nothing in it is proved yet. */
export interface LinkClaim {
  readonly version: number
  readonly session: SessionId
  readonly thread: number | undefined
  readonly tries: number
  readonly clear: Buffer
  readonly message: Buffer
  /**
   * What came behind it, good until `push`'s caller returns. The dialler cannot seal anything yet, so
   * nothing should; it will not open as a record.
   */
  readonly rest: Buffer
}

/** Takes a preface in, at the acceptor's end. */
export class AcceptorPreface {
  readonly #preface = new Collector(prefaceLength)

  /** Undefined: more has to come. A text: what to refuse it with; it is then of no further use. */
  push(bytes: Uint8Array): LinkClaim | LinkRefusal | undefined {
    const preface = this.#preface
    const rest = preface.take(bytes)
    if (!preface.beginsWithMagic()) return "malformed"
    const { data, length } = preface
    // A newer version may go on as it likes, and is refused before it has.
    if (length > versionAt && !isSpoken(data[versionAt]!)) return "version"
    if (length < prefaceLength) return undefined
    const thread = data.readUInt16BE(threadAt)
    return {
      version: data[versionAt]!,
      session: data.toString("hex", sessionAt, threadAt),
      thread: thread === anyThread ? undefined : thread,
      tries: data[triesAt]!,
      clear: data.subarray(0, clearLength),
      message: data.subarray(clearLength),
      rest
    }
  }
}

export interface AnswerOptions extends Parties {
  readonly secret: Uint8Array
  /** Index of the thread that answers, and how many the node has. */
  readonly thread: number
  readonly threads: number
  /** False: this ephemeral key was seen before. Asked only of who knows the secret. */
  readonly isFresh: (ephemeral: Buffer) => boolean
  /** For tests. */
  readonly ephemeral?: EphemeralKey
}

export type ClaimAnswer =
  | { readonly accepted: true; readonly bytes: Buffer; readonly keys: LinkKeys }
  | { readonly accepted: false; readonly code: "not_genuine" | "replayed" }

/** Answers a claim by the secret of its session. The link is one when the hello has come. */
export const answerClaim = (claim: LinkClaim, options: AnswerOptions): ClaimAnswer => {
  const { secret, thread, threads, isFresh, ephemeral } = options
  const noise = new NoiseResponder({
    secret,
    prologue: prologueOf(claim.clear, options),
    ...(ephemeral === undefined ? {} : { ephemeral })
  })
  const payload = Buffer.alloc(threadsLength)
  payload.writeUInt16BE(thread, 0)
  payload.writeUInt16BE(threads, 2)
  try {
    noise.read(claim.message)
    if (!isFresh(noise.theirs)) return { accepted: false, code: "replayed" }
    const { message, keys } = noise.write(payload)
    const head = answerHead(acceptedCode, claim.version)
    return { accepted: true, bytes: Buffer.concat([head, message]), keys }
  } catch (error) {
    if (error instanceof NoiseError) return { accepted: false, code: "not_genuine" }
    throw error
  }
}

const isSpoken = (version: number): boolean => version >= oldestPreface && version <= prefaceVersion

const answerHead = (code: number, version = prefaceVersion): Buffer =>
  Buffer.concat([magic, Buffer.of(version, code)])

/** What to send before closing. `wait`: before it makes sense to come back, ms. */
export const encodeRefusal = (code: LinkRefusal, wait = 0): Buffer => {
  const value = Buffer.alloc(refusalLength - answerAt)
  value.writeUInt32BE(Math.min(0xffff_ffff, Math.ceil(wait)))
  return Buffer.concat([answerHead(reasons.indexOf(code)), value])
}

const nothing = Buffer.alloc(0)

/** The first so many bytes of a stream, in memory of their own. */
class Collector {
  readonly data: Buffer
  length = 0

  constructor(length: number) {
    this.data = Buffer.alloc(length)
  }

  /** Returns what does not fit. */
  take(bytes: Uint8Array): Buffer {
    const chunk = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    const taken = chunk.copy(this.data, this.length)
    this.length += taken
    return taken === chunk.length ? nothing : chunk.subarray(taken)
  }

  beginsWithMagic(): boolean {
    const length = Math.min(this.length, magic.length)
    return this.data.compare(magic, 0, length, 0, length) === 0
  }
}
