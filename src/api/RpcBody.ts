/**
 * RPC messages as bodies of an exchange: MessagePack values one after the other, as @effect/rpc writes
 * them. A request is one message; an answer is chunks of a stream, if it has one, and then the exit.
 */
import type { FromServerEncoded, RequestEncoded } from "@effect/rpc/RpcMessage"
import * as RpcSerialization from "@effect/rpc/RpcSerialization"
import { Option, Schema } from "effect"
import type { Fields } from "../model/Exchange.ts"

export const rpcType = "application/vnd.skein.rpc+msgpack"

/** Of one request, bytes. */
export const requestLimit = 16 * 1024 * 1024

export type RpcParser = RpcSerialization.Parser

/** Of one body each: it remembers what it has met of it. */
export const makeParser = (): RpcParser => RpcSerialization.msgPack.unsafeMake()

const encoder = new TextEncoder()

export const encodeMessage = (
  parser: RpcParser,
  message: RequestEncoded | FromServerEncoded
): Uint8Array => {
  const encoded = parser.encode(message) ?? ""
  return typeof encoded === "string" ? encoder.encode(encoded) : encoded
}

const Request = Schema.Struct({
  _tag: Schema.Literal("Request"),
  id: Schema.String,
  tag: Schema.String,
  payload: Schema.Unknown,
  headers: Schema.Array(Schema.Tuple(Schema.String, Schema.String)),
  traceId: Schema.optional(Schema.String),
  spanId: Schema.optional(Schema.String),
  sampled: Schema.optional(Schema.Boolean)
})
const asRequest = Schema.decodeUnknownOption(Request)

/** Undefined: it is no request, or more than one. */
export const decodeRequest = (body: Uint8Array): typeof Request.Type | undefined => {
  try {
    const [message, ...more] = makeParser().decode(body)
    return more.length > 0 ? undefined : Option.getOrUndefined(asRequest(message))
  } catch {
    return undefined
  }
}

const Answer = Schema.Union(
  Schema.Struct({
    _tag: Schema.Literal("Chunk"),
    requestId: Schema.String,
    values: Schema.NonEmptyArray(Schema.Unknown)
  }),
  // What it holds is for the RPC's own Schemas to say.
  Schema.Struct({ _tag: Schema.Literal("Exit"), requestId: Schema.String, exit: Schema.Unknown })
)
export type RpcAnswer = typeof Answer.Type
const asAnswer = Schema.decodeUnknownSync(Answer)

/** Those that are whole by now. Throws what is wrong with them. */
export const decodeAnswers = (parser: RpcParser, bytes: Uint8Array): ReadonlyArray<RpcAnswer> =>
  parser.decode(bytes).map((message) => asAnswer(message))

const traceparent = /^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/

export interface RpcSpan {
  readonly traceId: string
  readonly spanId: string
  readonly sampled: boolean
}

/** As the next one along the way is told of it. */
export const spanFields = ({
  sampled,
  spanId,
  traceId
}: Pick<RequestEncoded, "sampled" | "spanId" | "traceId">): Fields => {
  const text = `00-${traceId}-${spanId}-${sampled === true ? "01" : "00"}`
  return traceparent.test(text) ? ["traceparent", text] : []
}

/** What `traceparent` says: of the node that was the last to trace it. */
export const spanOf = (value: string | undefined): RpcSpan | undefined => {
  const [, traceId, spanId, flags = ""] = traceparent.exec(value ?? "") ?? []
  if (traceId === undefined || spanId === undefined) return undefined
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1 }
}
