/** Membership as people see it. */
import type { NodeName, PeerKey } from "../../model/Names.ts"
import type { MembershipState } from "./MembershipState.ts"
import type { MemberState } from "./MemberTable.ts"

/** One line of `skein members`. */
export interface MemberView {
  readonly peer: PeerKey
  readonly name: NodeName
  readonly state: MemberState
  readonly incarnation: number
  /** Wall clock, ms, when this node came to believe it. */
  readonly since: number
  /** Who watches it. */
  readonly observers: ReadonlyArray<PeerKey>
}

/** This node first. `own`: its name and start. */
export const memberViews = (
  { self, incarnation, members, ring }: MembershipState,
  own: Pick<MemberView, "name" | "since">
): ReadonlyArray<MemberView> => [
  { ...own, peer: self, state: "alive", incarnation, observers: ring.observersOf(self) },
  ...members.values().map(({ peer, name, zone, state, incarnation, since }) => {
    const observers = state === "left" ? [] : ring.observersOf(peer, zone)
    return { peer, name, state, incarnation, since, observers }
  })
]
