/** Answers as they are kept under idempotency keys, and messages as they are kept for reminders: bytes. */
import type * as Rpc from "@effect/rpc/Rpc"
import { Effect, type Exit } from "effect"
import { AnswerReader, decodeRequest, encodeMessage } from "../api/RpcBody.ts"
import { propsOf } from "./ActorProtocol.ts"
import { codecOf } from "./MessageCodec.ts"

type AnyExit = Exit.Exit<unknown, unknown>

export const encodeExit = (
  rpc: Rpc.AnyWithProps,
  exit: AnyExit
): Effect.Effect<Uint8Array, unknown> =>
  Effect.flatMap(codecOf(rpc).encodeExit(exit), (encoded) =>
    Effect.try(() => encodeMessage({ _tag: "Exit", requestId: "0", exit: encoded }))
  )

export const decodeExit = (
  rpc: Rpc.AnyWithProps,
  bytes: Uint8Array
): Effect.Effect<AnyExit, unknown> =>
  Effect.flatMap(
    Effect.try(() => new AnswerReader().read([bytes])),
    ([answer]) =>
      answer?._tag === "Exit"
        ? codecOf(rpc).decodeExit(answer.exit)
        : Effect.fail(new Error(`no answer to ${rpc._tag} is kept in these bytes`))
  )

export const encodePayload = (
  rpc: Rpc.AnyWithProps,
  payload: unknown
): Effect.Effect<Uint8Array, unknown> =>
  Effect.flatMap(codecOf(rpc).encodePayload(payload), (encoded) =>
    Effect.try(() =>
      encodeMessage({
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
    const known = requests.get(request?.tag ?? "")
    if (request === undefined || known === undefined) {
      return Effect.fail(new Error(`there is no message ${request?.tag ?? ""} (any more)`))
    }
    const rpc = propsOf(known)
    return Effect.map(codecOf(rpc).decodePayload(request.payload), (payload) => ({
      ...{ rpc, payload }
    }))
  })
