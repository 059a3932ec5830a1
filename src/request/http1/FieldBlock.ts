/**
 * The field lines of one head, read strictly (RFC 9112 §5). Fields that concern only this hop are
 * taken out and understood; what remains goes end to end, in order, with names as sent.
 *
 * Taken out besides framing (RFC 9110 §7.6.1): Connection and what it lists, Keep-Alive,
 * Proxy-Connection, Upgrade, TE (except the word `trailers`, since this hop relays trailers and
 * gRPC asks for it end to end), Expect: 100-continue, and the credentials meant for the nearest
 * proxy, Proxy-Authorization, Proxy-Authenticate and Proxy-Authentication-Info: the mesh asks for
 * none, and a password for a proxy is nothing an application behind it should see. What a client
 * says of its call (CallFields.ts), and what is not the sender's to say (Sender.ts).
 */
import type { Fields } from "../../model/Exchange.ts"
import { type CallFields, isCallField, takeCallField, takeGrpcTimeout } from "./CallFields.ts"
import { isToken, tokenBytes, valueBytes } from "./Characters.ts"
import { listMembers, splitList } from "./FieldList.ts"
import { badName, badValue } from "./FieldSyntax.ts"
import { badCoding, readContentLength, refuseTabs } from "./FramingFields.ts"
import { excerpt, Http1Error } from "./Http1Error.ts"
import type { Http1Limits } from "./Limits.ts"
import { isDisguised, isReserved, type Sender } from "./Sender.ts"

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
  /** What a client says of its call. */
  call: CallFields | undefined = undefined
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
      this.call === undefined &&
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
 * Reads from `start` (the first byte after the start line) to the empty line. With `keeps` the
 * fields are a trailer section: those it says no to are dropped, the others kept as they are.
 */
export const readFieldBlock = (
  text: string,
  start: number,
  limits: Http1Limits,
  sender: Sender,
  keeps?: (name: string) => boolean
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
    if (keeps === undefined) {
      if (name.length === 14 || name.length === 17) refuseTabs(text, nameEnd, i, name)
      takeField(block, name, text.slice(from, to), sender)
    } else if (keeps(name)) block.fields.push(name, text.slice(from, to))
    position = i + 2
  }
  block.end = position + 2
  if (block.listed !== undefined) dropListed(block, block.listed)
  return block
}

/**
 * Looks at the length and first letter before anything else: most fields are none of ours, and
 * then this costs two comparisons. Also for fields that no line of text was read for (http2).
 */
export const takeField = (block: FieldBlock, name: string, value: string, sender: Sender): void => {
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
    case 12:
      if (first === 0x67 && sender === "client" && name.toLowerCase() === "grpc-timeout") {
        block.call = takeGrpcTimeout(block.call, value)
      }
      break
    case 14:
      if (first === 0x63 && isNamed(name, "Content-Length", "content-length")) {
        block.length = readContentLength(value, block.length, sender)
        return
      }
      if (isDisguised(name, sender)) return
      break
    case 15:
      if (isDisguised(name, sender)) return
      break
    case 16:
      if (first === 0x70 && isProxyField(name.toLowerCase())) return
      if (isDisguised(name, sender)) return
      break
    case 18:
    case 19:
    case 25:
      if (first === 0x70 && isProxyField(name.toLowerCase())) return
      break
    case 17:
      if (first === 0x74 && name.toLowerCase() === "transfer-encoding") {
        // One field, one coding: any list or repetition is read differently by some server.
        if (block.chunked || value.toLowerCase() !== "chunked") {
          throw badCoding(value, block.chunked)
        }
        block.chunked = true
        return
      }
      if (isDisguised(name, sender)) return
      break
    default:
  }
  // "sk"
  if (first === 0x73 && (name.charCodeAt(1) | 0x20) === 0x6b) {
    if (sender === "client" && isCallField(name.toLowerCase())) {
      block.call = takeCallField(block.call, name.toLowerCase(), value)
      return
    }
    if (isReserved(name, sender)) return
  }
  block.fields.push(name, value)
}

/** Nearly everybody writes it in one of these two ways; lowering it is a call into the runtime. */
const isNamed = (name: string, usual: string, lower: string): boolean =>
  name === usual || name === lower || name.toLowerCase() === lower

const isProxyField = (lowerName: string): boolean =>
  lowerName === "proxy-connection" ||
  lowerName === "proxy-authorization" ||
  lowerName === "proxy-authenticate" ||
  lowerName === "proxy-authentication-info"

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
