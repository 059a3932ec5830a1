/**
 * HTTP to an admin address, over TCP or a unix socket: one connection per request, answers of at
 * most 64 MiB. Not fetch, which knows no sockets and refuses some ports; and little, because every
 * command waits for it to load.
 */
import { request as httpRequest, type IncomingMessage } from "node:http"
import * as HttpClient from "@effect/platform/HttpClient"
import { RequestError } from "@effect/platform/HttpClientError"
import * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import { Effect } from "effect"
import type { AdminAddress } from "../config/HostPort.ts"

const maxAnswer = 64 * 1024 * 1024

const readAll = (response: IncomingMessage, done: (body: Buffer | Error) => void): void => {
  const chunks: Array<Buffer> = []
  let size = 0
  response.on("data", (chunk: Buffer) => {
    size += chunk.length
    if (size > maxAnswer)
      response.destroy(new Error(`the answer is longer than ${maxAnswer} bytes`))
    else chunks.push(chunk)
  })
  response.on("end", () => done(Buffer.concat(chunks)))
  response.on("error", done)
}

/** Statuses that a Response may not have a body with. */
const bodyless: ReadonlySet<number> = new Set([204, 205, 304])

export const adminTransport = (address: AdminAddress): HttpClient.HttpClient =>
  HttpClient.make((request, url) =>
    Effect.async<HttpClientResponse.HttpClientResponse, RequestError>((resume) => {
      const fail = (cause: unknown) =>
        resume(Effect.fail(new RequestError({ request, reason: "Transport", cause })))
      const target =
        "path" in address
          ? { socketPath: address.path }
          : { host: address.host, port: address.port }
      const outgoing = httpRequest(
        {
          ...target,
          method: request.method,
          path: `${url.pathname}${url.search}`,
          headers: { ...request.headers, host: url.host },
          agent: false
        },
        (response) =>
          readAll(response, (body) => {
            if (body instanceof Error) return fail(body)
            const status = response.statusCode ?? 0
            const headers = new Headers()
            for (const [name, value] of Object.entries(response.headers)) {
              if (value !== undefined) headers.set(name, String(value))
            }
            const web = new Response(bodyless.has(status) ? null : new Uint8Array(body), {
              status,
              headers
            })
            resume(Effect.succeed(HttpClientResponse.fromWeb(request, web)))
          })
      )
      outgoing.on("error", fail)
      const { body } = request
      if (body._tag === "Uint8Array") outgoing.end(body.body)
      else outgoing.end() // the API's only other body is none
      return Effect.sync(() => outgoing.destroy())
    })
  )
