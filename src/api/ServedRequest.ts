/** A call of the mesh as the `HttpServerRequest` of @effect/platform, like that of its servers. */
import * as Cookies from "@effect/platform/Cookies"
import type * as FileSystem from "@effect/platform/FileSystem"
import * as Headers from "@effect/platform/Headers"
import * as HttpIncomingMessage from "@effect/platform/HttpIncomingMessage"
import type { HttpMethod } from "@effect/platform/HttpMethod"
import * as HttpServerError from "@effect/platform/HttpServerError"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as Multipart from "@effect/platform/Multipart"
import type * as Path from "@effect/platform/Path"
import type * as Socket from "@effect/platform/Socket"
import * as UrlParams from "@effect/platform/UrlParams"
import { Chunk, Effect, Inspectable, Option, type Scope, Stream } from "effect"
import type { Fields } from "../model/Exchange.ts"
import type { ServedCall } from "./ServedCall.ts"
import { servedSocket } from "./ServedSocket.ts"

type Read<A> = Effect.Effect<A, HttpServerError.RequestError>

interface Changed {
  readonly url?: string | undefined
  readonly headers?: Headers.Headers | undefined
  readonly remoteAddress?: string | undefined
}

export class ServedRequest
  extends Inspectable.Class
  implements HttpServerRequest.HttpServerRequest
{
  readonly [HttpServerRequest.TypeId]: HttpServerRequest.TypeId = HttpServerRequest.TypeId
  readonly [HttpIncomingMessage.TypeId]: HttpIncomingMessage.TypeId = HttpIncomingMessage.TypeId
  readonly source: ServedCall
  readonly #changed: Changed
  #headers: Headers.Headers | undefined
  #cookies: Readonly<Record<string, string>> | undefined
  /** Shared by all that `modify` has made of it: a body is there once. */
  readonly #whole: { bytes: Read<Uint8Array> | undefined }

  constructor(
    source: ServedCall,
    changed: Changed = {},
    whole: ServedRequest | undefined = undefined
  ) {
    super()
    this.source = source
    this.#changed = changed
    this.#headers = changed.headers
    this.#whole = whole === undefined ? { bytes: undefined } : whole.#whole
  }

  get url(): string {
    return this.#changed.url ?? this.source.head.target
  }

  get originalUrl(): string {
    return this.source.head.target
  }

  get method(): HttpMethod {
    // As with the platform's own servers: a method that it does not know is one all the same.
    return this.source.head.method.toUpperCase() as HttpMethod
  }

  get headers(): Headers.Headers {
    this.#headers ??= headersOf(this.source)
    return this.#headers
  }

  get cookies(): Readonly<Record<string, string>> {
    this.#cookies ??= Cookies.parseHeader(this.headers["cookie"] ?? "")
    return this.#cookies
  }

  /** Who is behind the caller's node is in `forwarded`, and who calls in `CalledBy`. */
  get remoteAddress(): Option.Option<string> {
    return Option.fromNullable(this.#changed.remoteAddress)
  }

  modify(options: Changed): ServedRequest {
    return new ServedRequest(this.source, { ...this.#changed, ...options }, this)
  }

  get stream(): Stream.Stream<Uint8Array, HttpServerError.RequestError> {
    const part = Effect.async<Chunk.Chunk<Uint8Array>, Option.Option<HttpServerError.RequestError>>(
      (resume) => {
        const stop = this.source.read((part) => {
          if (part.kind === "data") resume(Effect.succeed(Chunk.unsafeFromArray(part.chunks)))
          else if (part.kind === "end") resume(Effect.fail(Option.none()))
          else resume(Effect.fail(Option.some(this.#error({ description: part.reason }))))
        })
        return Effect.sync(stop)
      }
    )
    return Stream.repeatEffectChunkOption(part)
  }

  get text(): Read<string> {
    return Effect.map(this.#bytes, (bytes) => decoder.decode(bytes))
  }

  get json(): Read<unknown> {
    return Effect.flatMap(this.text, (text) =>
      Effect.try({
        try: (): unknown => (text === "" ? null : JSON.parse(text)),
        catch: (cause) => this.#error({ cause })
      })
    )
  }

  get urlParamsBody(): Read<UrlParams.UrlParams> {
    return Effect.map(this.text, (text) => UrlParams.fromInput(new URLSearchParams(text)))
  }

  get arrayBuffer(): Read<ArrayBuffer> {
    return Effect.map(this.#bytes, (bytes) => new Uint8Array(bytes).buffer)
  }

  get multipart(): Effect.Effect<
    Multipart.Persisted,
    Multipart.MultipartError,
    Scope.Scope | FileSystem.FileSystem | Path.Path
  > {
    return Multipart.toPersisted(this.multipartStream)
  }

  get multipartStream(): Stream.Stream<Multipart.Part, Multipart.MultipartError> {
    return this.stream.pipe(
      Stream.mapError((cause) => new Multipart.MultipartError({ reason: "InternalError", cause })),
      Stream.pipeThroughChannel(Multipart.makeChannel(this.headers))
    )
  }

  get upgrade(): Effect.Effect<Socket.Socket, HttpServerError.RequestError> {
    return Effect.suspend(() => {
      const { source } = this
      if (source.head.upgrade?.toLowerCase() !== "websocket") {
        return this.#error({ description: "the request does not ask for a WebSocket" })
      }
      return source.maySwitch
        ? Effect.flatMap(HttpIncomingMessage.MaxBodySize, (size) =>
            servedSocket(source, headersOf(source), Option.map(size, Number))
          )
        : this.#error({ description: "its caller takes no WebSocket any more" })
    })
  }

  override toString(): string {
    return `ServedRequest(${this.method} ${this.url})`
  }

  toJSON(): unknown {
    return HttpIncomingMessage.inspect(this, {
      _id: "@effect/platform/HttpServerRequest",
      method: this.method,
      url: this.originalUrl
    })
  }

  /** Made when it is asked for: most requests have no body. */
  get #bytes(): Read<Uint8Array> {
    this.#whole.bytes ??= Effect.runSync(Effect.cached(this.#collect))
    return this.#whole.bytes
  }

  get #collect(): Read<Uint8Array> {
    return Effect.flatMap(HttpIncomingMessage.MaxBodySize, (size) => {
      const limit = Option.match(size, { onNone: () => Number.POSITIVE_INFINITY, onSome: Number })
      let length = 0
      return this.stream.pipe(
        Stream.tap((chunk) => {
          length += chunk.length
          if (length <= limit) return Effect.void
          return this.#error({ description: `the body is longer than ${limit} bytes` })
        }),
        Stream.runCollect,
        Effect.map((chunks) => Buffer.concat(Chunk.toReadonlyArray(chunks)))
      )
    })
  }

  #error(why: {
    readonly description?: string
    readonly cause?: unknown
  }): HttpServerError.RequestError {
    return new HttpServerError.RequestError({ request: this, reason: "Decode", ...why })
  }
}

const decoder = new TextDecoder()

/** Several of one name are one, as with servers on a socket. */
const headersOf = ({ head, told }: ServedCall): Headers.Headers => {
  const headers: Record<string, string> = {}
  const add = (fields: Fields): void => {
    for (let i = 0; i < fields.length; i += 2) {
      const name = (fields[i] ?? "").toLowerCase()
      const value = fields[i + 1] ?? ""
      const before = headers[name]
      const between = name === "cookie" ? "; " : ", "
      headers[name] = before === undefined ? value : `${before}${between}${value}`
    }
  }
  add(["host", head.authority])
  if (head.upgrade !== undefined) add(["connection", "upgrade", "upgrade", head.upgrade])
  add(head.fields)
  if (head.framing.kind === "length") headers["content-length"] = String(head.framing.length)
  if (head.framing.kind === "stream") headers["transfer-encoding"] = "chunked"
  add(told)
  return Headers.unsafeFromRecord(headers)
}
