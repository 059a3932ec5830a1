/**
 * What this node knows of one endpoint beyond what its owner says: kept by key across views, so
 * that a new view costs no endpoint its history, and freed when the endpoint leaves the mesh.
 */
import type { Dispatch } from "../../model/Exchange.ts"
import type { EndpointView } from "../../model/MeshView.ts"
import type { Breaker } from "../policy/Breaker.ts"
import type { EjectionRecord } from "../policy/OutlierEjection.ts"
import type { Score } from "../policy/Score.ts"
import type { Candidate } from "./Candidate.ts"
import type { EndpointCells } from "./PolicyMetrics.ts"

/** Shared by all endpoints of a peer. */
export interface PeerState {
  /** This node's link to it broke. Its own endpoints have no link and are never down. */
  down: boolean
  /** With what has to select anew when the peer is down or up. Without any the peer is forgotten. */
  readonly endpoints: Map<EndpointState, { invalidate(): void }>
}

export class EndpointState implements Candidate {
  readonly key: string
  readonly peer: PeerState
  /** To the endpoint's node: the inbound stack here, or a link there. */
  readonly dispatch: Dispatch
  readonly cells: EndpointCells
  view: EndpointView
  /** The three below are replaced when their part of the policy changes. */
  score: Score
  breaker: Breaker | undefined
  ejection: EjectionRecord | undefined
  inFlight = 0
  readonly first = { credit: 0 }
  readonly retry = { credit: 0 }
  requests = 0
  failures = 0
  /** Left the mesh: nothing is counted under its name any more. */
  gone = false

  constructor(
    view: EndpointView,
    peer: PeerState,
    dispatch: Dispatch,
    cells: EndpointCells,
    score: Score
  ) {
    this.key = view.key
    this.view = view
    this.peer = peer
    this.dispatch = dispatch
    this.cells = cells
    this.score = score
  }

  get weight(): number {
    return this.view.weight
  }

  /** Known to be out of reach: trying it could only fail, though without harm. */
  get unreachable(): boolean {
    return this.peer.down || (this.view.member === "dead" && !this.view.local)
  }

  /** Its owner, or its link, says that it is back: what was held against it is from before. */
  recovered(now: number): void {
    const { breaker, ejection } = this
    breaker?.probeFrom(now)
    if (ejection === undefined) return
    ejection.until = Math.min(ejection.until, now)
    ejection.spared = 0
  }
}
