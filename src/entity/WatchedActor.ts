/**
 * An actor, watched from wherever it is: the host that it belongs to tells what happens, and when that is
 * another one, that one is asked next. It ends when a host is lost.
 */
import * as Headers from "@effect/platform/Headers"
import { Effect, Exit, Mailbox, Option, Stream } from "effect"
import { MeshFault } from "../api/MeshFault.ts"
import { type ActorEvent, watchRpc } from "./ActorEvent.ts"
import type { ActorFailure, Actors, ActorType } from "./Actors.ts"

/** Events that wait for who watches; the host keeps as many, and then the oldest are missing. */
const waiting = 16

export const watchActor = (
  actors: Pick<Actors["Type"], "send">,
  type: ActorType,
  id: string
): Stream.Stream<ActorEvent, ActorFailure> => {
  const toldHere = toldBy(actors, type, id)
  return Stream.suspend(() => {
    let mayGoOn = true
    // One host after the other, for as long as somebody watches.
    const hosts = Stream.repeatEffectOption(
      Effect.suspend(() => (mayGoOn ? Effect.void : Effect.fail(Option.none())))
    )
    return Stream.flatMap(hosts, () => {
      // What this host has told, so far.
      let host: string | undefined
      let last: ActorEvent | undefined
      mayGoOn = false
      const told = Stream.tap(toldHere, (event) =>
        Effect.sync(() => {
          if (event._tag === "Watching") host = event.host
          last = event
          mayGoOn = event._tag === "Moved"
        })
      )
      return Stream.catchAll(told, (failure) => {
        // It has told all that it had to tell: how it ends is no news.
        if (last?._tag === "Moved") return Stream.empty
        if (host === undefined || !(failure instanceof MeshFault)) return Stream.fail(failure)
        // A limit of the service's policy for how long a call may take or be silent is no news of the actor's.
        mayGoOn = failure.code === "upstream_timeout"
        if (mayGoOn) return Stream.empty
        return Stream.succeed<ActorEvent>({ _tag: "Lost", host, message: failure.message })
      })
    })
  })
}

/** What one host tells, until it has no more to tell. */
const toldBy = (
  actors: Pick<Actors["Type"], "send">,
  type: ActorType,
  id: string
): Stream.Stream<ActorEvent, ActorFailure> =>
  Stream.unwrapScoped(
    Effect.gen(function* () {
      const mailbox = yield* Mailbox.make<ActorEvent, ActorFailure>(waiting)
      yield* Effect.acquireRelease(
        Effect.sync(() =>
          actors.send(type, id, {
            ...{ rpc: watchRpc, payload: undefined, headers: Headers.empty, isIdempotent: false },
            ...{ caller: undefined, parent: undefined, key: undefined, deadline: undefined },
            tells: false,
            replies: {
              // By its Schema, at the host or on the way.
              part: (events) =>
                Effect.asVoid(mailbox.offerAll(events as ReadonlyArray<ActorEvent>)),
              exit: (exit) =>
                mailbox.unsafeDone(Exit.isFailure(exit) ? Exit.die(exit.cause) : Exit.void),
              fail: (failure) => mailbox.unsafeDone(Exit.fail(failure))
            }
          })
        ),
        (cancel) => Effect.sync(cancel)
      )
      return Mailbox.toStream(mailbox)
    })
  )
