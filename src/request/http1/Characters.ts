/**
 * Which bytes may stand where (RFC 9110 §5.5, §5.6.2; RFC 3986 §2), as tables of 256 for text
 * decoded from latin1. None of them holds CR or LF, so a scan by table stops at every line's end.
 */
const table = (...members: ReadonlyArray<string | readonly [number, number]>): Uint8Array => {
  const bytes = new Uint8Array(256)
  for (const member of members) {
    if (typeof member === "string") {
      for (let i = 0; i < member.length; i++) bytes[member.charCodeAt(i)] = 1
    } else bytes.fill(1, member[0], member[1] + 1)
  }
  return bytes
}

const digits = "0123456789"
const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

/** tchar: methods, field names, connection options, protocol names. */
export const tokenBytes = table(digits, letters, "!#$%&'*+-.^_`|~")

/** Field values and reason phrases: HTAB, SP, VCHAR, obs-text. */
export const valueBytes = table("\t", [0x20, 0x7e], [0x80, 0xff])

/**
 * Request targets: visible ASCII but `#`, since a fragment is never sent, and the backslash, which
 * some recipients take for a slash (see `targetEnd`). More than RFC 3986 allows, because clients do
 * send `|`, `{` and `"` unescaped and every server passes them on.
 */
const targetBytes = table([0x21, 0x22], [0x24, 0x5b], [0x5d, 0x7e])

const backslash = 0x5c

/**
 * The offset of the first byte from `start` on that cannot be part of a request target. A backslash
 * can, after a `?`: nobody looks for a path there, and browsers send it so (URL Standard, query
 * percent-encode set).
 */
export const targetEnd = (text: string, start: number): number => {
  let i = start
  while (i < text.length && targetBytes[text.charCodeAt(i)] === 1) i++
  if (text.charCodeAt(i) !== backslash || !text.slice(start, i).includes("?")) return i
  while (i < text.length) {
    const byte = text.charCodeAt(i)
    if (targetBytes[byte] !== 1 && byte !== backslash) break
    i++
  }
  return i
}

/**
 * Registered names: unreserved characters and sub-delims but the comma, which would make the name
 * two in X-Forwarded-Host. No `%`: hosts are compared, not decoded, and what one recipient decodes
 * and another does not is two hosts.
 */
export const hostNameBytes = table(digits, letters, "-._~!$&'()*+;=")

/** Within the brackets of an IPv6 address. No zone: it means something on one host only. */
export const addressBytes = table(digits, "abcdefABCDEF:.")

export const isToken = (text: string): boolean => {
  if (text.length === 0) return false
  for (let i = 0; i < text.length; i++) if (tokenBytes[text.charCodeAt(i)] !== 1) return false
  return true
}

/** True for what may be written as a field value; leading and trailing blanks are not looked at. */
export const isFieldValue = (text: string): boolean => {
  for (let i = 0; i < text.length; i++) if (valueBytes[text.charCodeAt(i)] !== 1) return false
  return true
}

/** True for an origin-form target that may be written in a request line. */
export const isOriginTarget = (text: string): boolean =>
  text.charCodeAt(0) === 0x2f && targetEnd(text, 0) === text.length
