/**
 * A message that an actor's client sends, and who hears of its answer: an object each, of a class. Copies of literals, and a
 * closure for each that may be heard, were a quarter of all the garbage of a message.
 */
import * as Headers from "@effect/platform/Headers"
import type * as Rpc from "@effect/rpc/Rpc"
import * as RpcClient from "@effect/rpc/RpcClient"
import { Effect, Exit, Tracer } from "effect"
import type { ActorFailure, Outgoing } from "./Actors.ts"
import { keyHeader, keyProblem } from "./AnsweredOnce.ts"
import type { OpenCall } from "./Delivery.ts"
import { deadlineHeader } from "./Message.ts"

export interface CallOptions {
  readonly asMailbox?: boolean | undefined
  readonly streamBufferSize?: number | undefined
  readonly headers?: Headers.Input | undefined
  readonly discard?: boolean | undefined
}

export type Fiber = Parameters<Parameters<typeof Effect.withFiberRuntime<unknown, unknown>>[0]>[0]

/** What all messages of an RPC have in common. */
export interface SentRpc {
  readonly rpc: Rpc.AnyWithProps
  readonly isIdempotent: boolean
  readonly make: ((payload: unknown) => unknown) | undefined
}

export class OutgoingMessage implements Outgoing {
  readonly rpc: Rpc.AnyWithProps
  readonly isIdempotent: boolean
  readonly payload: unknown
  readonly headers: Headers.Headers
  readonly caller = undefined
  readonly parent: Outgoing["parent"]
  readonly key: string | undefined
  readonly deadline: number | undefined
  readonly tells: boolean
  readonly replies: Outgoing["replies"]
  readonly #open: OpenCall | undefined

  constructor(
    { isIdempotent, make, rpc }: SentRpc,
    fiber: Fiber,
    payload: unknown,
    { discard = false, headers }: CallOptions,
    replies: Outgoing["replies"],
    open: OpenCall | undefined
  ) {
    const said = fiber.getFiberRef(RpcClient.currentHeaders)
    const all = headers === undefined ? said : Headers.merge(said, Headers.fromInput(headers))
    const deadline = all[deadlineHeader]
    this.rpc = rpc
    this.isIdempotent = isIdempotent
    this.payload = make === undefined ? payload : make(payload)
    this.headers = all
    // By its key it is a span.
    this.parent = fiber.currentContext.unsafeMap.get(Tracer.ParentSpan.key)
    this.key = keyOf(all[keyHeader])
    this.deadline = deadline === undefined ? undefined : millisOf(deadline)
    this.tells = discard
    this.replies = replies
    this.#open = open
  }

  get chain(): Outgoing["chain"] {
    return this.#open?.chain
  }

  get circle(): Outgoing["circle"] {
    const open = this.#open
    return open === undefined ? undefined : () => open.delivery.circle
  }
}

export type HeardReplies = Outgoing["replies"]

/** Of the message that an actor sends while it handles another one, and waits for. */
export class ChainedReplies implements HeardReplies {
  readonly #replies: HeardReplies
  readonly #open: OpenCall

  constructor(replies: HeardReplies, open: OpenCall) {
    this.#replies = replies
    this.#open = open
  }

  accepted(): void {
    this.#replies.accepted?.()
  }

  part(values: Parameters<HeardReplies["part"]>[0]): Effect.Effect<void> {
    return this.#replies.part(values)
  }

  circle(circle: string | undefined): void {
    const { delivery } = this.#open
    if (circle === undefined) delivery.lostCircle()
    else delivery.foundCircle(circle)
  }

  exit(exit: Exit.Exit<unknown, unknown>): void {
    this.#open.end()
    this.#replies.exit(exit)
  }

  fail(failure: ActorFailure): void {
    this.#open.end()
    this.#replies.fail(failure)
  }
}

export class AwaitedAnswer implements HeardReplies {
  readonly #tells: boolean
  #resume: ((answer: Effect.Effect<unknown, unknown>) => void) | undefined
  /** What has come before `begin` has been told whom to resume. */
  #answer: Effect.Effect<unknown, unknown> | undefined
  /**
   * Dropped as soon as it is over. V8 keeps something of an effect that waits until the whole heap is collected;
   * through how to cancel it that held all of the message, and each held the next.
   */
  #cancel: (() => void) | undefined

  constructor(tells: boolean) {
    this.#tells = tells
  }

  begin(resume: (answer: Effect.Effect<unknown, unknown>) => void, cancel: () => void): void {
    if (this.#answer !== undefined) {
      resume(this.#answer)
      return
    }
    this.#resume = resume
    this.#cancel = cancel
  }

  accepted(): void {
    if (this.#tells) this.#over(Effect.void)
  }

  part(): Effect.Effect<void> {
    return Effect.void
  }

  exit(exit: Exit.Exit<unknown, unknown>): void {
    this.#over(exit)
  }

  fail(failure: ActorFailure): void {
    this.#over(Effect.fail(failure))
  }

  /** Its caller waits no longer: gives it up, if it was interrupted. */
  left(exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> {
    const cancel = this.#cancel
    return cancel !== undefined && Exit.isInterrupted(exit) ? Effect.sync(cancel) : Effect.void
  }

  #over(answer: Effect.Effect<unknown, unknown>): void {
    const resume = this.#resume
    this.#resume = undefined
    this.#cancel = undefined
    if (resume !== undefined) resume(answer)
    else this.#answer ??= answer
  }
}

const keyOf = (key: string | undefined): string | undefined => {
  const problem = keyProblem(key)
  if (problem !== undefined) throw new Error(problem)
  return key
}

const millisOf = (text: string): number => {
  const millis = Number(text)
  if (Number.isFinite(millis) && millis > 0) return millis
  throw new Error(`${deadlineHeader} is ${JSON.stringify(text)}, and has to be a number above 0`)
}
