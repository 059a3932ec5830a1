/**
 * The records of an admitted connection. Noise has proved who is at the other end and carried two
 * fresh secrets; from them come one key for each direction, and everything after the handshake is
 * sealed with AES-256-GCM, one cipher call per record.
 *
 *     record = u24 length of the rest | u8 kind | u32 lane | ciphertext | 16 byte tag
 *
 * Kind and lane are part of the nonce, with the number of the record: a record that is changed,
 * dropped, repeated, moved or said to be of another lane does not open. Why not Noise's own
 * messages: see ARCHITECTURE.md (a batch of requests crossed five layers of lists and events).
 */
import {
  type CipherGCM,
  createCipheriv,
  createDecipheriv,
  createSecretKey,
  hkdfSync,
  type KeyObject
} from "node:crypto"
import { free, leastLoan, lend } from "./Loan.ts"

export const recordHeader = 8
const lengthBytes = 3
const tagLength = 16
/** Plain bytes in one record, at most. */
export const maxRecordBytes = 128 * 1024
/** What the length field may say. */
const maxLength = maxRecordBytes + tagLength + recordHeader - lengthBytes
const minLength = tagLength + recordHeader - lengthBytes

const algorithm = "aes-256-gcm"
export const secretLength = 32

/**
 * Records sealed with one key. RFC 8446 §5.5 allows 2^24.5 records of 16 KiB; ours are up to
 * eight times as long, which leaves 2^21.5 of them, and this stays far below at no price.
 */
export const recordsPerKey = 2 ** 18

/** The peer's bytes are not records of this connection: somebody has changed them, or a bug. */
export class RecordError extends Error {
  override readonly name = "RecordError"
}

/** The two directions of a connection. */
export interface RecordSecrets {
  readonly dialled: Buffer
  readonly answered: Buffer
}

/** Both sides contribute, so neither chooses the keys. */
export const recordSecrets = (fromDialler: Uint8Array, fromListener: Uint8Array): RecordSecrets => {
  const both = Buffer.concat([fromDialler, fromListener])
  const derive = (label: string): Buffer =>
    Buffer.from(hkdfSync("sha256", both, "", `skein records ${label}`, secretLength))
  return { dialled: derive("dialler to listener"), answered: derive("listener to dialler") }
}

/** The key and the number of the next record, in one direction. */
class RecordState {
  #secret: Buffer
  key: KeyObject
  readonly nonce = Buffer.alloc(12)
  readonly #perKey: number
  #left: number
  #high = 0
  #low = 0

  constructor(secret: Buffer, perKey: number) {
    this.#secret = secret
    this.key = createSecretKey(secret)
    this.#perKey = perKey
    this.#left = perKey
  }

  next(kind: number, lane: number): void {
    if (this.#left === 0) this.#ratchet()
    this.#left--
    const { nonce } = this
    // u8 kind, u32 lane, u56 number; the number never comes round.
    nonce[0] = kind
    nonce.writeUInt32BE(lane, 1)
    nonce.writeUIntBE(this.#high, 5, 3)
    nonce.writeUInt32BE(this.#low, 8)
    if (this.#low === 0xffff_ffff) {
      this.#low = 0
      this.#high++
    } else this.#low++
  }

  /** The old key cannot be had from the new one. */
  #ratchet(): void {
    this.#secret = Buffer.from(
      hkdfSync("sha256", this.#secret, "", "skein records next", secretLength)
    )
    this.key = createSecretKey(this.#secret)
    this.#left = this.#perKey
  }
}

const gcm = { authTagLength: tagLength } as const

/** Of its own when it can be freed by hand. */
const recordMemory = (length: number): Buffer =>
  length < leastLoan ? Buffer.allocUnsafe(length) : Buffer.allocUnsafeSlow(length)

export class RecordSealer {
  readonly #state: RecordState

  constructor(secret: Buffer, perKey = recordsPerKey) {
    this.#state = new RecordState(secret, perKey)
  }

  /** The whole record of at most `maxRecordBytes`, as it goes onto the wire. */
  seal(kind: number, lane: number, plain: Uint8Array): Buffer {
    const cipher = this.#cipher(kind, lane)
    const sealed = cipher.update(plain)
    cipher.final()
    const length = sealed.length + tagLength
    const record = recordMemory(recordHeader + length)
    writeHeader(record, kind, lane, sealed.length)
    record.set(sealed, recordHeader)
    record.set(cipher.getAuthTag(), length + recordHeader - tagLength)
    free(sealed)
    lend(record)
    return record
  }

  /** The same of bytes that lie in several places: in several pieces, and copied nowhere. */
  sealParts(kind: number, lane: number, parts: ReadonlyArray<Uint8Array>): ReadonlyArray<Buffer> {
    const cipher = this.#cipher(kind, lane)
    const header = Buffer.allocUnsafe(recordHeader)
    const pieces = [header]
    let length = 0
    for (const part of parts) {
      const sealed = cipher.update(part)
      length += sealed.length
      lend(sealed)
      pieces.push(sealed)
    }
    cipher.final()
    writeHeader(header, kind, lane, length)
    pieces.push(cipher.getAuthTag())
    return pieces
  }

  #cipher(kind: number, lane: number): CipherGCM {
    const state = this.#state
    state.next(kind, lane)
    return createCipheriv(algorithm, state.key, state.nonce, gcm)
  }
}

const writeHeader = (record: Buffer, kind: number, lane: number, sealed: number): void => {
  record.writeUIntBE(sealed + tagLength + recordHeader - lengthBytes, 0, lengthBytes)
  record[3] = kind
  record.writeUInt32BE(lane, 4)
}

const nothing = Buffer.alloc(0)

/** Cuts a byte stream into records and opens them. */
export class RecordOpener {
  readonly #state: RecordState
  readonly #sink: (kind: number, lane: number, plain: Buffer) => void
  /** Memory for the record that straddles chunks, kept for the next one: opening copies. */
  #partial: Buffer = nothing
  /** Bytes of it that are here; 0: no record straddles. */
  #filled = 0
  #stopped = false

  constructor(
    secret: Buffer,
    sink: (kind: number, lane: number, plain: Buffer) => void,
    perKey = recordsPerKey
  ) {
    this.#state = new RecordState(secret, perKey)
    this.#sink = sink
  }

  /** Nothing is handed on any more, not even the rest of the chunk being opened. */
  stop(): void {
    this.#stopped = true
    this.#partial = nothing
  }

  /** Throws a RecordError (or what the sink throws); the opener is then of no further use. */
  push(bytes: Uint8Array): void {
    if (this.#stopped) return
    const chunk = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    let at = this.#finishPartial(chunk)
    while (!this.#stopped && chunk.length - at >= recordHeader) {
      const end = at + recordLength(chunk, at)
      if (end > chunk.length) break
      this.#open(chunk, at, end)
      at = end
    }
    if (this.#stopped || at === chunk.length) return
    this.#begin(chunk, at)
  }

  #begin(chunk: Buffer, at: number): void {
    if (chunk.length - at >= recordHeader) this.#reserve(recordLength(chunk, at))
    else this.#reserve(recordHeader)
    this.#filled = chunk.copy(this.#partial, 0, at)
  }

  /** How much of the chunk belonged to the record that the chunks before began. */
  #finishPartial(chunk: Buffer): number {
    if (this.#filled === 0) return 0
    let at = 0
    if (this.#filled < recordHeader) {
      at = chunk.copy(this.#partial, this.#filled, 0, recordHeader - this.#filled)
      this.#filled += at
      if (this.#filled < recordHeader) return at
      this.#reserve(recordLength(this.#partial, 0))
    }
    const length = recordLength(this.#partial, 0)
    const copied = chunk.copy(this.#partial, this.#filled, at, at + length - this.#filled)
    this.#filled += copied
    if (this.#filled === length) {
      this.#filled = 0
      this.#open(this.#partial, 0, length)
    }
    return at + copied
  }

  /** Room for a record of `length` bytes; what is here of it is kept. */
  #reserve(length: number): void {
    if (this.#partial.length >= length) return
    const larger = Buffer.allocUnsafeSlow(Math.max(length, 2 * this.#partial.length, 1_024))
    this.#partial.copy(larger, 0, 0, this.#filled)
    this.#partial = larger
  }

  #open(record: Buffer, start: number, end: number): void {
    const kind = record[start + 3]!
    const lane = record.readUInt32BE(start + 4)
    const state = this.#state
    state.next(kind, lane)
    const decipher = createDecipheriv(algorithm, state.key, state.nonce, gcm)
    decipher.setAuthTag(record.subarray(end - tagLength, end))
    const plain = decipher.update(record.subarray(start + recordHeader, end - tagLength))
    try {
      decipher.final()
    } catch (cause) {
      throw new RecordError("a record from the peer is not genuine", { cause })
    }
    lend(plain)
    this.#sink(kind, lane, plain)
  }
}

const recordLength = (bytes: Buffer, at: number): number => {
  const length = bytes.readUIntBE(at, lengthBytes)
  if (length < minLength || length > maxLength) {
    throw new RecordError(`a record from the peer says it has ${length} bytes`)
  }
  return lengthBytes + length
}
