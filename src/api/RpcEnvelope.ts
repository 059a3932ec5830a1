/**
 * What stands around the parts of an RPC that its own Schemas read: told from anything else by hand, since a Schema
 * of it would take longer than all the rest of a small message.
 */

export interface RpcRequest {
  readonly _tag: "Request"
  readonly id: string
  readonly tag: string
  readonly payload: unknown
  readonly headers: ReadonlyArray<readonly [string, string]>
  readonly traceId?: string | undefined
  readonly spanId?: string | undefined
  readonly sampled?: boolean | undefined
}

export type RpcAnswer =
  | {
      readonly _tag: "Chunk"
      readonly requestId: string
      readonly values: readonly [unknown, ...ReadonlyArray<unknown>]
    }
  /** What it holds is for the RPC's own Schemas to say. */
  | { readonly _tag: "Exit"; readonly requestId: string; readonly exit: unknown }

/** Undefined: it is none. A payload that is not there is `undefined`, as of an RPC that has none. */
export const asRequest = (message: unknown): RpcRequest | undefined => {
  if (!isRecord(message) || message["_tag"] !== "Request") return undefined
  const { headers, id, payload, sampled, spanId, tag, traceId } = message
  if (typeof id !== "string" || typeof tag !== "string" || !isPairs(headers)) return undefined
  if (!isText(traceId) || !isText(spanId)) return undefined
  if (sampled !== undefined && typeof sampled !== "boolean") return undefined
  return { _tag: "Request", id, tag, payload, headers, traceId, spanId, sampled }
}

/** Undefined: it is none. */
export const asAnswer = (message: unknown): RpcAnswer | undefined => {
  if (!isRecord(message) || typeof message["requestId"] !== "string") return undefined
  const { exit, requestId, values } = message
  switch (message["_tag"]) {
    case "Chunk":
      return isSome(values) ? { _tag: "Chunk", requestId, values } : undefined
    case "Exit":
      return { _tag: "Exit", requestId, exit }
    default:
      return undefined
  }
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null

const isText = (value: unknown): value is string | undefined =>
  value === undefined || typeof value === "string"

const isSome = (value: unknown): value is [unknown, ...Array<unknown>] =>
  Array.isArray(value) && value.length > 0

const isPair = (value: unknown): value is [string, string] =>
  Array.isArray(value) &&
  value.length === 2 &&
  typeof value[0] === "string" &&
  typeof value[1] === "string"

const isPairs = (value: unknown): value is ReadonlyArray<[string, string]> =>
  Array.isArray(value) && value.every(isPair)
