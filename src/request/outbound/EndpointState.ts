/**
 * What this node knows of one endpoint beyond what its owner says: kept by key across views, so
 * that a new view costs no endpoint its history, and freed when the endpoint leaves the mesh.
 */
import type { Dispatch } from "../../model/Exchange.ts"
import type { EndpointView } from "../../model/MeshView.ts"
import type { Breaker } from "../policy/Breaker.ts"
import type { EjectionRecord } from "../policy/OutlierEjection.ts"
import { Score } from "../policy/Score.ts"
import type { Candidate } from "./Candidate.ts"
import { EndpointGuards } from "./EndpointGuards.ts"
import type { EndpointStep, GuardedEndpoint } from "./EndpointStep.ts"
import type { EndpointCells } from "./PolicyMetrics.ts"
import { usualScore } from "./ScoreStep.ts"
import type { StepService } from "./StepService.ts"

/** Shared by all endpoints of a peer. */
export interface PeerState {
  /** This node's link to it broke, or could not be made. Its own endpoints have no link and are never down. */
  down: boolean
  /** With what has to select anew when the peer is down or up. Without any the peer is forgotten. */
  readonly endpoints: Map<EndpointState, { invalidate(): void }>
}

export class EndpointState implements Candidate, GuardedEndpoint {
  readonly key: string
  readonly peer: PeerState
  /** To the endpoint's node: the inbound stack here, or a link there. */
  readonly dispatch: Dispatch
  readonly cells: EndpointCells
  view: EndpointView
  /** What the steps of its policy make of it; attempts end with those they began with. */
  guards: EndpointGuards
  /** The three below are put here by their steps, and replaced when their part of the policy changes. */
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
    steps: ReadonlyArray<EndpointStep>,
    service: StepService
  ) {
    this.key = view.key
    this.view = view
    this.peer = peer
    this.dispatch = dispatch
    this.cells = cells
    this.score = new Score(usualScore)
    this.guards = new EndpointGuards(steps, this, service)
  }

  /** The policy has changed; steps that it still has keep their guards. */
  follow(steps: ReadonlyArray<EndpointStep>, service: StepService): void {
    this.guards = new EndpointGuards(steps, this, service, this.guards)
  }

  /** Left the mesh. */
  leave(): void {
    this.gone = true
    this.guards.leave()
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
    this.guards.recovered(now)
  }
}
