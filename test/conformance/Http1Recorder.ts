/** Drives the readers in tests and writes down what they say, in a form that is easy to compare. */

import type { Fields } from "../../src/model/Exchange.ts"
import type { Http1Limits } from "../../src/request/http1/Limits.ts"
import { type ParsedRequest, RequestReader } from "../../src/request/http1/RequestReader.ts"
import { type ParsedResponse, ResponseReader } from "../../src/request/http1/ResponseReader.ts"

export interface RecordedRequest {
  readonly request: ParsedRequest
  body: string
  /** Undefined while the message has not ended. */
  trailers: Fields | undefined
}

export interface RecordedRequests {
  readonly messages: ReadonlyArray<RecordedRequest>
  /** Rule of the error, if there was one. */
  readonly error: string | undefined
  readonly state: string
  readonly idle: boolean
}

export const latin1 = (text: string): Buffer => Buffer.from(text, "latin1")

/**
 * Feeds the pieces to one reader and asks for the next message after each. CONNECT and upgrades
 * become tunnels when `accept` is true; otherwise the next request follows, as after a refusal.
 */
export const readRequests = (
  pieces: ReadonlyArray<string>,
  options: { accept?: boolean; eof?: boolean; limits?: Http1Limits } = {}
): RecordedRequests => {
  const messages: Array<RecordedRequest> = []
  let error: string | undefined
  const reader: RequestReader = new RequestReader(
    {
      onHead: (request) => {
        if (error !== undefined) throw new Error("onHead after onError")
        messages.push({ request, body: "", trailers: undefined })
        if (reader.state !== "complete") return
        if (options.accept === true) reader.tunnel()
        else reader.next()
      },
      onBody: (chunk) => {
        if (error !== undefined) throw new Error("onBody after onError")
        if (chunk.length === 0) throw new Error("an empty chunk was handed on")
        messages[messages.length - 1]!.body += chunk.toString("latin1")
      },
      onEnd: (trailers) => {
        if (error !== undefined) throw new Error("onEnd after onError")
        messages[messages.length - 1]!.trailers = trailers
        reader.next()
      },
      onError: (failure) => {
        if (error !== undefined) throw new Error("onError twice")
        error = failure.rule
      }
    },
    options.limits
  )
  for (const piece of pieces) reader.feed(latin1(piece))
  if (options.eof === true) reader.eof()
  return { messages, error, state: reader.state, idle: reader.idle }
}

export interface RecordedResponses {
  readonly infos: ReadonlyArray<number>
  readonly responses: ReadonlyArray<{
    readonly response: ParsedResponse
    body: string
    trailers: Fields | undefined
  }>
  readonly error: string | undefined
  readonly state: string
  readonly idle: boolean
}

/** Feeds the pieces; each response is expected, in order, to answer the next of `methods`. */
export const readResponses = (
  methods: ReadonlyArray<string>,
  pieces: ReadonlyArray<string>,
  options: { eof?: boolean; maySwitch?: boolean; limits?: Http1Limits } = {}
): RecordedResponses => {
  const responses: Array<{
    response: ParsedResponse
    body: string
    trailers: Fields | undefined
  }> = []
  const infos: Array<number> = []
  let error: string | undefined
  let asked = 0
  const ask = () => {
    if (asked < methods.length) reader.expect(methods[asked++]!, options.maySwitch)
  }
  const reader: ResponseReader = new ResponseReader(
    {
      onInfo: (head) => infos.push(head.status),
      onHead: (response) => responses.push({ response, body: "", trailers: undefined }),
      onBody: (chunk) => {
        if (chunk.length === 0) throw new Error("an empty chunk was handed on")
        responses[responses.length - 1]!.body += chunk.toString("latin1")
      },
      onEnd: (trailers) => {
        responses[responses.length - 1]!.trailers = trailers
      },
      onError: (failure) => {
        if (error !== undefined) throw new Error("onError twice")
        error = failure.rule
      }
    },
    options.limits
  )
  ask()
  for (const piece of pieces) {
    // The next request is only sent once the connection is known to be idle.
    if (reader.idle) ask()
    reader.feed(latin1(piece))
  }
  if (options.eof === true) reader.eof()
  return { infos, responses, error, state: reader.state, idle: reader.idle }
}

/**
 * What a reader says of the pieces, call by call; content that follows on content is one call, since
 * how it is cut is the network's. Requests are answered at once, upgrades refused.
 */
export const requestCalls = (
  pieces: ReadonlyArray<string>,
  limits?: Http1Limits
): ReadonlyArray<string> => {
  const calls = new Calls()
  const reader: RequestReader = new RequestReader(
    {
      onHead: (request) => {
        calls.add(`head ${JSON.stringify(request)}`)
        if (reader.state === "complete") reader.next()
      },
      onBody: (chunk) => calls.body(chunk),
      onDroppedTrailer: (field) => calls.add(`dropped ${field}`),
      onEnd: (trailers) => {
        calls.add(`end ${JSON.stringify(trailers)}`)
        reader.next()
      },
      onError: (error) => calls.add(`error ${error.rule} ${error.message}`)
    },
    limits
  )
  for (const piece of pieces) reader.feed(latin1(piece))
  reader.eof()
  return calls.all
}

/** As `requestCalls`; one response is expected. */
export const responseCalls = (
  method: string,
  pieces: ReadonlyArray<string>,
  limits?: Http1Limits
): ReadonlyArray<string> => {
  const calls = new Calls()
  const reader = new ResponseReader(
    {
      onInfo: (head) => calls.add(`info ${JSON.stringify(head)}`),
      onHead: (response) => calls.add(`head ${JSON.stringify(response)}`),
      onBody: (chunk) => calls.body(chunk),
      onDroppedTrailer: (field) => calls.add(`dropped ${field}`),
      onEnd: (trailers) => calls.add(`end ${JSON.stringify(trailers)}`),
      onError: (error) => calls.add(`error ${error.rule} ${error.message}`)
    },
    limits
  )
  reader.expect(method)
  for (const piece of pieces) reader.feed(latin1(piece))
  reader.eof()
  return calls.all
}

class Calls {
  readonly all: Array<string> = []

  add(call: string): void {
    this.all.push(call)
  }

  body(chunk: Buffer): void {
    const last = this.all.at(-1)
    if (last?.startsWith("body ")) this.all[this.all.length - 1] = last + chunk.toString("latin1")
    else this.all.push(`body ${chunk.toString("latin1")}`)
  }
}

/** `text` in pieces that end at the given offsets. */
export const split = (text: string, cuts: ReadonlyArray<number>): ReadonlyArray<string> => {
  const offsets = [...new Set(cuts.map((cut) => cut % (text.length + 1)))].sort((a, b) => a - b)
  return [...offsets, text.length].map((end, i) => text.slice(i === 0 ? 0 : offsets[i - 1], end))
}
