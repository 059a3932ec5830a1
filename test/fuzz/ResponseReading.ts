/** Responses as our reader and as llhttp understand them: all of them answer one method. */

import type { ResponseHead } from "../../src/model/Exchange.ts"
import { ResponseReader } from "../../src/request/http1/ResponseReader.ts"
import { readLaxly } from "./Laxer.ts"
import type { After, RawMessage } from "./Llhttp.ts"
import { fieldLines, HopFields, type Message, type Reading } from "./Reading.ts"

interface HeadParts {
  readonly status: number
  readonly reason: string
  readonly keepAlive: boolean
  readonly body: string
  readonly fields: ReadonlyArray<string>
}

const headText = ({ status, reason, keepAlive, body, fields }: HeadParts): string =>
  `${status} ${reason} ${keepAlive ? "keep" : "close"} ${body}\n${fieldLines(fields)}`

export const responsesByUs = (method: string, pieces: ReadonlyArray<Buffer>): Reading => {
  const messages: Array<Message> = []
  let refused: string | undefined
  let ended = false
  let tunnel: string | undefined
  const add = (head: ResponseHead, keepAlive: boolean, body: string, complete: boolean) => {
    const { status, reason, fields } = head
    messages.push({
      head: headText({ status, reason, keepAlive, body, fields }),
      body: "",
      trailers: "",
      complete,
      last: !keepAlive
    })
  }
  const reader: ResponseReader = new ResponseReader({
    onInfo: (head) => add(head, true, "none", true),
    onHead: (response) => {
      const { head, keepAlive, body } = response
      const said = body === "length" && head.framing.kind === "length" ? head.framing.length : ""
      const nothing = body === "none" || said === 0
      add(head, keepAlive, nothing ? "none" : `${body}${said}`, body === "tunnel")
      if (body === "tunnel") tunnel = ""
    },
    onBody: (chunk) => {
      if (tunnel === undefined) messages.at(-1)!.body += chunk.toString("latin1")
      else tunnel += chunk.toString("latin1")
    },
    onEnd: (trailers) => {
      const message = messages.at(-1)!
      message.complete = true
      message.trailers = fieldLines(trailers)
      // As a pool does: the next request goes out on what is kept alive, and else nothing.
      ended = message.last
    },
    onError: (error) => {
      refused = error.rule
    }
  })
  reader.expect(method)
  for (const piece of pieces) {
    if (reader.state === "complete" && !ended) reader.expect(method)
    if (ended) break
    reader.feed(piece)
  }
  reader.eof()
  return { messages, refused, ended, tunnel }
}

const hasNothing = (method: string, status: number): boolean =>
  method === "HEAD" || status < 200 || status === 204 || status === 304

const isTunnel = (method: string, raw: RawMessage): boolean =>
  raw.status === 101 || (method === "CONNECT" && raw.status >= 200 && raw.status < 300)

/** What node:http's own client tells llhttp about the request that is answered. */
const afterOf = (method: string, raw: RawMessage): After =>
  isTunnel(method, raw) ? "tunnel" : hasNothing(method, raw.status) ? "nothing" : "body"

const messageOf = (method: string, raw: RawMessage): Message => {
  const hop = new HopFields(raw.fields, "response")
  const tunnel = isTunnel(method, raw)
  const nothing = hasNothing(method, raw.status)
  const bare = raw.status < 200 || raw.status === 204
  const untilClose = !nothing && !hop.chunked && hop.length === -1
  const body = tunnel
    ? "tunnel"
    : nothing || hop.length === 0
      ? "none"
      : hop.chunked
        ? "chunked"
        : untilClose
          ? "until_close"
          : `length${hop.length}`
  const interim = raw.status < 200 && !tunnel
  const keepAlive =
    interim ||
    (!tunnel &&
      !untilClose &&
      !hop.close &&
      (raw.minor === 1 || hop.keepAlive) &&
      // A length where none can be: more may come, so the connection is not used again.
      !(bare && (hop.chunked || hop.length > 0)))
  return {
    head: headText({
      status: raw.status,
      reason: raw.reason,
      keepAlive,
      body,
      fields: hop.fields
    }),
    body: raw.body,
    trailers: fieldLines(hop.trailers(raw.trailers)),
    complete: tunnel || raw.complete,
    last: !keepAlive
  }
}

export const responsesByLlhttp = (method: string, bytes: Buffer): Reading => {
  const reading = readLaxly("response", bytes, (raw) => afterOf(method, raw))
  const messages: Array<Message> = []
  for (const raw of reading.messages) {
    const message = messageOf(method, raw)
    messages.push(message)
    if (isTunnel(method, raw)) {
      const tunnel = reading.bytes.toString("latin1", reading.read)
      return { messages, refused: undefined, ended: true, tunnel }
    }
    if (raw.complete && (message.last || !raw.keepAlive)) {
      return { messages, refused: undefined, ended: true, tunnel: undefined }
    }
  }
  return { messages, refused: reading.refused, ended: false, tunnel: undefined }
}
