/** What an actor in memory needs of who runs it, and what that one may know of it. */
import type { Cause, Effect, Exit, Fiber } from "effect"
import type { RestartPolicy } from "../mesh/actor/RestartPolicy.ts"
import type { ActorAddress } from "./ActorAddress.ts"
import type { ActorMemory, Saver } from "./ActorMemory.ts"
import type { LastError } from "./ActorStats.ts"
import type { Delivery } from "./Delivery.ts"
import type { Handed } from "./HandedState.ts"
import type { Moved } from "./Message.ts"

/** What an actor's life is made of, once it has begun. */
export interface Life {
  /** Puts the message to its handler, and calls back with what that came to; maybe at once. */
  readonly handle: (delivery: Delivery, then: HandledThen) => void
  /** A failure is the crash that has ended it. */
  readonly close: (exit: Exit.Exit<unknown, unknown>) => Effect.Effect<void>
}

export type HandledThen = (exit: Exit.Exit<unknown, unknown>) => void

/** Activation.ts says how they follow each other. */
export type ActivationPhase = "closing" | "failed" | "gone" | "ready" | "resting" | "starting"

/** An actor in memory, as its host and its lives see it. */
export interface LivingActor extends Saver {
  readonly address: ActorAddress
  /** What it keeps, and has to save. Undefined: nothing. */
  memory: ActorMemory | undefined
  /** Stays in memory when idle. */
  kept: boolean
  /** Its shard goes elsewhere. */
  readonly leaving: boolean
  /** Those of its life now, by type and name. */
  children: Map<string, LivingChild> | undefined
  /** Its life ends here, and the next one begins as after any crash. */
  readonly crash: (cause: Cause.Cause<unknown>) => void
  /** On what it has crashed last, since it came into memory. */
  lastError: LastError | undefined
}

/** A child of an actor, as that one sees it. */
export interface LivingChild {
  readonly idle: boolean
  /** It ends at once, and saves nothing. */
  readonly abandonAll: (why: StoppedBy) => void
}

/** What all actors of a type have in common. */
export interface ActivationHost {
  readonly concurrency: number
  readonly mailbox: number
  /** Any message may be handled while the actor waits for what the same chain of messages comes to. */
  readonly reentrant: boolean
  readonly restarts: RestartPolicy
  /** Has the program build its handlers. Interrupted, it leaves nothing behind. */
  readonly begin: (actor: LivingActor) => Effect.Effect<Life>
  /** Begins at once, and may call back before it has returned. */
  readonly fork: <A, E>(
    effect: Effect.Effect<A, E>,
    then: (exit: Exit.Exit<A, E>) => void
  ) => Fiber.RuntimeFiber<A, E>
  readonly after: (millis: number, then: () => void) => void
  /** Milliseconds. */
  readonly now: () => number
  /** In [0, 1). */
  readonly random: () => number
  readonly moved: (shard: number) => Moved
  /** Nothing is begun in a shard while that is not certain to be this host's. */
  readonly mayBegin: (shard: number) => boolean
  /** Is what was read there still true? */
  readonly mayAnswer: (shard: number) => boolean
  /** A life of it has begun. */
  readonly started: (actor: LivingActor) => void
  /** It has crashed, and begins again after so many milliseconds. */
  readonly crashed: (actor: LivingActor, cause: Cause.Cause<unknown>, next: CrashNews) => void
  /** Its saves are refused: another host has its shard. */
  readonly fenced: (actor: LivingActor) => void
  /** What stops here because its shard goes elsewhere gives its state to who has it then. */
  readonly gives: boolean
  readonly give: (actor: LivingActor, handed: Handed) => void
  /** It has crashed instead, and what it had saved stays with this host. */
  readonly notGiven: (actor: LivingActor) => void
  /** Nothing is left of it in memory. */
  readonly gone: (actor: LivingActor) => void
}

/** Why it is ended before it has saved: its lease is lost, or whose child it is has crashed. */
export type StoppedBy = "not_leased" | "stopped"

export interface CrashNews {
  /** `newer`: no life begins here, for a later release has saved what this one cannot read. */
  readonly kind: "escalate" | "newer" | "restart"
  readonly delay: number
}
