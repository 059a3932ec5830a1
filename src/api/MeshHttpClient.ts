/**
 * An `HttpClient` of @effect/platform whose `http://<service>.mesh/…` requests go through the
 * mesh, under the same policies, balancing and telemetry as the proxied traffic of the host. No
 * socket to the own node is involved: the request enters the outbound stack directly.
 *
 * Failures: `RequestError` with reason `Transport`, whose message and cause, a `MeshFault`, say with
 * a stable code why the mesh ended the call; `InvalidUrl` for a URL that does not name a service;
 * `Encode` for what a client of the proxy could not send either. A body that breaks off is a
 * `ResponseError` with the same cause. `isMeshError` tells the mesh's failures from others:
 *
 *     Effect.catchIf(MeshHttpClient.isMeshError, ({ cause }) => instead(cause.code))
 */

import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientError from "@effect/platform/HttpClientError"
import type * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import { Effect, Layer, Stream } from "effect"
import { hostCaller } from "../model/Caller.ts"
import {
  type Call,
  type Fields,
  type Framing,
  fieldValue,
  noBody,
  streamBody
} from "../model/Exchange.ts"
import { NodeName, serviceOfAuthority } from "../model/Names.ts"
import { clientHead } from "./ClientHead.ts"
import { MeshCaller } from "./MeshCaller.ts"
import { MeshResponse } from "./MeshResponse.ts"
import { exchangeToAnswer, type RequestBody } from "./WebExchange.ts"

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

const headOf = (
  request: HttpClientRequest.HttpClientRequest,
  url: URL
): Effect.Effect<ReturnType<typeof clientHead>, HttpClientError.RequestError> =>
  Effect.try({
    try: () => clientHead(request, url),
    catch: (cause) =>
      encodeError(request, {
        description: cause instanceof Error ? cause.message : String(cause),
        cause
      })
  })

/** What the body turned out to be, unless the program has said. */
const withType = (fields: Fields, type: string | undefined): Fields =>
  type === undefined || fieldValue(fields, "content-type") !== undefined
    ? fields
    : [...fields, "content-type", type]

export const make: Effect.Effect<HttpClient.HttpClient, never, MeshCaller> = Effect.map(
  MeshCaller,
  (caller) => {
    const identity = caller.identity ?? hostCaller(NodeName.make(caller.peer))
    return HttpClient.make((request, url, signal) => {
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
      return Effect.flatMap(Effect.all([headOf(request, url), bodyOf(request)]), (parts) => {
        const [{ call: said, head }, { body, framing, type }] = parts
        const call: Call = {
          kind: "http",
          service,
          head: { ...head, fields: withType(head.fields, type), framing },
          endpoint: undefined,
          caller: caller.peer,
          identity,
          deadline: said?.deadline,
          attempt: said?.attempt ?? 0
        }
        return Effect.tryPromise({
          try: () => exchangeToAnswer(caller.dispatch, call, body, signal),
          catch: (cause) => transportError(request, cause)
        }).pipe(Effect.map((answer) => new MeshResponse(request, answer)))
      })
    })
  }
)

/** The mesh as the program's `HttpClient`. */
export const layer: Layer.Layer<HttpClient.HttpClient, never, MeshCaller> = Layer.effect(
  HttpClient.HttpClient,
  make
)
