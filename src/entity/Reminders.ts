/**
 * What an actor is to be told later, whatever happens meanwhile: a message of its own, kept in the store and
 * saved with the state, so that both are there or neither. It comes at least once, and is dealt with when
 * what it has changed is saved.
 */
import * as Headers from "@effect/platform/Headers"
import type * as Rpc from "@effect/rpc/Rpc"
import type * as RpcGroup from "@effect/rpc/RpcGroup"
import { Duration, Effect, Exit, type Scope } from "effect"
import { isChild } from "./ActorAddress.ts"
import type { ActorHost } from "./ActorHost.ts"
import { propsOf } from "./ActorProtocol.ts"
import { CurrentActivation } from "./CurrentActivation.ts"
import { decodePayload, encodePayload, type RemindedMessage } from "./KeptAnswer.ts"
import type { ActorStoreShape, DueReminder, ReminderPlace } from "./store/ActorStore.ts"

/** When a reminder falls due. */
export type ReminderTime = { readonly after: Duration.DurationInput } | { readonly at: Date }

export interface Reminders<R extends Rpc.Any> {
  /** By its name: another one by that name is replaced. It is there when the message that sets it is saved. */
  readonly set: <Tag extends R["_tag"]>(
    name: string,
    when: ReminderTime,
    tag: Tag,
    payload: Rpc.PayloadConstructor<Rpc.ExtractTag<R, Tag>>
  ) => Effect.Effect<void>
  readonly cancel: (name: string) => Effect.Effect<void>
}

/** Of the actor in which it is asked for. */
export const remindersOf = <R extends Rpc.Any>(
  protocol: RpcGroup.RpcGroup<R>
): Effect.Effect<Reminders<R>, never, CurrentActivation> =>
  Effect.filterOrDieMessage(
    CurrentActivation,
    ({ memory }) => !isChild(memory.actor),
    "the child of an actor has no reminders, for only its parent begins it: have those of the parent"
  ).pipe(
    Effect.map(({ memory }) => ({
      set: (name, when, tag, payload) => {
        const rpc = propsOf(protocol.requests.get(tag)!)
        const { payloadSchema } = rpc
        const made = "make" in payloadSchema ? (payloadSchema.make as Make)(payload) : payload
        return Effect.map(Effect.orDie(encodePayload(rpc, made)), (bytes) =>
          memory.remind({
            name,
            payload: bytes,
            when:
              "at" in when ? { at: when.at.getTime() } : { after: Duration.toMillis(when.after) }
          })
        )
      },
      cancel: (name) => Effect.sync(() => memory.cancelReminder(name))
    }))
  )

type Make = (payload: unknown) => unknown

export interface ReminderLoopOptions {
  readonly host: ActorHost
  readonly requests: ReadonlyMap<string, Rpc.Any>
  readonly store: ActorStoreShape
  /** Shards whose actors are this host's to remind. */
  readonly shards: () => ReadonlyArray<number>
  /** Calls back when those have changed; returns how to stop. */
  readonly onShards: (then: () => void) => () => void
}

/** Reminders that are told at a time, for one type: a page of those that are due. */
const limit = 256
/** Told and not dealt with; further ones wait. */
const maxTold = 65_536
/** Of those that cannot be told so many are named in the log. */
const maxNamed = 256
/** Milliseconds: the store is looked at that often, though nothing seems due. */
const longestPause = 30_000
/** And no more often than this, so that one that cannot be dealt with is not told all the time. */
const shortestPause = 1_000

/** Tells a type's actors what they have asked for, until the scope closes. */
export const remind = (options: ReminderLoopOptions): Effect.Effect<void, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { host, onShards, requests, shards, store } = options
    /** Told, and not dealt with yet. */
    const told = new Set<string>()
    const named = new Set<string>()
    /**
     * Where the last page ended, if it was full. Those that are due are gone through, page by page and then anew: those
     * that cannot be told, or are not dealt with, hold up nobody.
     */
    let place: ReminderPlace | undefined
    let isDue = false
    let wake = (): void => {
      isDue = true
    }
    host.onReminder = () => wake()
    const stop = onShards(() => wake())
    yield* Effect.addFinalizer(() => Effect.sync(stop))

    const tell = (reminder: DueReminder): Effect.Effect<void> => {
      const { actor, due, name, payload } = reminder
      const key = JSON.stringify([actor.id, name, due])
      if (told.has(key) || told.size >= maxTold) return Effect.void
      const deliver = (message: RemindedMessage): void => {
        told.add(key)
        const over = () => void told.delete(key)
        host.deliver(actor.id, {
          ...message,
          headers: Headers.empty,
          ...{ caller: undefined, parent: undefined, key: undefined },
          reminder: { due, name },
          replies: { part: () => Effect.void, exit: over, refuse: over }
        })
      }
      return decodePayload(requests, payload).pipe(
        Effect.flatMap((message) => Effect.sync(() => deliver(message))),
        Effect.catchAll((cause) => {
          if (named.has(key) || named.size >= maxNamed) return Effect.void
          named.add(key)
          const further = named.size === maxNamed ? "; further ones are not named" : ""
          return Effect.logWarning(
            `the reminder ${name} of ${host.type}/${actor.id} cannot be told: this release does not know its message, or not as it was written. It stays, until a release that does${further}`,
            cause
          )
        })
      )
    }

    const look = Effect.gen(function* () {
      isDue = false
      const mine = shards().map((index) => ({ type: host.type, index }))
      if (mine.length === 0) return longestPause
      const answer = yield* Effect.exit(store.reminders(mine, limit, place))
      if (Exit.isFailure(answer)) return longestPause / 6
      const { due } = answer.value
      yield* Effect.forEach(due, tell, { discard: true })
      const wasFurther = place !== undefined
      place = due.length === limit ? due.at(-1) : undefined
      if (wasFurther || place !== undefined) return shortestPause
      return Math.min(longestPause, Math.max(shortestPause, answer.value.next ?? longestPause))
    })
    const paused = (millis: number): Effect.Effect<void> =>
      Effect.raceFirst(
        Effect.sleep(millis),
        Effect.async<void>((resume) => {
          wake = () => resume(Effect.void)
          if (isDue) wake()
        })
      ).pipe(
        Effect.zipRight(
          Effect.sync(() => {
            wake = () => {
              isDue = true
            }
          })
        )
      )
    yield* Effect.forkScoped(Effect.interruptible(Effect.forever(Effect.flatMap(look, paused))))
  })
