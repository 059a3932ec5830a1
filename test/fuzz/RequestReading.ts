/** Requests as our reader and as llhttp understand them. */

import type { Framing } from "../../src/model/Exchange.ts"
import { type ParsedRequest, RequestReader } from "../../src/request/http1/RequestReader.ts"
import { readLaxly } from "./Laxer.ts"
import type { RawMessage } from "./Llhttp.ts"
import { fieldLines, HopFields, type Message, members, type Reading } from "./Reading.ts"

const framingText = (framing: Framing): string =>
  framing.kind === "length" ? `length ${framing.length}` : framing.kind

interface HeadParts {
  readonly method: string
  readonly target: string
  readonly authority: string
  readonly minor: number
  readonly keepAlive: boolean
  readonly framing: string
  readonly expectsContinue: boolean
  readonly fields: ReadonlyArray<string>
}

const headText = (parts: HeadParts): string =>
  `${parts.method} ${parts.target} (${parts.authority}) 1.${parts.minor} ` +
  `${parts.keepAlive ? "keep" : "close"} ${parts.framing} ` +
  `${parts.expectsContinue ? "expects" : ""}\n${fieldLines(parts.fields)}`

/** The bytes in these pieces, which must make no difference. */
export const requestsByUs = (pieces: ReadonlyArray<Buffer>): Reading => {
  const messages: Array<Message> = []
  let refused: string | undefined
  let ended = false
  let tunnel: string | undefined
  let current: ParsedRequest | undefined
  const reader: RequestReader = new RequestReader({
    onHead: (request) => {
      current = request
      const { head, version, keepAlive } = request
      const message: Message = {
        head: headText({
          ...head,
          minor: version,
          keepAlive,
          framing: framingText(head.framing)
        }),
        body: "",
        trailers: "",
        complete: false,
        last: !keepAlive
      }
      messages.push(message)
      if (reader.state !== "complete") return
      // CONNECT, or an upgrade: taken, so that its first bytes show where the head ended.
      message.complete = true
      ended = true
      tunnel = ""
      reader.tunnel()
    },
    onBody: (chunk) => {
      if (tunnel === undefined) messages.at(-1)!.body += chunk.toString("latin1")
      else tunnel += chunk.toString("latin1")
    },
    onEnd: (trailers) => {
      if (tunnel !== undefined) return
      const message = messages.at(-1)!
      message.complete = true
      message.trailers = fieldLines(trailers)
      if (current?.keepAlive === true) reader.next()
      else {
        ended = true
        reader.stop()
      }
    },
    onError: (error) => {
      refused = error.rule
    }
  })
  for (const piece of pieces) reader.feed(piece)
  reader.eof()
  return { messages, refused, ended, tunnel }
}

const withoutOrigin = (url: string): { target: string; authority: string | undefined } => {
  const found = /^http:\/\/([^/?]*)(.*)$/is.exec(url)
  if (found === null) return { target: url, authority: undefined }
  const [, authority = "", rest = ""] = found
  return { target: rest.startsWith("/") ? rest : `/${rest}`, authority }
}

/** As it is forwarded: an empty port is left out, and zeros before one. */
const normal = (authority: string): string =>
  authority.replace(/:0*(\d*)$/, (_, port: string) => (port === "" ? "" : `:${port}`))

/** llhttp says what stands there; what it means for an intermediary is said here once more. */
const messageOf = (raw: RawMessage): Message => {
  const hop = new HopFields(raw.fields, "request")
  const connect = raw.method === "CONNECT"
  const { target, authority } = connect
    ? { target: normal(raw.url), authority: raw.url }
    : withoutOrigin(raw.url)
  // Found anew: llhttp keeps a 1.0 connection that says both, where `close` has the last word
  // (RFC 9112 §9.3), and takes Proxy-Connection for Connection, which it is not (Appendix C.2.2).
  const keepAlive = !hop.close && (raw.minor === 1 || hop.keepAlive)
  return {
    head: headText({
      method: raw.method,
      target: raw.method === "OPTIONS" && /^http:\/\/[^/?]*$/i.test(raw.url) ? "*" : target,
      authority: normal(authority ?? hop.host ?? ""),
      minor: raw.minor,
      keepAlive,
      framing: hop.framing,
      expectsContinue: raw.minor === 1 && hop.expectsContinue,
      fields: hop.fields
    }),
    body: raw.body,
    trailers: fieldLines(hop.trailers(raw.trailers)),
    complete: raw.complete,
    last: !keepAlive
  }
}

/** The upgrades that the mesh relays; others are answered as if nobody had asked (see below). */
const relayed = (raw: RawMessage): boolean => {
  if (raw.method === "CONNECT") return true
  const hop = new HopFields(raw.fields, "request")
  const protocols = members(hop.upgrade).filter((protocol) => protocol !== "")
  return (
    raw.minor === 1 &&
    !hop.chunked &&
    hop.length < 1 &&
    protocols.every((protocol) => /^[!#-'*+\-.^-z|~]+(\/[!#-'*+\-.^-z|~]+)?$/i.test(protocol)) &&
    protocols.some((protocol) => protocol !== "h2c" && protocol !== "h2")
  )
}

export const requestsByLlhttp = (bytes: Buffer): Reading => {
  const reading = readLaxly("request", bytes, () => "body")
  const messages: Array<Message> = []
  for (const raw of reading.messages) {
    const message = messageOf(raw)
    messages.push(message)
    if (raw.upgrade && raw.complete) {
      // llhttp stops at every upgrade. Where we go on instead (a body, h2c, HTTP/1.0, a malformed
      // protocol), it has no opinion on what follows.
      const tunnel = relayed(raw) ? reading.bytes.toString("latin1", reading.read) : undefined
      return { messages, refused: reading.refused, ended: true, tunnel }
    }
    if (raw.upgrade) {
      // Cut short, or wrong at its very last byte, of which the binding tells nothing (Llhttp.ts).
      return { messages, refused: reading.refused, ended: true, tunnel: undefined }
    }
    if (raw.complete && (message.last || !raw.keepAlive)) {
      return { messages, refused: undefined, ended: true, tunnel: undefined }
    }
  }
  return { messages, refused: reading.refused, ended: false, tunnel: undefined }
}
