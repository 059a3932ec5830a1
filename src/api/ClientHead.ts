/**
 * The head of a program's request. It is written as a client would write it to the proxy's socket
 * and read by the rules for clients, so that a program in this process can say, send and break no
 * more than one behind a socket: `skein-*`, what concerns a connection, limits (docs/http.md).
 */
import type * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import { StrictBlocks } from "../request/http1/BlockSource.ts"
import { checkedLine } from "../request/http1/FieldSyntax.ts"
import { Http1Error } from "../request/http1/Http1Error.ts"
import { defaultHttp1Limits } from "../request/http1/Limits.ts"
import { type ParsedRequest, readRequestHead } from "../request/http1/RequestHeadText.ts"

/** Not the program's to say, as with fetch: they follow from its URL and its body. */
const ownFields = new Set(["content-length", "expect", "host", "transfer-encoding"])

const blocks = new StrictBlocks(defaultHttp1Limits, "client")

/** Without a body and an upgrade, which a head alone cannot have here. Throws Http1Error. */
export const clientHead = (
  request: HttpClientRequest.HttpClientRequest,
  url: URL
): Pick<ParsedRequest, "call" | "head"> => {
  let text = `${request.method} ${url.pathname}${url.search} HTTP/1.1\r\nhost: ${url.host}\r\n`
  for (const [name, value] of Object.entries(request.headers)) {
    const line = checkedLine(name, value)
    if (!ownFields.has(name.toLowerCase())) text += line
  }
  const { headBytes } = defaultHttp1Limits
  if (text.length + 2 > headBytes) {
    throw new Http1Error("head_bytes", `the head is longer than ${headBytes} bytes`)
  }
  const { call, head } = readRequestHead(`${text}\r\n`, blocks, defaultHttp1Limits)
  return { call, head: { ...head, upgrade: undefined } }
}
