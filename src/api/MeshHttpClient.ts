/**
 * An `HttpClient` of @effect/platform whose `http://<service>.mesh/…` requests go through the
 * mesh, under the same policies, balancing and telemetry as the proxied traffic of the host. No
 * socket to the own node is involved: the request enters the outbound stack directly.
 *
 * Failures: `RequestError` with reason `Transport`, whose message and cause, a `MeshFault`, say with
 * a stable code why the mesh ended the call; `InvalidUrl` for a URL that does not name a service;
 * `Encode` for what HTTP/1.1 cannot carry, such as a line break in a header. A body that breaks off
 * is a `ResponseError` with the same cause. `isMeshError` tells the mesh's failures from others:
 *
 *     Effect.catchIf(MeshHttpClient.isMeshError, ({ cause }) => instead(cause.code))
 */

import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientError from "@effect/platform/HttpClientError"
import type * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import { Effect, Layer, Stream } from "effect"
import {
  type CallFields,
  isCallField,
  takeCallField,
  takeGrpcTimeout
} from "../http1/CallFields.ts"
import { unsafePart } from "../http1/Encode.ts"
import type { Call, Framing, RequestHead } from "../model/Exchange.ts"
import { noBody, streamBody } from "../model/Exchange.ts"
import { serviceOfAuthority } from "../model/Names.ts"
import { MeshCaller } from "./MeshCaller.ts"
import { MeshResponse } from "./MeshResponse.ts"
import { exchangeToResponse, type RequestBody } from "./WebExchange.ts"

export { isMeshError } from "./MeshFault.ts"

interface EncodedBody {
  readonly body: RequestBody
  readonly framing: Framing
  readonly type?: string
}

const encoder = new TextEncoder()

/** The request's body as bytes or a stream, with how it is delimited. */
const bodyOf = (
  request: HttpClientRequest.HttpClientRequest
): Effect.Effect<EncodedBody, HttpClientError.RequestError> => {
  const bytes = (body: Uint8Array) => ({
    body,
    framing: { kind: "length", length: body.length } as const
  })
  switch (request.body._tag) {
    case "Empty":
      return Effect.succeed({ body: undefined, framing: noBody })
    case "Uint8Array":
      return Effect.succeed(bytes(request.body.body))
    case "Raw":
      if (typeof request.body.body === "string") {
        return Effect.succeed(bytes(encoder.encode(request.body.body)))
      }
      if (request.body.body instanceof Uint8Array) return Effect.succeed(bytes(request.body.body))
      return fromWebBody(request, request.body.body as BodyInit) // "Raw" is by contract what fetch takes
    case "FormData":
      return fromWebBody(request, request.body.formData)
    case "Stream":
      return Effect.map(Stream.toReadableStreamEffect(request.body.stream), (body) => ({
        body,
        framing: streamBody
      }))
  }
}

const encodeError = (
  request: HttpClientRequest.HttpClientRequest,
  problem: { readonly description: string; readonly cause?: unknown }
) => new HttpClientError.RequestError({ request, reason: "Encode", ...problem })

/** What ended the exchange is in the message too, for those that only print it. */
const transportError = (request: HttpClientRequest.HttpClientRequest, cause: unknown) =>
  new HttpClientError.RequestError({
    request,
    reason: "Transport",
    cause,
    description: cause instanceof Error ? cause.message : String(cause)
  })

/** Lets the platform's own `Response` serialise forms, blobs and parameters, boundary included. */
const fromWebBody = (
  request: HttpClientRequest.HttpClientRequest,
  body: BodyInit
): Effect.Effect<EncodedBody, HttpClientError.RequestError> =>
  Effect.try({
    try: () => {
      const web = new Response(body)
      const type = web.headers.get("content-type")
      return {
        body: web.body ?? undefined,
        framing: web.body === null ? noBody : streamBody,
        ...(type === null ? {} : { type })
      }
    },
    // A stream that was read before, most likely by an earlier attempt.
    catch: (cause) => encodeError(request, { description: "the body cannot be sent", cause })
  })

/** What the program says of its call, as a client of the proxy does: `skein-deadline` and others. */
const callFieldsOf = (
  request: HttpClientRequest.HttpClientRequest
): Effect.Effect<CallFields | undefined, HttpClientError.RequestError> =>
  Effect.try({
    try: () => {
      let said: CallFields | undefined
      for (const [name, value] of Object.entries(request.headers)) {
        const lower = name.toLowerCase()
        if (isCallField(lower)) said = takeCallField(said, lower, value)
        else if (lower === "grpc-timeout") said = takeGrpcTimeout(said, value)
      }
      return said
    },
    catch: (cause) => encodeError(request, { description: String(cause), cause })
  })

/** Fields that describe the connection, not the message; the mesh sets its own, as fetch does. */
const notForwarded = new Set([
  "connection",
  "content-length",
  "expect",
  "host",
  "keep-alive",
  "proxy-connection",
  "transfer-encoding",
  "upgrade"
])

const headOf = (
  request: HttpClientRequest.HttpClientRequest,
  url: URL,
  framing: Framing,
  contentType: string | undefined
): RequestHead => {
  const fields: Array<string> = []
  for (const [name, value] of Object.entries(request.headers)) {
    const lower = name.toLowerCase()
    if (!notForwarded.has(lower) && !isCallField(lower)) fields.push(name, value)
  }
  if (contentType !== undefined && request.headers["content-type"] === undefined) {
    fields.push("content-type", contentType)
  }
  return {
    method: request.method,
    target: `${url.pathname}${url.search}`,
    authority: url.host,
    fields,
    framing,
    upgrade: undefined,
    expectsContinue: false
  }
}

export const make: Effect.Effect<HttpClient.HttpClient, never, MeshCaller> = Effect.map(
  MeshCaller,
  (caller) =>
    HttpClient.make((request, url, signal) => {
      const service = url.protocol === "http:" ? serviceOfAuthority(url.host) : undefined
      if (service === undefined) {
        return Effect.fail(
          new HttpClientError.RequestError({
            request,
            reason: "InvalidUrl",
            description: `${url.href} does not name a service; write http://<service>.mesh/…`
          })
        )
      }
      const unsafe = unsafePart(headOf(request, url, noBody, undefined))
      if (unsafe !== undefined) {
        return Effect.fail(
          encodeError(request, {
            description: `${unsafe} cannot be sent: it has a line break, another control character or one outside Latin-1`
          })
        )
      }
      return Effect.flatMap(Effect.all([callFieldsOf(request), bodyOf(request)]), (parts) => {
        const [said, { body, framing, type }] = parts
        const call: Call = {
          kind: "http",
          service,
          head: headOf(request, url, framing, type),
          endpoint: undefined,
          caller: caller.peer,
          deadline: said?.deadline,
          attempt: said?.attempt ?? 0
        }
        return Effect.tryPromise({
          try: () => exchangeToResponse(caller.dispatch, call, body, signal),
          catch: (cause) => transportError(request, cause)
        }).pipe(Effect.map((response) => new MeshResponse(request, response)))
      })
    })
)

/** The mesh as the program's `HttpClient`. */
export const layer: Layer.Layer<HttpClient.HttpClient, never, MeshCaller> = Layer.effect(
  HttpClient.HttpClient,
  make
)
