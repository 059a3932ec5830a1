/**
 * The field lines of one head, read strictly (RFC 9112 §5). Fields that concern only this hop are
 * taken out and understood; what remains goes end to end, in order, with names as sent.
 *
 * Taken out besides framing (RFC 9110 §7.6.1): Connection and what it lists, Keep-Alive,
 * Proxy-Connection, Upgrade, TE (except the word `trailers`, since this hop relays trailers and
 * gRPC asks for it end to end), Expect: 100-continue, and the credentials meant for the nearest
 * proxy, Proxy-Authorization, Proxy-Authenticate and Proxy-Authentication-Info: the mesh asks for
 * none, and a password for a proxy is nothing an application behind it should see.
 */
import type { Fields } from "../model/Exchange.ts"
import { isToken, tokenBytes, valueBytes } from "./Characters.ts"
import { listMembers, splitList } from "./FieldList.ts"
import { badName, badValue } from "./FieldSyntax.ts"
import { excerpt, Http1Error } from "./Http1Error.ts"
import type { Http1Limits } from "./Limits.ts"

const HT = 0x09
const LF = 0x0a
const CR = 0x0d
const SP = 0x20
const colon = 0x3a

export class FieldBlock {
  /** End-to-end fields that were read: name, value, name, value. */
  fields: Array<string> = []
  /** End-to-end fields that are known from elsewhere and stand before those. */
  section: Fields | undefined = undefined
  /** Offset in the text after the empty line. */
  end = 0
  host: string | undefined = undefined
  /** Content-Length, or -1 when there is none. */
  length = -1
  /** Transfer-Encoding was there; it is exactly `chunked`. */
  chunked = false
  /** Connection options. */
  close = false
  keepAlive = false
  /** `timeout` of Keep-Alive, seconds: how long the sender keeps an idle connection. */
  keepAliveTimeout: number | undefined = undefined
  upgradeListed = false
  /** All of Upgrade, as sent. */
  upgrade: string | undefined = undefined
  expectsContinue = false
  /** Names in Connection that this file does not know: fields to take out. */
  listed: Array<string> | undefined = undefined

  /** Nothing was taken out: there is nothing about framing, the connection or the host. */
  get plain(): boolean {
    return (
      this.host === undefined &&
      this.length === -1 &&
      !this.chunked &&
      !this.close &&
      !this.keepAlive &&
      this.keepAliveTimeout === undefined &&
      !this.upgradeListed &&
      this.upgrade === undefined &&
      !this.expectsContinue &&
      this.listed === undefined
    )
  }

  /** All end-to-end fields. */
  get endToEnd(): Fields {
    const { fields, section } = this
    if (section === undefined) return fields
    return fields.length === 0 ? section : [...section, ...fields]
  }
}

/**
 * Reads from `start` (the first byte after the start line) to the empty line. With `judge`, which
 * throws for names that may not be there, every field is kept as it is (trailers).
 */
export const readFieldBlock = (
  text: string,
  start: number,
  limits: Http1Limits,
  judge?: (name: string) => void
): FieldBlock => {
  const block = new FieldBlock()
  let position = start
  let count = 0
  for (;;) {
    let i = position
    while (tokenBytes[text.charCodeAt(i)] === 1) i++
    if (i === position || text.charCodeAt(i) !== colon) {
      if (i === position && text.charCodeAt(i) === CR && text.charCodeAt(i + 1) === LF) break
      throw badName(text, position, i, count)
    }
    if (++count > limits.fieldCount) {
      throw new Http1Error(
        "field_count",
        `the message has more than ${limits.fieldCount} header fields`
      )
    }
    const nameEnd = i++
    let from = i
    while (text.charCodeAt(from) === SP || text.charCodeAt(from) === HT) from++
    i = from
    while (valueBytes[text.charCodeAt(i)] === 1) i++
    if (text.charCodeAt(i) !== CR || text.charCodeAt(i + 1) !== LF) {
      throw badValue(text, position, nameEnd, i)
    }
    let to = i
    while (to > from && (text.charCodeAt(to - 1) === SP || text.charCodeAt(to - 1) === HT)) to--
    const name = text.slice(position, nameEnd)
    if (judge === undefined) {
      if (name.length === 14 || name.length === 17) refuseTabs(text, nameEnd, i, name)
      takeField(block, name, text.slice(from, to))
    } else {
      judge(name)
      block.fields.push(name, text.slice(from, to))
    }
    position = i + 2
  }
  block.end = position + 2
  if (block.listed !== undefined) dropListed(block, block.listed)
  return block
}

/**
 * Looks at the length and first letter before anything else: most fields are none of ours, and
 * then this costs two comparisons.
 */
const takeField = (block: FieldBlock, name: string, value: string): void => {
  const first = name.charCodeAt(0) | 0x20
  switch (name.length) {
    case 2:
      if (first === 0x74 && name.toLowerCase() === "te") {
        if (hasTrailers(value)) block.fields.push("te", "trailers")
        return
      }
      break
    case 4:
      if (first === 0x68 && isNamed(name, "Host", "host")) {
        if (block.host !== undefined) {
          throw new Http1Error("duplicate_host", "the message has more than one Host field")
        }
        block.host = value
        return
      }
      break
    case 6:
      if (first === 0x65 && name.toLowerCase() === "expect") {
        takeExpect(block, name, value)
        return
      }
      break
    case 7:
      if (first === 0x75 && name.toLowerCase() === "upgrade") {
        block.upgrade = block.upgrade === undefined ? value : `${block.upgrade}, ${value}`
        return
      }
      break
    case 10:
      if (first === 0x63 && isNamed(name, "Connection", "connection")) {
        takeConnection(block, value)
        return
      }
      if (first === 0x6b && isNamed(name, "Keep-Alive", "keep-alive")) {
        const timeout = /(?:^|[ \t,;])timeout[ \t]*=[ \t]*"?(\d{1,9})/i.exec(value)?.[1]
        if (timeout !== undefined) block.keepAliveTimeout = Number(timeout)
        return
      }
      break
    case 14:
      if (first === 0x63 && isNamed(name, "Content-Length", "content-length")) {
        takeContentLength(block, value)
        return
      }
      break
    case 16:
    case 18:
    case 19:
    case 25:
      if (first === 0x70 && isProxyField(name.toLowerCase())) return
      break
    case 17:
      if (first === 0x74 && name.toLowerCase() === "transfer-encoding") {
        // One field, one coding: any list or repetition is read differently by some server.
        if (block.chunked || value.toLowerCase() !== "chunked") throw badCoding(block, value)
        block.chunked = true
        return
      }
      break
    default:
  }
  block.fields.push(name, value)
}

/**
 * Codings before a last `chunked` are well said and not understood, which is 501 (RFC 9112 §6.1).
 * Anything else leaves the length of the body uncertain, which is 400 (§6.3).
 */
const badCoding = (block: FieldBlock, value: string): Http1Error => {
  const codings = listMembers(value)
  const last = codings.length - 1
  const wellSaid = codings.every(isToken) && codings.indexOf("chunked") === last
  return new Http1Error(
    wellSaid && last > 0 && !block.chunked ? "unsupported_coding" : "bad_transfer_encoding",
    `transfer-encoding ${excerpt(value, 0)}: only one, "chunked", is supported`
  )
}

/** Nearly everybody writes it in one of these two ways; lowering it is a call into the runtime. */
const isNamed = (name: string, usual: string, lower: string): boolean =>
  name === usual || name === lower || name.toLowerCase() === lower

const isProxyField = (lowerName: string): boolean =>
  lowerName === "proxy-connection" ||
  lowerName === "proxy-authorization" ||
  lowerName === "proxy-authenticate" ||
  lowerName === "proxy-authentication-info"

/**
 * Blanks around a value may be tabs, but nginx counts one to a length or a coding, llhttp one after
 * a coding, and HAProxy none: whether there is a body depends on who reads. Nobody sends one but to
 * find that out.
 */
const refuseTabs = (text: string, from: number, to: number, name: string): void => {
  const first = name.charCodeAt(0) | 0x20
  if (first !== (name.length === 14 ? 0x63 : 0x74)) return // neither of the two
  const lower = name.toLowerCase()
  if (lower !== "content-length" && lower !== "transfer-encoding") return
  if (!text.slice(from, to).includes("\t")) return
  throw new Http1Error(
    lower === "content-length" ? "bad_content_length" : "bad_transfer_encoding",
    `${lower} has a tab beside its value`
  )
}

/** `;q=0` and other parameters do not occur with `trailers` (RFC 9110 §10.1.4). */
const hasTrailers = (value: string): boolean => listMembers(value).includes("trailers")

/** A list, of which the rest goes on. Not with quotes, in which a comma separates nothing. */
const takeExpect = (block: FieldBlock, name: string, value: string): void => {
  const members = splitList(value)
  const others = members.filter((member) => member.toLowerCase() !== "100-continue")
  if (others.length === members.length || value.includes('"')) {
    block.fields.push(name, value)
    return
  }
  block.expectsContinue = true
  if (others.length > 0) block.fields.push(name, others.join(", "))
}

const takeContentLength = (block: FieldBlock, value: string): void => {
  if (block.length !== -1) {
    // Also when both are equal: nobody sends that, and a recipient may add them to a list.
    throw new Http1Error(
      "duplicate_content_length",
      "the message has more than one Content-Length field"
    )
  }
  let length = 0
  for (let i = 0; i < value.length; i++) {
    const digit = value.charCodeAt(i) - 0x30
    length = digit >= 0 && digit <= 9 ? length * 10 + digit : Number.NaN
  }
  // A comparison with NaN is false, so every character that is not a digit ends here.
  if (value.length === 0 || value.length > 16 || !(length <= Number.MAX_SAFE_INTEGER)) {
    throw new Http1Error(
      "bad_content_length",
      `content-length ${excerpt(value, 0)} is not a number of bytes`
    )
  }
  block.length = length
}

const takeConnection = (block: FieldBlock, value: string): void => {
  // The words that nearly every request has, before the general case.
  if (value === "keep-alive") {
    block.keepAlive = true
    return
  }
  for (const option of listMembers(value)) {
    switch (option) {
      case "te":
        break
      case "close":
        block.close = true
        break
      case "keep-alive":
        block.keepAlive = true
        break
      case "upgrade":
        block.upgradeListed = true
        break
      default:
        if (!isToken(option)) {
          throw new Http1Error(
            "bad_connection",
            `connection option ${excerpt(option, 0)} is not a name`
          )
        }
        block.listed ??= []
        block.listed.push(option)
    }
  }
}

const dropListed = (block: FieldBlock, listed: ReadonlyArray<string>): void => {
  const names = new Set(listed)
  const kept: Array<string> = []
  for (let i = 0; i < block.fields.length; i += 2) {
    if (names.has(block.fields[i]!.toLowerCase())) continue
    kept.push(block.fields[i]!, block.fields[i + 1]!)
  }
  block.fields = kept
}
