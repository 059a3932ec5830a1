/** Answers as they are kept under idempotency keys, and messages as they are kept for reminders: bytes. */
import * as Rpc from "@effect/rpc/Rpc"
import { Effect, type Exit, Schema } from "effect"
import { decodeAnswers, decodeRequest, encodeMessage, makeParser } from "../api/RpcBody.ts"

type AnyExit = Exit.Exit<unknown, unknown>
type EncodedExit = Schema.ExitEncoded<unknown, unknown, unknown>

/** What an RPC's Schemas need is in the context of the type's layer, in which all of this runs. */
const exitSchemaOf = (rpc: Rpc.AnyWithProps): Schema.Schema<AnyExit, EncodedExit> =>
  Rpc.exitSchema(rpc as unknown as Rpc.Any) as unknown as Schema.Schema<AnyExit, EncodedExit>

export const encodeExit = (
  rpc: Rpc.AnyWithProps,
  exit: AnyExit
): Effect.Effect<Uint8Array, unknown> =>
  Effect.flatMap(Schema.encode(exitSchemaOf(rpc))(exit), (encoded) =>
    Effect.try(() => encodeMessage(makeParser(), { _tag: "Exit", requestId: "0", exit: encoded }))
  )

export const decodeExit = (
  rpc: Rpc.AnyWithProps,
  bytes: Uint8Array
): Effect.Effect<AnyExit, unknown> =>
  Effect.flatMap(
    Effect.try(() => decodeAnswers(makeParser(), bytes)),
    ([answer]) =>
      answer?._tag === "Exit"
        ? Schema.decodeUnknown(exitSchemaOf(rpc))(answer.exit)
        : Effect.fail(new Error(`no answer to ${rpc._tag} is kept in these bytes`))
  )

const payloadSchemaOf = (rpc: Rpc.AnyWithProps): Schema.Schema<unknown, unknown> =>
  rpc.payloadSchema as unknown as Schema.Schema<unknown, unknown>

export const encodePayload = (
  rpc: Rpc.AnyWithProps,
  payload: unknown
): Effect.Effect<Uint8Array, unknown> =>
  Effect.flatMap(Schema.encode(payloadSchemaOf(rpc))(payload), (encoded) =>
    Effect.try(() =>
      encodeMessage(makeParser(), {
        ...{ _tag: "Request", id: "0", tag: rpc._tag, headers: [] },
        payload: encoded
      } as const)
    )
  )

export interface RemindedMessage {
  readonly rpc: Rpc.AnyWithProps
  readonly payload: unknown
}

/** Which message it is, and with what. */
export const decodePayload = (
  requests: ReadonlyMap<string, Rpc.Any>,
  bytes: Uint8Array
): Effect.Effect<RemindedMessage, unknown> =>
  Effect.suspend(() => {
    const request = decodeRequest(bytes)
    const rpc = requests.get(request?.tag ?? "") as Rpc.AnyWithProps | undefined
    if (request === undefined || rpc === undefined) {
      return Effect.fail(new Error(`there is no message ${request?.tag ?? ""} (any more)`))
    }
    return Effect.map(Schema.decodeUnknown(payloadSchemaOf(rpc))(request.payload), (payload) => ({
      ...{ rpc, payload }
    }))
  })
