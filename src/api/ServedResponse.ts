/**
 * Gives a call the answer that a program's handler has made. The head is written as it would be to a
 * socket and read by the rules for programs (docs/http.md), so that a program without a port can say
 * no more and break no more than one behind an address.
 */
import { STATUS_CODES } from "node:http"
import * as Cookies from "@effect/platform/Cookies"
import * as HttpServerError from "@effect/platform/HttpServerError"
import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import type * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import { Cause, Chunk, Effect, Stream } from "effect"
import type { ResponseHead } from "../model/Exchange.ts"
import { StrictBlocks } from "../request/http1/BlockSource.ts"
import { isFieldValue } from "../request/http1/Characters.ts"
import { checkedLine } from "../request/http1/FieldSyntax.ts"
import { excerpt, Http1Error } from "../request/http1/Http1Error.ts"
import { defaultHttp1Limits } from "../request/http1/Limits.ts"
import { readResponseHead } from "../request/http1/ResponseHeadText.ts"
import { ServedCall } from "./ServedCall.ts"

const blocks = new StrictBlocks(defaultHttp1Limits, "program")

/** They follow from the body. */
const ownFields = new Set(["content-length", "transfer-encoding"])

/** What is to be sent, and how long it is where that is known. */
interface Encoded {
  readonly body: Uint8Array | Stream.Stream<Uint8Array, unknown> | undefined
  readonly length: number | undefined
  readonly type?: string | undefined
}

const encoder = new TextEncoder()
const bytes = (body: Uint8Array): Encoded => ({ body, length: body.length })

const isIterable = (body: unknown): body is AsyncIterable<Uint8Array> =>
  typeof body === "object" && body !== null && Symbol.asyncIterator in body

const iterated = (body: AsyncIterable<Uint8Array>): Encoded => ({
  body: Stream.fromAsyncIterable(body, (cause) => cause),
  length: undefined
})

/** What the platform's own `Response` makes of it: forms and blobs, boundary included. */
const webBody = (body: BodyInit): Encoded => {
  const web = new Response(body)
  const type = web.headers.get("content-type") ?? undefined
  const stream = web.body
  if (stream === null) return { body: undefined, length: 0, type }
  const read = Stream.fromReadableStream(
    () => stream,
    (cause) => cause
  )
  return { body: read, length: undefined, type }
}

const encode = ({ body }: HttpServerResponse.HttpServerResponse): Encoded => {
  switch (body._tag) {
    case "Empty":
      return { body: undefined, length: 0 }
    case "Uint8Array":
      return bytes(body.body)
    case "FormData":
      return webBody(body.formData)
    case "Stream":
      return { body: body.stream, length: body.contentLength }
    case "Raw": {
      const raw = body.body
      if (typeof raw === "string") return bytes(encoder.encode(raw))
      if (raw instanceof Uint8Array) return bytes(raw)
      // "Raw" is by contract what the server at hand takes: here what a web Response does.
      return isIterable(raw) ? iterated(raw) : webBody(raw as BodyInit)
    }
  }
}

const bodiless = new Set([204, 304])

/** Throws Http1Error. */
const headOf = (
  method: string,
  response: HttpServerResponse.HttpServerResponse,
  { length, type }: Encoded
): ResponseHead => {
  const { headers, status } = response
  const reason = response.statusText ?? STATUS_CODES[status] ?? ""
  if (!isFieldValue(reason)) {
    throw new Http1Error("bad_reason", `reason ${excerpt(reason, 0)} has a control character`)
  }
  let text = `HTTP/1.1 ${status} ${reason}\r\n`
  const add = (name: string, value: string): void => {
    text += checkedLine(name, value)
  }
  for (const [name, value] of Object.entries(headers)) {
    if (!ownFields.has(name.toLowerCase())) add(name, value)
  }
  for (const cookie of Cookies.toSetCookieHeaders(response.cookies)) add("set-cookie", cookie)
  if (type !== undefined && headers["content-type"] === undefined) add("content-type", type)
  // An origin with a clock says what it was (RFC 9110 §6.6.1).
  if (headers["date"] === undefined) add("date", new Date().toUTCString())
  if (method === "HEAD") {
    const said = headers["content-length"]
    if (said !== undefined) add("content-length", said)
  } else if (!bodiless.has(status)) {
    if (length === undefined) text += "transfer-encoding: chunked\r\n"
    else add("content-length", String(length))
  }
  return readResponseHead(`${text}\r\n`, method, blocks).head
}

const textOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause))

/** As far as the caller goes on taking it. */
const pour = (
  call: ServedCall,
  stream: Stream.Stream<Uint8Array, unknown>
): Effect.Effect<void, unknown> =>
  Stream.runForEachChunk(stream, (chunk) => {
    let room = true
    for (const part of Chunk.toReadonlyArray(chunk)) room = call.send(part)
    return room ? Effect.void : untilRoom(call)
  })

const untilRoom = (call: ServedCall): Effect.Effect<void> =>
  Effect.async<void>((resume) => {
    const stop = call.room(() => resume(Effect.void))
    return Effect.sync(stop)
  })

/** For `HttpApp.toHandled`. What cannot be answered is a failure, which is answered with a 500. */
export const respond = (
  request: HttpServerRequest.HttpServerRequest,
  response: HttpServerResponse.HttpServerResponse
): Effect.Effect<void, HttpServerError.ResponseError> =>
  Effect.suspend(() => {
    const call = request.source
    if (!(call instanceof ServedCall) || call.over || call.answered) return Effect.void
    const failed = (cause: unknown) =>
      new HttpServerError.ResponseError({
        ...{ request, response, cause },
        reason: "Decode",
        description: textOf(cause)
      })
    let encoded: Encoded
    try {
      encoded = encode(response)
      const head = headOf(call.head.method, response, encoded)
      const owes = call.head.method !== "HEAD" && !bodiless.has(head.status)
      call.answer(head, owes)
      if (!owes) encoded = { body: undefined, length: 0 }
    } catch (cause) {
      return failed(cause)
    }
    const { body } = encoded
    if (body === undefined || body instanceof Uint8Array) {
      if (body !== undefined) call.send(body)
      call.finish()
      return Effect.void
    }
    return pour(call, body).pipe(
      Effect.interruptible,
      Effect.tapErrorCause((cause) =>
        Effect.sync(() =>
          call.fail("upstream_reset", `broke off its answer: ${textOf(Cause.squash(cause))}`)
        )
      ),
      Effect.mapError(failed),
      Effect.zipRight(Effect.sync(() => call.finish()))
    )
  })
