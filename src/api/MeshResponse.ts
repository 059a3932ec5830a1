/**
 * A response whose body may break off on its way through the mesh. Whoever reads it is told why by
 * the error's message, as by that of a call that had no response at all.
 */
import type * as Cookies from "@effect/platform/Cookies"
import type * as Headers from "@effect/platform/Headers"
import * as HttpClientError from "@effect/platform/HttpClientError"
import type * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as HttpIncomingMessage from "@effect/platform/HttpIncomingMessage"
import type * as UrlParams from "@effect/platform/UrlParams"
import { Effect, Inspectable, type Option, Stream } from "effect"
import type { MeshAnswer } from "./MeshAnswer.ts"
import { MeshFault } from "./MeshFault.ts"

type Read<A> = Effect.Effect<A, HttpClientError.ResponseError>

export class MeshResponse
  extends Inspectable.Class
  implements HttpClientResponse.HttpClientResponse
{
  readonly [HttpClientResponse.TypeId]: HttpClientResponse.TypeId = HttpClientResponse.TypeId
  readonly [HttpIncomingMessage.TypeId]: HttpIncomingMessage.TypeId = HttpIncomingMessage.TypeId
  readonly #response: HttpClientResponse.HttpClientResponse

  constructor(request: HttpClientRequest.HttpClientRequest, answer: MeshAnswer) {
    super()
    // It has what is asked of one (MeshAnswer.ts).
    this.#response = HttpClientResponse.fromWeb(request, answer as unknown as Response)
  }

  get request(): HttpClientRequest.HttpClientRequest {
    return this.#response.request
  }

  get status(): number {
    return this.#response.status
  }

  get headers(): Headers.Headers {
    return this.#response.headers
  }

  get cookies(): Cookies.Cookies {
    return this.#response.cookies
  }

  get remoteAddress(): Option.Option<string> {
    return this.#response.remoteAddress
  }

  get text(): Read<string> {
    return Effect.mapError(this.#response.text, this.#told)
  }

  get json(): Read<unknown> {
    return Effect.mapError(this.#response.json, this.#told)
  }

  get urlParamsBody(): Read<UrlParams.UrlParams> {
    return Effect.mapError(this.#response.urlParamsBody, this.#told)
  }

  get formData(): Read<FormData> {
    return Effect.mapError(this.#response.formData, this.#told)
  }

  get arrayBuffer(): Read<ArrayBuffer> {
    return Effect.mapError(this.#response.arrayBuffer, this.#told)
  }

  get stream(): Stream.Stream<Uint8Array, HttpClientError.ResponseError> {
    return Stream.mapError(this.#response.stream, this.#told)
  }

  toJSON(): unknown {
    return this.#response.toJSON()
  }

  readonly #told = (error: HttpClientError.ResponseError): HttpClientError.ResponseError => {
    const { cause, reason, request } = error
    if (!(cause instanceof MeshFault)) return error
    return new HttpClientError.ResponseError({
      request,
      response: this,
      reason,
      cause,
      description: cause.message
    })
  }
}
