/**
 * What belongs to a call, as a step of the Stack: one object per service, made when its policy is
 * compiled. It says which events of a call it wants to be told by having the hook; a call walks the
 * hooks that are there, in the order of the Stack, and knows no step by name.
 *
 *     begin ─► an attempt: sent ─► answered ──────────► judged ─► over
 *                ▲                    └► failed ─► (a wait)  │
 *                └──────────────────────────────────┘
 *
 * What a step keeps of one call stands in a StepSlot. A hook that throws is reported and counts as
 * one that is not there: a mistake in a policy costs that policy, not the call.
 */
import type { Call } from "../../model/Exchange.ts"
import type { Fault } from "../../model/Fault.ts"
import type { Verdict } from "../policy/Classifier.ts"
import type { Pushback } from "../policy/RetryPushback.ts"
import type { EndpointState } from "./EndpointState.ts"
import type { Selection } from "./Selection.ts"
import type { SlotHolder } from "./StepSlot.ts"
import type { Tried } from "./Tried.ts"

/** A limit that has passed. */
export interface PassedLimit {
  /** What was not done within it: `answer`, `finish`, `move a byte`. */
  readonly what: string
  /** Its name, as it stands in the policy. */
  readonly limit: string
  readonly millis: number
  /**
   * Who was late. `nobody`: a caller in a haste of its own, one that does not read its response, and
   * whatever happens in a tunnel say nothing of the endpoint.
   */
  readonly late: "endpoint" | "client" | "nobody"
}

/** An attempt that came to nothing. */
export interface FailedAttempt {
  readonly endpoint: EndpointState
  readonly verdict: Verdict
  /** Value of Retry-After, if it was said. */
  readonly retryAfter: string | undefined
  /** Of a call of gRPC: the status that its caller would be told. */
  readonly grpc?: number | undefined
  /** What its program said about another attempt. */
  readonly pushback?: Pushback | undefined
  /** It is late, and waits on unless another follows. Absent: it is over. */
  readonly waitsOn?: boolean
}

/** A call, as steps see it and what they may do with it. */
export interface CallInFlight extends SlotHolder {
  readonly call: Call
  /** Name of this node. */
  readonly node: string
  /** Something of a response has reached the caller. */
  readonly committed: boolean
  /** The caller takes no more of it for now. */
  readonly callerPaused: boolean
  /** The endpoint has all that has come of the request and takes more: the caller is waited for. */
  readonly awaitsCaller: boolean
  /** When it has to be over, on the ticker's clock; undefined: never. A step may set an earlier one. */
  deadline: number | undefined
  /** Whom the next attempt passes over. */
  tried: Tried<EndpointState> | undefined
  /** Milliseconds since 1970. */
  wall(): number
  /** Endpoints that may get the next attempt. */
  selection(now: number): Selection
  /** Milliseconds of the attempt under way in which its endpoint was waited for. */
  endpointsTime(now: number): number
  /**
   * Calls the step's `due` after so many milliseconds, unless the call is over by then. A step has one
   * timer for a call: another one takes its place.
   */
  after(delay: number, step: CallStep): void
  /** What the step's `after` has begun is not to come. */
  cancelDue(step: CallStep): void
  /** What the step's `begin` has held goes on, with the steps after it. */
  proceed(step: CallStep): void
  /** Ends the call, and tells the caller. */
  limitPassed(passed: PassedLimit): void
  /** Ends the attempt under way: it has failed, and may be followed by another. */
  tryTimedOut(passed: PassedLimit): void
  /** Something worth a span event. */
  event(name: string, attributes?: Readonly<Record<string, string | number | boolean>>): void
}

/** The call waits until the step says `proceed`; its end may come first. */
export const held = "held"

export interface CallStep {
  /** Bytes of a request's body to keep, so that another attempt can be given them. */
  readonly bodyKept?: number
  /** The call is here, and nothing of it is sent. A fault refuses it; steps further in never see it. */
  begin?(call: CallInFlight, now: number): Fault | typeof held | undefined
  /**
   * The endpoint's side has been given all of the request. Once for an attempt, if at all, and once more
   * where that has waited for a link and now has one.
   */
  sent?(call: CallInFlight): void
  /** The attempt is not waited for any more: its head is here, or it failed. */
  answered?(call: CallInFlight, now: number): void
  /** Bytes both ways from now on (a 101). */
  tunnelled?(call: CallInFlight): void
  /** True: that the attempt ended so comes of the caller's side, and says nothing of the endpoint. */
  excuses?(call: CallInFlight, fault: Fault, now: number): boolean
  /**
   * An attempt came to nothing, nothing has reached the caller, and the request can be sent again.
   * Milliseconds: another attempt follows after such a wait. The first step that says so decides.
   */
  failed?(call: CallInFlight, failure: FailedAttempt, now: number): number | undefined
  /**
   * What a call came to of which an attempt was followed by another (most never are); the first
   * verdict is the one that counts.
   */
  judged?(call: CallInFlight, verdict: Verdict, now: number): void
  /** The time of `after` is over. */
  due?(call: CallInFlight, now: number): void
  /** The call is over, however it went and whether or not `begin` was reached: frees what is held. */
  over?(call: CallInFlight): void
}
