/**
 * A message with an idempotency key: carried out once, and answered the same again. What was answered to one
 * message is no answer to another; and what one caller has been answered is nobody else's, unless the type
 * says that all who may send the message share its keys.
 */
import { createHash } from "node:crypto"
import type * as Rpc from "@effect/rpc/Rpc"
import { Cause, Deferred, Effect, Exit, FiberId } from "effect"
import { formatCaller } from "../model/Caller.ts"
import type { ActorAddress } from "./ActorAddress.ts"
import { ActorUnavailable } from "./ActorError.ts"
import type { ActorMemory } from "./ActorMemory.ts"
import type { Delivery } from "./Delivery.ts"
import { decodeExit, encodeExit } from "./KeptAnswer.ts"
import type { Message } from "./Message.ts"
import { storeLimits } from "./store/ActorStore.ts"

/** Under this header a message has its key. */
export const keyHeader = "idempotency-key"

/** What is wrong with a key that somebody sends, if something is. */
export const keyProblem = (key: string | undefined): string | undefined =>
  key === undefined || (key.length > 0 && key.length <= storeLimits.key)
    ? undefined
    : `${keyHeader} has ${key.length} characters; it is to have 1 to ${storeLimits.key}`

/** Whose the keys are: each caller's own, or of all who may send the message. */
export type KeyScope = "caller" | "message"

/** Under which the answer is kept: whose key it is, and for what. Of one length, whatever those are. */
const nameOf = ({ caller, key, rpc }: Message, scope: KeyScope): string => {
  // A word that no caller's name is.
  const whose = scope === "message" ? "*" : caller === undefined ? "" : formatCaller(caller)
  return createHash("sha256")
    .update(JSON.stringify([whose, rpc._tag, key]))
    .digest("base64url")
}

/** Messages whose handlers have begun, by the names of their keys: at most as many as run at a time. */
export type KeysInWork = Map<string, Deferred.Deferred<void>>

export interface AnsweredOnce {
  readonly delivery: Delivery
  readonly address: ActorAddress
  readonly memory: ActorMemory
  readonly inWork: KeysInWork
  readonly scope: KeyScope
  readonly handler: Effect.Effect<unknown, unknown>
}

/** Who sends the same while it is carried out waits for that, and has its answer. */
export const answeredOnce = (options: AnsweredOnce): Effect.Effect<unknown, unknown> => {
  const { delivery, handler, inWork, memory, scope } = options
  const { rpc } = delivery.message
  const name = nameOf(delivery.message, scope)
  const begin = Effect.suspend(() => {
    const done = Deferred.unsafeMake<void>(FiberId.none)
    inWork.set(name, done)
    return Effect.ensuring(
      kept(handler, rpc, (result) => memory.answered(name, result)),
      Effect.suspend(() => {
        inWork.delete(name)
        return Deferred.succeed(done, undefined)
      })
    )
  })
  const look: Effect.Effect<unknown, unknown> = Effect.suspend(() => {
    const bytes = memory.answerTo(name)
    if (bytes !== undefined) return again(options, rpc, bytes)
    const before = inWork.get(name)
    return before === undefined ? begin : Effect.zipRight(Deferred.await(before), look)
  })
  return Effect.zipRight(Effect.orDie(memory.ready), look)
}

/** Keeps what the handler comes to, if that is an answer. */
const kept = (
  handler: Effect.Effect<unknown, unknown>,
  rpc: Rpc.AnyWithProps,
  keep: (result: Uint8Array) => void
): Effect.Effect<unknown, unknown> =>
  Effect.flatMap(Effect.exit(handler), (exit) => {
    const isAnswer =
      Exit.isSuccess(exit) || !(Cause.isDie(exit.cause) || Cause.isInterrupted(exit.cause))
    if (!isAnswer) return exit
    return Effect.flatMap(Effect.orDie(encodeExit(rpc, exit)), (result) => {
      keep(result)
      return exit
    })
  })

/** What was kept by a release with other Schemas may be none of this one's answers: its caller is told so. */
const again = (
  { address, delivery }: AnsweredOnce,
  rpc: Rpc.AnyWithProps,
  bytes: Uint8Array
): Effect.Effect<unknown, unknown> =>
  Effect.flatMap(Effect.exit(decodeExit(rpc, bytes)), (decoded) => {
    if (Exit.isSuccess(decoded)) return decoded.value
    const cause = Cause.squash(decoded.cause)
    const what = `has answered ${rpc._tag} under that key, and the answer cannot be read`
    delivery.refuse(ActorUnavailable.of("answer_unreadable", address, what, { sent: true, cause }))
    return Effect.void
  })
