/**
 * The body of one message after another (RFC 9112 §6, §7). Content is handed on as views of the
 * received chunks, never copied and never kept; what is kept is one chunk-size line's number and
 * an incomplete trailer section.
 */
import { type Fields, noFields } from "../../model/Exchange.ts"
import { BlockCollector, type TooLong } from "./BlockCollector.ts"
import { tokenBytes, valueBytes } from "./Characters.ts"
import { Http1Error } from "./Http1Error.ts"
import type { Http1Limits } from "./Limits.ts"
import type { Sender } from "./Sender.ts"
import { forbiddenTrailer, readTrailers } from "./Trailers.ts"

const HT = 0x09
const LF = 0x0a
const CR = 0x0d
const SP = 0x20
const semicolon = 0x3b
const equals = 0x3d
const quote = 0x22
const backslash = 0x5c
const maxSizeDigits = 16

/** Where in the body the next byte stands. */
type Place =
  | "done"
  | "length"
  | "until_close"
  // chunk-size line
  | "size_first"
  | "size"
  | "size_end"
  | "extension_name_first"
  | "extension_name"
  | "extension_name_end"
  | "extension_value_first"
  | "extension_value"
  | "extension_quoted"
  | "extension_escape"
  | "extension_quoted_end"
  | "extension_end"
  | "size_lf"
  // chunk data
  | "data"
  | "data_cr"
  | "data_lf"
  // after the last chunk
  | "trailer_first"
  | "trailer_lf"
  | "trailer"

export interface BodyHandler {
  onBody(chunk: Buffer): void
  /** A trailer field that may not be one was dropped: its name, or another label of a fixed set. */
  onDroppedTrailer?(field: string): void
}

export class BodyReader {
  readonly #limits: Http1Limits
  readonly #sender: Sender
  readonly #handler: BodyHandler
  #place: Place = "done"
  /** Bytes to come of the length or of the chunk; while a size is read, the size so far. */
  #left = 0
  #sizeDigits = 0
  #extensionBytes = 0
  #trailerBlock: BlockCollector | undefined = undefined
  #trailers: Fields = noFields
  /** Names that the head's Connection lists. */
  #listed: ReadonlyArray<string> | undefined = undefined

  constructor(limits: Http1Limits, sender: Sender, handler: BodyHandler) {
    this.#limits = limits
    this.#sender = sender
    this.#handler = handler
  }

  get done(): boolean {
    return this.#place === "done"
  }

  /** Of the body that is done. */
  get trailers(): Fields {
    return this.#trailers
  }

  /** `length` may be 0: then the body is done at once. */
  startLength(length: number): void {
    this.#trailers = noFields
    this.#left = length
    this.#place = length === 0 ? "done" : "length"
  }

  /** `listed`: names of the head's Connection, which concern this hop in trailers too. */
  startChunked(listed: ReadonlyArray<string> | undefined): void {
    this.#trailers = noFields
    this.#listed = listed
    this.#extensionBytes = 0
    this.#place = "size_first"
  }

  startUntilClose(): void {
    this.#trailers = noFields
    this.#place = "until_close"
  }

  /** The rest is not wanted: also within a call of `feed`, no further content is handed on. */
  stop(): void {
    this.#place = "done"
    this.#trailerBlock?.reset()
  }

  /** The connection has ended. True when that is how this body ends. */
  closed(): boolean {
    return this.#place === "until_close" || this.#place === "done"
  }

  /** Returns the offset of the first byte that is not part of the body. Throws Http1Error. */
  feed(chunk: Buffer, from: number): number {
    let at = from
    while (at < chunk.length) {
      switch (this.#place) {
        case "done":
          return at
        case "until_close":
          this.#handler.onBody(at === 0 ? chunk : chunk.subarray(at))
          return chunk.length
        case "length":
        case "data":
          at = this.#content(chunk, at)
          break
        case "trailer": {
          this.#trailerBlock ??= new BlockCollector(
            this.#limits.trailerBytes,
            this.#limits,
            trailersTooLong
          )
          const text = this.#trailerBlock.take(chunk, at)
          if (text === undefined) return chunk.length
          this.#trailers = this.#readTrailers(text)
          this.#place = "done"
          return this.#trailerBlock.end
        }
        case "trailer_first":
          // Not consumed: a trailer line begins with this very byte.
          if (chunk[at] === CR) {
            at++
            this.#place = "trailer_lf"
          } else this.#place = "trailer"
          break
        default:
          this.#place = this.#step(this.#place, chunk[at++]!)
      }
    }
    return at
  }

  #content(chunk: Buffer, from: number): number {
    const to = Math.min(chunk.length, from + this.#left)
    this.#left -= to - from
    if (this.#left === 0) this.#place = this.#place === "length" ? "done" : "data_cr"
    this.#handler.onBody(from === 0 && to === chunk.length ? chunk : chunk.subarray(from, to))
    return to
  }

  #readTrailers(text: string): Fields {
    return readTrailers(text, this.#limits, this.#sender, (name) => {
      const forbidden = forbiddenTrailer(name, this.#sender, this.#listed)
      if (forbidden !== undefined) this.#handler.onDroppedTrailer?.(forbidden)
      return forbidden === undefined
    })
  }

  /** One byte of framing. */
  #step(place: Place, byte: number): Place {
    switch (place) {
      case "size_first":
      case "size":
        return this.#sizeByte(place, byte)
      case "size_lf":
        if (byte !== LF) throw badSize("a CR that is not followed by LF")
        return this.#left === 0 ? "trailer_first" : "data"
      case "data_cr":
        if (byte !== CR) throw badEnd()
        return "data_lf"
      case "data_lf":
        if (byte !== LF) throw badEnd()
        return "size_first"
      case "trailer_lf":
        if (byte !== LF) throw new Http1Error("bare_cr", "a CR after the last chunk has no LF")
        return "done"
      default:
        return this.#extensionByte(place, byte)
    }
  }

  #sizeByte(place: "size_first" | "size", byte: number): Place {
    const digit = hexValue(byte)
    if (digit !== -1) {
      if (place === "size_first") {
        this.#left = 0
        this.#sizeDigits = 0
      }
      if (++this.#sizeDigits > maxSizeDigits) throw badSize("more than 16 digits")
      this.#left = this.#left * 16 + digit
      if (this.#left > Number.MAX_SAFE_INTEGER) throw badSize("a size of more than 2^53 - 1 bytes")
      return "size"
    }
    if (place === "size_first") throw badSize(`no size: its first byte is ${byte}`)
    if (byte === CR) return "size_lf"
    if (byte === semicolon) return this.#countExtension("extension_name_first")
    if (byte === SP || byte === HT) return this.#countExtension("size_end")
    throw badSize(byte === LF ? "a line that ends with LF alone" : `byte ${byte} after its size`)
  }

  /**
   * `;name`, `;name=token` or `;name="quoted"`, with blanks around `;` and `=` but not before the
   * line's end (RFC 9112 §7.1.1). Skipped.
   */
  #extensionByte(place: Place, byte: number): Place {
    const token = tokenBytes[byte] === 1
    const blank = byte === SP || byte === HT
    switch (place) {
      case "size_end":
        if (byte === semicolon) return this.#countExtension("extension_name_first")
        if (blank) return this.#countExtension("size_end")
        throw badSize("blanks after its size, and no extension")
      case "extension_name_first":
        if (token) return this.#countExtension("extension_name")
        if (blank) return this.#countExtension("extension_name_first")
        break
      case "extension_name":
        if (token) return this.#countExtension("extension_name")
        if (byte === equals) return this.#countExtension("extension_value_first")
        if (byte === semicolon) return this.#countExtension("extension_name_first")
        if (byte === CR) return "size_lf"
        if (blank) return this.#countExtension("extension_name_end")
        break
      case "extension_name_end":
        if (byte === equals) return this.#countExtension("extension_value_first")
        if (byte === semicolon) return this.#countExtension("extension_name_first")
        if (blank) return this.#countExtension("extension_name_end")
        break
      case "extension_value_first":
        if (token) return this.#countExtension("extension_value")
        if (byte === quote) return this.#countExtension("extension_quoted")
        if (blank) return this.#countExtension("extension_value_first")
        break
      case "extension_value":
        if (token) return this.#countExtension("extension_value")
        if (byte === semicolon) return this.#countExtension("extension_name_first")
        if (byte === CR) return "size_lf"
        if (blank) return this.#countExtension("extension_end")
        break
      case "extension_quoted":
        if (byte === quote) return this.#countExtension("extension_quoted_end")
        if (byte === backslash) return this.#countExtension("extension_escape")
        if (valueBytes[byte] === 1 || byte === HT) return this.#countExtension("extension_quoted")
        break
      case "extension_escape":
        if (valueBytes[byte] === 1) return this.#countExtension("extension_quoted")
        break
      case "extension_quoted_end":
        if (byte === semicolon) return this.#countExtension("extension_name_first")
        if (byte === CR) return "size_lf"
        if (blank) return this.#countExtension("extension_end")
        break
      case "extension_end":
        if (byte === semicolon) return this.#countExtension("extension_name_first")
        if (blank) return this.#countExtension("extension_end")
        break
      default:
    }
    throw new Http1Error("bad_chunk_extension", `a chunk extension has byte ${byte} out of place`)
  }

  #countExtension(next: Place): Place {
    if (++this.#extensionBytes > this.#limits.chunkExtensionBytes) {
      throw new Http1Error(
        "chunk_extension_bytes",
        `the chunk extensions are longer than ${this.#limits.chunkExtensionBytes} bytes`
      )
    }
    return next
  }
}

const hexValue = (byte: number): number => {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30
  const letter = byte | 0x20
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1
}

const trailersTooLong: TooLong = (_, { trailerBytes }) =>
  new Http1Error("trailer_bytes", `the trailer section is longer than ${trailerBytes} bytes`)

const badSize = (found: string): Http1Error =>
  new Http1Error("bad_chunk_size", `a chunk-size line has ${found}`)

const badEnd = (): Http1Error =>
  new Http1Error("bad_chunk_end", "a chunk's data is not followed by CR LF: its size is wrong")
