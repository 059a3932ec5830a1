/** Which statements are worth hearing, judged against a snapshot before the actor has its turn. Pure. */
import type { Moment } from "../actor/Behaviour.ts"
import type { MembershipOptions } from "./MembershipOptions.ts"
import type { MembershipState } from "./MembershipState.ts"
import { applyAlive, applySuspect, isAhead, mayAccuse } from "./MemberTable.ts"
import type { Statement } from "./Statement.ts"

/** Would it change what we believe? Then it is worth passing on. */
export const isNews = (
  state: MembershipState,
  statement: Statement,
  bytes: Uint8Array,
  options: MembershipOptions,
  { now, wall }: Pick<Moment, "now" | "wall">
): boolean => {
  const { subject, incarnation } = statement
  if (statement.kind === "alive") {
    return subject === state.self
      ? incarnation > state.incarnation
      : applyAlive(state, subject, incarnation, bytes, now, wall) !== state
  }
  return subject === state.self
    ? incarnation === state.incarnation && mayAccuse(state, statement.by, subject)
    : applySuspect(state, { ...statement, bytes }, options.suspicion, now, wall) !== state
}

/** An accusation that says more than we know: worth a question, but not believed. */
export const isUnknown = (state: MembershipState, statement: Statement, now: number): boolean =>
  statement.kind === "suspect" &&
  now >= state.denials.askAt &&
  (statement.subject === state.self
    ? statement.incarnation > state.incarnation
    : isAhead(state, statement))
