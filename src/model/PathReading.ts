/**
 * The path of a request as every program reads it, or why programs could read it differently. Whether
 * `/a//b` is `/a/b`, `/x;y` is `/x`, and `%2e` a dot, is decided by each program's libraries; a rule
 * that guesses it is got round. So none of it is repaired: it is named, and who has rules refuses it.
 *
 * What is left is read in one way: escapes that have to be there (`%20`, `%C3%A9`) are what they mean,
 * in any case of their digits, and letters with marks are one character however they were composed.
 */

/** Each with what is in the path, for people. */
export const pathTroubles = {
  slashes: "//, which some programs take for one slash",
  dots: "a segment . or .., which some programs resolve",
  params: "a ;, from which on some programs leave the segment out",
  backslash: "a backslash, which some programs take for a slash",
  raw: "a character that has to be escaped",
  escape: "a % without two hex digits",
  needless: "an escape of a character that needs none, like %2e or %61",
  slash: "an escaped slash or backslash (%2F, %5C), which some programs take for a slash",
  delimiter: "an escaped ;, ? or #, at which some programs cut the path",
  control: "an escaped control character, like NUL",
  twice: "an escaped escape, like %252e, which some programs decode twice",
  utf8: "escapes that are not UTF-8, or longer than it has to be",
  lookalike: "a character that some programs turn into another, like the full-width slash"
} as const

export type PathTrouble = keyof typeof pathTroubles

/** One for many paths: a decision makes no garbage. What it says holds until the next `read`. */
export class PathReading {
  /** Begins with the path, as it is compared. */
  text = ""
  /** Where the path ends in `text`. 0: the target has none (`*`). */
  end = 0
  trouble: PathTrouble | undefined

  /** `target` is that of a request: `/path?query` or `*`. */
  read(target: string): void {
    this.text = target
    this.end = 0
    this.trouble = undefined
    if (target.charCodeAt(0) !== slash) return
    const length = target.length
    let escaped = false
    /** Where the segment begins, and whether it has dots alone. */
    let start = 1
    let dots = true
    let i = 1
    for (; i < length; i++) {
      const at = target.charCodeAt(i)
      if (at === question) break
      if (at === slash) {
        if (i === start) this.trouble ??= "slashes"
        else if (dots && i - start <= 2) this.trouble ??= "dots"
        start = i + 1
        dots = true
        continue
      }
      if (at === dot) continue
      dots = false
      if (at === percent) escaped = true
      else if (at === semicolon) this.trouble ??= "params"
      else if (at === backslash) this.trouble ??= "backslash"
      else if (at <= space || at >= del || at === hash) this.trouble ??= "raw"
    }
    if (dots && i > start && i - start <= 2) this.trouble ??= "dots"
    this.end = i
    if (escaped && this.trouble === undefined) this.#decode(target.slice(0, i))
  }

  #decode(path: string): void {
    let text = ""
    let beyond = false
    /** What is taken so far. */
    let from = 0
    let i = path.indexOf("%")
    while (i !== -1 && this.trouble === undefined) {
      text += path.slice(from, i)
      const byte = byteAt(path, i)
      if (byte >= 0x80) {
        from = runEnd(path, i)
        const run = decoded(path.slice(i, from))
        text += run
        if (run === undefined) this.trouble = "utf8"
        else if (!plainLetters.test(run)) {
          this.trouble = troubleBeyond(run)
          beyond = true
        }
      } else {
        this.trouble = troubleOf(byte, path, i)
        text += String.fromCharCode(byte)
        from = i + 3
      }
      i = path.indexOf("%", from)
    }
    text += path.slice(from)
    this.text = beyond ? text.normalize("NFC") : text
    this.end = this.text.length
  }
}

const [slash, question, dot, percent, semicolon] = [0x2f, 0x3f, 0x2e, 0x25, 0x3b]
const [backslash, space, del, hash, zero] = [0x5c, 0x20, 0x7f, 0x23, 0x30]

/** NaN: none. */
const hexDigit = (code: number): number => {
  if (code >= zero && code <= 0x39) return code - zero
  const small = code | 0x20
  return small >= 0x61 && small <= 0x66 ? small - 0x57 : Number.NaN
}

/** Of the escape at `at`. NaN: there is none. */
const byteAt = (path: string, at: number): number =>
  hexDigit(path.charCodeAt(at + 1)) * 16 + hexDigit(path.charCodeAt(at + 2))

/** Where escapes of bytes beyond ASCII end that begin at `at`. */
const runEnd = (path: string, at: number): number => {
  let end = at
  while (path.charCodeAt(end) === percent && byteAt(path, end) >= 0x80) end += 3
  return end
}

/** Strict: neither over-long forms nor surrogates nor what was cut off. */
const decoded = (run: string): string | undefined => {
  try {
    return decodeURIComponent(run)
  } catch {
    return undefined
  }
}

/**
 * Latin, Cyrillic, kana, Han, Hangul: each is one character in every form, and joins with no other. To
 * know that of what most paths have beside ASCII saves the most of reading them.
 */
export const plainLetters =
  /^[\u00c0-\u017e\u0400-\u0482\u048a-\u04ff\u3041-\u3096\u30a1-\u30fa\u4e00-\u9fff\uac00-\ud7a3]+$/

/** C1: programs that take bytes for latin1 act on them as on C0. */
const isControl = /[\u0080-\u009f]/

/**
 * File systems, databases and whole platforms put characters into their compatible forms: some of
 * them are then a slash, a dot or another that means something in a path. And a few are letters of
 * ASCII in every normal form, like the sign for kelvin.
 */
const troubleBeyond = (run: string): PathTrouble | undefined => {
  if (isControl.test(run)) return "control"
  if (/[/\\.;?#%]/.test(run.normalize("NFKC"))) return "lookalike"
  return /[!-~]/.test(run.normalize("NFC")) ? "lookalike" : undefined
}

const unreserved = new Set(
  Array.from("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~", (one) =>
    one.charCodeAt(0)
  )
)

const troubleOf = (byte: number, path: string, at: number): PathTrouble | undefined => {
  if (Number.isNaN(byte)) return "escape"
  if (byte < space || byte === del) return "control"
  if (byte === slash || byte === backslash) return "slash"
  if (byte === semicolon || byte === question || byte === hash) return "delimiter"
  if (unreserved.has(byte)) return "needless"
  if (byte === percent && !Number.isNaN(byteAt(path, at + 2))) return "twice"
  return undefined
}
