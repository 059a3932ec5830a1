/**
 * Where we take what llhttp refuses, and by which right. Each rewrites the spot at which llhttp
 * stopped as llhttp would take it, by the letter of the RFC and not by our readers; it then reads
 * on, and must understand what we understood of the original.
 */
import { type After, type RawMessage, type RawReading, readByLlhttp } from "./Llhttp.ts"
import { trimmed } from "./Reading.ts"

type Kind = "request" | "response"

interface Licence {
  readonly right: string
  /** How llhttp refuses it: code and words. */
  readonly refusal: RegExp
  /** Undefined when this is no such case. */
  rewrite(text: string, reading: RawReading, kind: Kind): string | undefined
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
  change: (line: string, before: string) => string | undefined
): string | undefined => {
  const start = text.lastIndexOf("\n", at - 1) + 1
  const found = text.indexOf("\r\n", start)
  const end = found === -1 ? text.length : found
  const changed = change(text.slice(start, end), text.slice(0, start))
  return changed === undefined ? undefined : text.slice(0, start) + changed + text.slice(end)
}

const framingName = /^(content-length|transfer-encoding):/i
const closingName = /^(connection|transfer-encoding):/i

export const laxerBy: Readonly<Record<string, Licence>> = {
  minor_version: {
    right: "any HTTP/1.x is read as HTTP/1.1 (RFC 9110 §2.5)",
    refusal: /^HPE_INVALID_VERSION/,
    rewrite: (text, { read: at }) =>
      /^HTTP\/1\.[2-9]$/.test(text.slice(at - 8, at))
        ? `${text.slice(0, at - 1)}1${text.slice(at)}`
        : undefined
  },
  framing_in_trailers: {
    right: "trailers that cannot be trailers are dropped, framing ones too (RFC 9112 §7.1.2)",
    refusal: /_(CONTENT_LENGTH|TRANSFER_ENCODING) |^HPE_IN_BODY_OF_UPGRADE/,
    rewrite: (text, { messages, read }) =>
      messages.at(-1)?.complete === false
        ? // An empty value is found behind its line.
          withLine(text, read - 1, (line) => line.replace(framingName, "Keep-Alive:"))
        : undefined
  },
  closing_trailers: {
    right: "as above: the connection lives on whatever a trailer says",
    refusal: /^HPE_CLOSED_CONNECTION/,
    rewrite: (text, { messages, read }) => {
      const names = messages.at(-1)?.trailers.filter((_, i) => i % 2 === 0) ?? []
      if (!names.some((name) => closingName.test(`${name}:`))) return undefined
      const lines = text.slice(0, read).split("\n")
      const at = lines.findLastIndex((line) => closingName.test(line))
      return `${lines.with(at, lines[at]!.replace(closingName, "Keep-Alive:")).join("\n")}${text.slice(read)}`
    }
  },
  equal_lengths: {
    right: "lengths of a response that are all valid and equal (RFC 9112 §6.3)",
    refusal: /^HPE_(UNEXPECTED|INVALID)_CONTENT_LENGTH/,
    rewrite: (text, { read }, kind) =>
      kind === "request"
        ? undefined
        : withLine(text, read, (line, before) => {
            const length = lengthIn(line)
            if (length === undefined || Number.isNaN(length)) return undefined
            const head = before.slice(before.lastIndexOf("\r\n\r\n") + 2)
            const known = head
              .split("\r\n")
              .map(lengthIn)
              .find((it) => it !== undefined)
            // One that goes no further, in its place.
            if (known === undefined) return `Content-Length: ${length}`
            return known === length ? "Keep-Alive:" : undefined
          })
  },
  blanks_in_extensions: {
    right: "BWS around the ; and = of chunk extensions (RFC 9112 §7.1.1)",
    refusal: /in chunk (size|extensions)|^HPE_IN_BODY_OF_UPGRADE/,
    rewrite: (text, { read }) =>
      withLine(text, read, (line) =>
        sizeLine.test(line)
          ? line.replace(new RegExp(`${quoted}|[ \\t]+`, "g"), (it) => (it[0] === '"' ? it : ""))
          : undefined
      )
  }
}

/** The one length that a Content-Length line says, once or several times. */
const lengthIn = (line: string): number | undefined => {
  const value = /^content-length:(.*)$/i.exec(line)?.[1]
  const members =
    value
      ?.split(",")
      .map(trimmed)
      .filter((member) => member !== "") ?? []
  const [first, ...others] = members.map((member) =>
    /^\d{1,16}$/.test(member) ? Number(member) : Number.NaN
  )
  return others.every((length) => length === first) ? first : undefined
}

/** As `readByLlhttp`, with the bytes it was brought to read, which its offsets speak of. */
export const readLaxly = (
  kind: Kind,
  original: Buffer,
  after: (message: RawMessage) => After
): RawReading & { readonly bytes: Buffer } => {
  for (let bytes = original; ; ) {
    const reading = readByLlhttp(kind, bytes, after)
    const rewritten = rewrite(bytes, reading, kind)
    if (rewritten === undefined) return { ...reading, bytes }
    bytes = rewritten
  }
}

const rewrite = (bytes: Buffer, reading: RawReading, kind: Kind): Buffer | undefined => {
  const { reason, refused } = reading
  if (refused === undefined) return undefined
  const text = bytes.toString("latin1")
  for (const licence of Object.values(laxerBy)) {
    const meant = licence.refusal.test(`${refused} ${reason}`)
    const taken = meant ? licence.rewrite(text, reading, kind) : undefined
    if (taken !== undefined && taken !== text) return Buffer.from(taken, "latin1")
  }
  return undefined
}
