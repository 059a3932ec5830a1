/** The two fields that say where a message ends (RFC 9112 §6). */
import { isToken } from "./Characters.ts"
import { listMembers, splitList } from "./FieldList.ts"
import { excerpt, Http1Error } from "./Http1Error.ts"
import type { Sender } from "./Sender.ts"

/**
 * Bytes that Content-Length says; `known` is what a line before said, or -1. Of a program several
 * lines or members count if all are valid and equal, as RFC 9112 §6.3 has it: its response goes on
 * with one. A request with them stays refused, since whoever passed it here may have read another.
 */
export const readContentLength = (value: string, known: number, sender: Sender): number => {
  let length = numberOf(value)
  if (length === -1 && sender === "program") length = equalMembers(value)
  if (length === -1) {
    throw new Http1Error(
      "bad_content_length",
      `content-length ${excerpt(value, 0)} is not a number of bytes`
    )
  }
  if (known === -1 || (known === length && sender === "program")) return length
  throw new Http1Error(
    "duplicate_content_length",
    sender === "program"
      ? `content-length is both ${known} and ${length}`
      : "the message has more than one Content-Length field"
  )
}

/** -1 for what is no number of bytes, or one that cannot be counted to. */
const numberOf = (value: string): number => {
  let length = 0
  for (let i = 0; i < value.length; i++) {
    const digit = value.charCodeAt(i) - 0x30
    length = digit >= 0 && digit <= 9 ? length * 10 + digit : Number.NaN
  }
  // A comparison with NaN is false, so every character that is not a digit ends here.
  const counted = value.length > 0 && value.length <= 16 && length <= Number.MAX_SAFE_INTEGER
  return counted ? length : -1
}

const equalMembers = (value: string): number => {
  const [first = -1, ...others] = splitList(value).map(numberOf)
  return others.every((length) => length === first) ? first : -1
}

/**
 * Why a coding other than one `chunked` is refused; `again`: there was one before. Codings before
 * a last `chunked` are well said and not understood, which is 501 (RFC 9112 §6.1). Anything else
 * leaves the length of the body uncertain, which is 400 (§6.3).
 */
export const badCoding = (value: string, again: boolean): Http1Error => {
  const codings = listMembers(value)
  const last = codings.length - 1
  const wellSaid = codings.every(isToken) && codings.indexOf("chunked") === last
  return new Http1Error(
    wellSaid && last > 0 && !again ? "unsupported_coding" : "bad_transfer_encoding",
    `transfer-encoding ${excerpt(value, 0)}: only one, "chunked", is supported`
  )
}

/**
 * Blanks around a value may be tabs, but nginx counts one to a length or a coding, llhttp one after
 * a coding, and HAProxy none: whether there is a body depends on who reads. Nobody sends one but to
 * find that out. To be asked for names of 14 and 17 characters, whose line ends at `to`.
 */
export const refuseTabs = (text: string, from: number, to: number, name: string): void => {
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
