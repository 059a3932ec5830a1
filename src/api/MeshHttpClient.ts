/**
 * An `HttpClient` of @effect/platform whose `http://<service>.mesh/…` requests go through the
 * mesh, under the same policies, balancing and telemetry as the proxied traffic of the host. No
 * socket to the own node is involved: the request enters the outbound stack directly.
 *
 * Failures: `RequestError` with reason `Transport`, whose cause is a `MeshFault` with the stable
 * code; `InvalidUrl` for a URL that does not name a service.
 */

import type { HttpClientRequest } from "@effect/platform"
import { HttpClient, HttpClientError, HttpClientResponse } from "@effect/platform"
import { Effect, Layer, Stream } from "effect"
import type { Call, Framing, RequestHead } from "../model/Exchange.ts"
import { noBody, streamBody } from "../model/Exchange.ts"
import { serviceOfAuthority } from "../model/Names.ts"
import { MeshCaller } from "./MeshCaller.ts"
import { exchangeToResponse } from "./WebExchange.ts"

type Body = ReadableStream<Uint8Array> | Uint8Array | undefined

const encoder = new TextEncoder()

/** The request's body as bytes or a stream, with how it is delimited. */
const bodyOf = (
  request: HttpClientRequest.HttpClientRequest
): Effect.Effect<{ readonly body: Body; readonly framing: Framing; readonly type?: string }> => {
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
      return fromWebBody(request.body.body as BodyInit) // "Raw" is by contract what fetch takes
    case "FormData":
      return fromWebBody(request.body.formData)
    case "Stream":
      return Effect.map(Stream.toReadableStreamEffect(request.body.stream), (body) => ({
        body,
        framing: streamBody
      }))
  }
}

/** Lets the platform's own `Response` serialise forms, blobs and parameters, boundary included. */
const fromWebBody = (body: BodyInit) =>
  Effect.sync(() => {
    const web = new Response(body)
    const type = web.headers.get("content-type")
    return {
      body: web.body ?? undefined,
      framing: streamBody,
      ...(type === null ? {} : { type })
    }
  })

/** Fields that describe the connection, not the message; the mesh sets its own. */
const notForwarded = new Set(["host", "content-length", "transfer-encoding", "connection"])

const headOf = (
  request: HttpClientRequest.HttpClientRequest,
  url: URL,
  framing: Framing,
  contentType: string | undefined
): RequestHead => {
  const fields: Array<string> = []
  for (const [name, value] of Object.entries(request.headers)) {
    if (!notForwarded.has(name)) fields.push(name, value)
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
      return Effect.flatMap(bodyOf(request), ({ body, framing, type }) => {
        const call: Call = {
          kind: "http",
          service,
          head: headOf(request, url, framing, type),
          endpoint: undefined,
          caller: caller.peer,
          deadline: undefined,
          attempt: 0
        }
        return Effect.tryPromise({
          try: () => exchangeToResponse(caller.dispatch, call, body, signal),
          catch: (cause) =>
            new HttpClientError.RequestError({ request, reason: "Transport", cause })
        }).pipe(Effect.map((response) => HttpClientResponse.fromWeb(request, response)))
      })
    })
)

/** The mesh as the program's `HttpClient`. */
export const layer: Layer.Layer<HttpClient.HttpClient, never, MeshCaller> = Layer.effect(
  HttpClient.HttpClient,
  make
)
