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
 * Request targets: visible ASCII but `#` (a fragment is never sent). More than RFC 3986 allows,
 * because clients do send `|`, `{` and `"` unescaped and every server passes them on.
 */
export const targetBytes = table([0x21, 0x22], [0x24, 0x7e])

/** Registered names: unreserved characters. No comma, no `%`: hosts are compared, not decoded. */
const hostBytes = table(digits, letters, "-._~")
const addressBytes = table(digits, "abcdefABCDEF:.")

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
export const isOriginTarget = (text: string): boolean => {
  if (text.charCodeAt(0) !== 0x2f) return false
  for (let i = 1; i < text.length; i++) if (targetBytes[text.charCodeAt(i)] !== 1) return false
  return true
}

/**
 * `host`, `host:port`, `[v6]` or `[v6]:port` (RFC 3986 §3.2 without userinfo). The port, if its
 * colon is there, has 1 to 5 digits.
 */
export const isAuthority = (text: string, portRequired = false): boolean => {
  let i = 0
  if (text.charCodeAt(0) === 0x5b) {
    i = 1
    while (i < text.length && addressBytes[text.charCodeAt(i)] === 1) i++
    if (i < 3 || text.charCodeAt(i) !== 0x5d) return false
    i++
  } else {
    while (i < text.length && hostBytes[text.charCodeAt(i)] === 1) i++
    if (i === 0) return false
  }
  if (i === text.length) return !portRequired
  if (text.charCodeAt(i) !== 0x3a) return false
  const port = i + 1
  for (i = port; i < text.length; i++) {
    const digit = text.charCodeAt(i)
    if (digit < 0x30 || digit > 0x39) return false
  }
  return i > port && i - port <= 5
}

/** `name` or `name/version`. */
export const isProtocol = (text: string): boolean => {
  const slash = text.indexOf("/")
  return slash === -1
    ? isToken(text)
    : isToken(text.slice(0, slash)) && isToken(text.slice(slash + 1))
}
