/**
 * Where we take what llhttp refuses, and by which right. Each rewrites the spot at which llhttp
 * stopped as llhttp would take it, by the letter of the RFC and not by our readers; it then reads
 * on, and must understand what we understood of the original.
 */
import { type After, type RawMessage, type RawReading, readByLlhttp } from "./Llhttp.ts"

interface Licence {
  readonly right: string
  /** `at`: how far llhttp came. Undefined when this is no such case. */
  rewrite(text: string, at: number): string | undefined
}

const token = "[!#$%&'*+\\-.^_`|~0-9A-Za-z]+"
const quoted =
  '"(?:[\\t \\x21\\x23-\\x5b\\x5d-\\x7e\\x80-\\xff]|\\\\[\\t \\x21-\\x7e\\x80-\\xff])*"'
const blanks = "[ \\t]*"
const sizeLine = new RegExp(
  `^[0-9A-Fa-f]+(?:${blanks};${blanks}${token}(?:${blanks}=${blanks}(?:${token}|${quoted}))?)+$`
)

/** The text with the line around `at` changed. */
const withLine = (
  text: string,
  at: number,
  change: (line: string) => string | undefined
): string | undefined => {
  const start = text.lastIndexOf("\n", at - 1) + 1
  const end = text.indexOf("\r\n", start)
  if (end === -1) return undefined
  const changed = change(text.slice(start, end))
  return changed === undefined ? undefined : text.slice(0, start) + changed + text.slice(end)
}

export const laxerBy: Readonly<Record<string, Licence>> = {
  minor_version: {
    right: "any HTTP/1.x is read as HTTP/1.1 (RFC 9110 §2.5)",
    rewrite: (text, at) =>
      /^HTTP\/1\.[2-9]$/.test(text.slice(at - 8, at))
        ? `${text.slice(0, at - 1)}1${text.slice(at)}`
        : undefined
  },
  blanks_in_extensions: {
    right: "BWS around the ; and = of chunk extensions (RFC 9112 §7.1.1)",
    rewrite: (text, at) =>
      withLine(text, at, (line) =>
        sizeLine.test(line)
          ? line.replace(new RegExp(`${quoted}|[ \\t]+`, "g"), (it) => (it[0] === '"' ? it : ""))
          : undefined
      )
  }
}

/** As `readByLlhttp`, with the bytes it was brought to read, which its offsets speak of. */
export const readLaxly = (
  kind: "request" | "response",
  original: Buffer,
  after: (message: RawMessage) => After
): RawReading & { readonly bytes: Buffer } => {
  for (let bytes = original; ; ) {
    const reading = readByLlhttp(kind, bytes, after)
    const rewritten = reading.refused === undefined ? undefined : rewrite(bytes, reading.read)
    if (rewritten === undefined) return { ...reading, bytes }
    bytes = rewritten
  }
}

const rewrite = (bytes: Buffer, at: number): Buffer | undefined => {
  const text = bytes.toString("latin1")
  for (const licence of Object.values(laxerBy)) {
    const taken = licence.rewrite(text, at)
    if (taken !== undefined && taken !== text) return Buffer.from(taken, "latin1")
  }
  return undefined
}
