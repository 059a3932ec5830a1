/**
 * RPC messages as bodies of an exchange: MessagePack values one after the other, as @effect/rpc writes
 * them. A request is one message; an answer is chunks of a stream, if it has one, and then the exit.
 */
import type { FromServerEncoded, RequestEncoded } from "@effect/rpc/RpcMessage"
import * as RpcSerialization from "@effect/rpc/RpcSerialization"
import { type Fields, noFields } from "../model/Exchange.ts"
import { asSection } from "../request/http1/FieldSection.ts"
import { asAnswer, asRequest, type RpcAnswer, type RpcRequest } from "./RpcEnvelope.ts"

export const rpcType = "application/vnd.skein.rpc+msgpack"

/** What every head of an RPC says, there and back: a section, so that it crosses each link once and not per call. */
export const rpcFields: Fields = asSection(["content-type", rpcType]).fields

/** Those, and others. */
export const rpcFieldsWith = (others: Fields): Fields =>
  others.length === 0 ? rpcFields : [...rpcFields, ...others]

/** Of one request, bytes. */
export const requestLimit = 16 * 1024 * 1024

type Parser = RpcSerialization.Parser

/** It remembers what it has met of a body that is not whole. */
const makeParser = (): Parser => RpcSerialization.msgPack.unsafeMake()

const encoder = new TextEncoder()

/** One for all: each message is whole in itself, and to make one costs more than to write most messages. */
const writer = makeParser()

export const encodeMessage = (message: RequestEncoded | FromServerEncoded): Uint8Array => {
  const encoded = writer.encode(message) ?? ""
  return typeof encoded === "string" ? encoder.encode(encoded) : encoded
}

let reader = makeParser()
/** `nil`, which no message is. */
const endMark = new Uint8Array([0xc0])

/**
 * The messages of bytes in which all are whole; undefined: one is not, or is none at all. One that is cut off swallows
 * the mark behind it, so whoever has read the mark has nothing left for the bytes that the reader is given next.
 */
const wholeMessages = (chunks: ReadonlyArray<Uint8Array>): Array<unknown> | undefined => {
  try {
    const messages = reader.decode(Buffer.concat([...chunks, endMark]))
    if (messages.at(-1) === null) return messages.slice(0, -1)
  } catch {
    // What is wrong with it, a parser says that has not met the mark.
  }
  reader = makeParser()
  return undefined
}

/** Undefined: it is no request, or more than one. */
export const decodeRequest = (...body: ReadonlyArray<Uint8Array>): RpcRequest | undefined => {
  const messages = wholeMessages(body)
  return messages?.length === 1 ? asRequest(messages[0]) : undefined
}

const answerOf = (message: unknown): RpcAnswer => {
  const answer = asAnswer(message)
  if (answer === undefined) throw new Error("a message of it is no answer of an RPC")
  return answer
}

/** Reads the answers of one body, which comes in pieces of any kind. */
export class AnswerReader {
  /** None before a message was cut off at the end of a piece. */
  #parser: Parser | undefined

  /** Those that are whole by now. Throws what is wrong with them. */
  read(chunks: ReadonlyArray<Uint8Array>): ReadonlyArray<RpcAnswer> {
    const messages = this.#parser === undefined ? wholeMessages(chunks) : undefined
    if (messages !== undefined) return messages.map(answerOf)
    this.#parser ??= makeParser()
    const parser = this.#parser
    return chunks.flatMap((chunk) => parser.decode(chunk)).map(answerOf)
  }
}

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
  if (traceId === undefined) return noFields
  const text = `00-${traceId}-${spanId}-${sampled === true ? "01" : "00"}`
  return traceparent.test(text) ? ["traceparent", text] : []
}

/** What `traceparent` says: of the node that was the last to trace it. */
export const spanOf = (value: string | undefined): RpcSpan | undefined => {
  const [, traceId, spanId, flags = ""] = traceparent.exec(value ?? "") ?? []
  if (traceId === undefined || spanId === undefined) return undefined
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1 }
}
