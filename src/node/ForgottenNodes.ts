/**
 * Hosts that will never say good-bye. Who is asked to forget one says so in the mesh; from then on
 * nobody holds that one's record, and so it is in no list and no call is sent to it. Its next record is
 * a later one, whoever it is of: a host that comes back after all is a member as before.
 */
import { type Effect, Either, Schema } from "effect"
import type { GoneVersion } from "../mesh/catalogue/AntiEntropy.ts"
import type { CatalogueShape } from "../mesh/catalogue/CatalogueService.ts"
import { isUpTo, nodeKey } from "../mesh/catalogue/RecordEntry.ts"
import type { PeerKey } from "../model/Names.ts"
import type { NodeRecord } from "../model/NodeRecord.ts"
import { ForgottenBody, type ForgottenNode } from "../schema/ForgottenSchema.ts"
import type { MeshSettings } from "./MeshSettings.ts"

type Order = Pick<NodeRecord, "epoch" | "version">

const decode = Schema.decodeUnknownEither(ForgottenBody)

export const nodesIn = (body: unknown): ReadonlyArray<ForgottenNode> =>
  Either.match(decode(body), { onLeft: () => [], onRight: ({ nodes }) => nodes })

export interface ForgottenOptions {
  /** A clock that only goes forward, ms. */
  readonly now: () => number
  /** Connected with this node. */
  readonly isUp: (peer: PeerKey) => boolean
}

/** Nodes that are forgotten for a while. */
export const maxPassing = 4_096

/** Up to which record, and until when on the clock of `now`. */
export type Passing = Order & { readonly until: number }

/** Read at every record; filled when there are settings to be heard. */
export class ForgottenNodes {
  #marks: ReadonlyMap<PeerKey, ForgottenNode> = new Map()
  /** By this node alone, and for a while. */
  #passing: ReadonlyMap<PeerKey, Passing> = new Map()
  readonly #options: ForgottenOptions

  constructor(options: ForgottenOptions) {
    this.#options = options
  }

  /** Why this record is not held; undefined: it is. */
  readonly why = (record: Pick<NodeRecord, "peer" | "name"> & Order): string | undefined => {
    const mark = this.#marks.get(record.peer)
    const isOut = (mark !== undefined && isUpTo(record, mark)) || this.#isPassing(record)
    return isOut ? `${record.name} was forgotten, and has said nothing since` : undefined
  }

  /** Another value whenever it changes. */
  get passing(): ReadonlyMap<PeerKey, Passing> {
    return this.#passing
  }

  /** Those that are forgotten for a while and not over, as records that are given up. */
  readonly gone = (): ReadonlyArray<GoneVersion> => {
    const { isUp, now } = this.#options
    const at = now()
    return Array.from(this.#passing).flatMap(([peer, { epoch, until, version }]) =>
      until <= at || isUp(peer) ? [] : [{ key: nodeKey(peer), epoch, version }]
    )
  }

  /** At the limit the oldest are given up: their records are shown again. */
  forgetUntil(nodes: ReadonlyArray<Pick<NodeRecord, "peer"> & Passing>): void {
    const passing = new Map(this.#passing)
    for (const { epoch, peer, until, version } of nodes) {
      passing.delete(peer)
      passing.set(peer, { epoch, version, until })
    }
    for (const [peer, { until }] of passing) {
      if (passing.size <= maxPassing && until > this.#options.now()) break
      passing.delete(peer)
    }
    this.#passing = passing
  }

  #isPassing(record: Pick<NodeRecord, "peer"> & Order): boolean {
    const mark = this.#passing.get(record.peer)
    if (mark === undefined) return false
    // Here it is.
    const isOver = mark.until <= this.#options.now() || this.#options.isUp(record.peer)
    if (isOver) {
      const passing = new Map(this.#passing)
      passing.delete(record.peer)
      this.#passing = passing
    }
    return !isOver && isUpTo(record, mark)
  }

  /** Those that were not forgotten before, or not so far. */
  hear(nodes: Iterable<ForgottenNode>): ReadonlyArray<PeerKey> {
    const before = this.#marks
    const marks = new Map<PeerKey, ForgottenNode>()
    for (const node of nodes) {
      const known = marks.get(node.peer)
      if (known === undefined || isUpTo(known, node)) marks.set(node.peer, node)
    }
    this.#marks = marks
    return Array.from(marks.values()).flatMap((node) => {
      const known = before.get(node.peer)
      return known === undefined || !isUpTo(node, known) ? [node.peer] : []
    })
  }
}

export interface ForgetfulOptions {
  readonly forgotten: ForgottenNodes
  readonly settings: MeshSettings
  readonly catalogue: Pick<CatalogueShape, "rejudge" | "resign">
  readonly self: PeerKey
  readonly onForgotten: (peers: ReadonlyArray<PeerKey>) => void
  readonly runFork: (effect: Effect.Effect<void>) => void
}

/** From now on what the mesh says is forgotten is so here. */
export const followForgotten = (options: ForgetfulOptions): void => {
  const { catalogue, forgotten, self } = options
  options.settings.subscribe("forgotten", (ofKind) => {
    const said = Array.from(ofKind.values()).flatMap(({ body }) => nodesIn(body))
    const news = forgotten.hear(said)
    if (news.length === 0) return
    options.onForgotten(news)
    const others = news.filter((peer) => peer !== self)
    // Forgotten and alive: the next record says so.
    if (news.includes(self)) options.runFork(catalogue.resign)
    if (others.length > 0) options.runFork(catalogue.rejudge(others))
  })
}
