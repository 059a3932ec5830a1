/**
 * What belongs to an endpoint, as a step of the Stack: one object per service, which makes a guard
 * for each endpoint. A guard says which events of an attempt it wants to be told by having the hook;
 * attempts walk the hooks that are there, in the order of the Stack, and know no guard by name.
 *
 *     admit ─► answered ─► settled, or abandoned ─► closed
 *
 * An attempt ends with the guards it began with, whatever becomes of the policy meanwhile. What a
 * guard keeps of one attempt stands in a StepSlot. A hook that throws is reported and counts as one
 * that is not there.
 */
import type { Fault } from "../../model/Fault.ts"
import type { EndpointView } from "../../model/MeshView.ts"
import type { Breaker, CircuitNews } from "../policy/Breaker.ts"
import type { Verdict } from "../policy/Classifier.ts"
import type { EjectionNews, EjectionRecord } from "../policy/OutlierEjection.ts"
import type { Score } from "../policy/Score.ts"
import type { SlotHolder } from "./StepSlot.ts"

/** An endpoint, as steps see it. */
export interface GuardedEndpoint {
  readonly key: string
  readonly view: EndpointView
  /** Attempts under way, this one included. */
  readonly inFlight: number
  /** Left the mesh: nothing is counted under its name any more. */
  readonly gone: boolean
  /** What the balancers, Selection and people read; each is put there by its step. */
  score: Score
  breaker: Breaker | undefined
  ejection: EjectionRecord | undefined
}

/** An attempt, as guards see it. */
export interface GuardedAttempt extends SlotHolder {
  /** Monotonic milliseconds. */
  readonly startedAt: number
  /** What the head of its response said; undefined before. */
  readonly answer: Verdict | undefined
  /** Set by a guard that waits for its verdict: it is given at the head, if that can be. */
  probing: boolean
  /** Something worth a span event. */
  event(name: string): void
}

/**
 * What a guard has found out that its likes in other threads of the node have to know. Times are
 * monotonic milliseconds of this thread.
 */
export type EndpointFact =
  | { readonly kind: "circuit"; readonly news: CircuitNews }
  | { readonly kind: "ejection"; readonly news: EjectionNews }

export interface EndpointStep {
  /** An endpoint is there, or the step is new to it. */
  enter(endpoint: GuardedEndpoint): EndpointGuard
}

/**
 * Why an attempt has no verdict: nobody wants its response, a node on the way had no room, or there is
 * no link to the endpoint's node, which takes all its endpoints out until there is one again.
 */
export type Abandonment = "unwanted" | "no_room" | "link_lost"

export interface EndpointGuard {
  /**
   * An attempt was given this endpoint, and nothing is sent. A fault refuses it, as if a node on the
   * way had said so (`overflow`: it is held against nobody); guards further in never see it.
   */
  admit?(attempt: GuardedAttempt, now: number): Fault | undefined
  /** The head is here, with what it says. How the response will end is not known yet. */
  answered?(attempt: GuardedAttempt, verdict: Verdict, now: number): void
  /** Its one verdict. */
  settled?(attempt: GuardedAttempt, verdict: Verdict, now: number): void
  /** It is over without one. */
  abandoned?(attempt: GuardedAttempt, now: number, why: Abandonment): void
  /** It is over: frees what `admit` took. Once for each that was admitted. */
  closed?(attempt: GuardedAttempt): void
  /** The endpoint's owner, or its link, says that it is back: what is held against it is from before. */
  recovered?(now: number): void
  /** Its like in another thread has found this out. Not to be told again. */
  learn?(fact: EndpointFact, now: number): void
  /** The endpoint left the mesh, or its policy has no such step any more. Attempts may still end. */
  leave?(): void
}
