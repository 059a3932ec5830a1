/** What is sent to an actor, and how its answer comes back, wherever the sender is. */
import type { Headers } from "@effect/platform/Headers"
import type * as Rpc from "@effect/rpc/Rpc"
import * as RpcSchema from "@effect/rpc/RpcSchema"
import type { Effect, Exit } from "effect"
import type { NonEmptyReadonlyArray } from "effect/Array"
import type { AnySpan } from "effect/Tracer"
import type { Caller } from "../model/Caller.ts"
import type { ActorUnavailable, MailboxFull } from "./ActorError.ts"
import type { CallChain } from "./CallChain.ts"
import type { DueReminder } from "./store/ActorStore.ts"

/** Under this header a message has the milliseconds it may take. */
export const deadlineHeader = "skein-deadline"

/** The actor's shard is not here (any more): whoever sent it looks where it is now. Nothing was done. */
export interface Moved {
  readonly _tag: "Moved"
  /** Where it is, as this host sees it: key of an endpoint. */
  readonly owner: string | undefined
}

/** What stands in place of an answer. */
export type Refusal = ActorUnavailable | MailboxFull | Moved

/** Exactly one of `exit` and `refuse` is called, once; nothing is after a cancel. */
export interface Replies {
  /** The actor has it: it waits in the mailbox, or is begun. Comes before the others, if it comes to that. */
  readonly accepted?: () => void
  /** Of a stream. Done when there is room for more. */
  readonly part: (values: NonEmptyReadonlyArray<unknown>) => Effect.Effect<void>
  /** What the handler came to: its answer, its failure, its defect. What it changed is saved. */
  readonly exit: (exit: Exit.Exit<unknown, unknown>) => void
  readonly refuse: (refusal: Refusal) => void
  /**
   * What is waited for waits for itself: `Cart/a → Stock/b → Cart/a`. Maybe never answered, and maybe all the same.
   * Undefined: it does not any more.
   */
  readonly circle?: ((circle: string | undefined) => void) | undefined
}

export interface Message {
  readonly rpc: Rpc.AnyWithProps
  /** As its Schema has decoded it. */
  readonly payload: unknown
  readonly headers: Headers
  /** For whom it was sent, where the mesh has carried it or the sender said so. */
  readonly caller: Caller | undefined
  readonly parent: AnySpan | undefined
  /** Carried out once, however often it is sent: by its key. */
  readonly key: string | undefined
  /** Its sender has been answered when it has come, and nobody is there to be told to look elsewhere. */
  readonly told?: boolean | undefined
  /** Of the messages that wait for this one; undefined: no actor does. */
  readonly chain?: CallChain | undefined
  /** It is one that the actor has asked for: dealt with when what it changes is saved. */
  readonly reminder?: Pick<DueReminder, "due" | "name"> | undefined
  readonly replies: Replies
}

/** A stream cannot be given again, so keys mean nothing there. */
export const isKeyed = ({ key, rpc }: Pick<Message, "key" | "rpc">): boolean =>
  key !== undefined && !RpcSchema.isStreamSchema(rpc.successSchema)
