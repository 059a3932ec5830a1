/**
 * Nodes that say of themselves that they may end at any time (`node.ephemeral`) are forgotten by every
 * node on its own once they are dead. What is told of them later counts for nothing as long as their last record
 * could be held by anybody, or until there is a newer one: each signs anew every few minutes, and when it is back from
 * where others may have taken it for dead. Those of older versions do not, and are forgotten for minutes.
 */
import { Effect, type Scope } from "effect"
import { lookingAfter, type TickTimers } from "../mesh/actor/Ticking.ts"
import type { Catalogue } from "../mesh/catalogue/Catalogue.ts"
import type { CatalogueShape } from "../mesh/catalogue/CatalogueService.ts"
import { lifetimes } from "../mesh/catalogue/RecordEntry.ts"
import type { MembershipShape } from "../mesh/membership/MembershipService.ts"
import type { PeerKey } from "../model/Names.ts"
import type { NodeRecord } from "../model/NodeRecord.ts"
import type { Ticker } from "../model/Time.ts"
import type { ForgottenFile } from "./ForgottenFile.ts"
import type { ForgottenNodes } from "./ForgottenNodes.ts"
import type { GoneElsewhere } from "./GoneElsewhere.ts"
import { OwnAbsence } from "./OwnAbsence.ts"

/** Milliseconds. */
export const ephemeralTimes = {
  /** It may have been stalled, or cut off. */
  deadFor: 30_000,
  /** One that says nothing of how long its record lasts. Within this all others have found it dead, too. */
  forgottenFor: 300_000,
  /** A clock may be set by so much while a record is on its way. */
  longer: 60_000,
  look: 5_000
} as const

/** Whatever a file says of who was forgotten, ms: it is of records like those of this version. */
export const longestForgotten = lifetimes.ephemeral + ephemeralTimes.longer

/** So long a record of an ephemeral node that was found dead is not taken in, ms. */
export const forgottenFor = (
  { lifetime, signedAt }: Pick<NodeRecord, "lifetime" | "signedAt">,
  wall: number
): number =>
  lifetime === undefined
    ? ephemeralTimes.forgottenFor
    : Math.max(0, signedAt + lifetime - wall) + ephemeralTimes.longer

export interface EphemeralOptions {
  readonly forgotten: ForgottenNodes
  /** Keeps who was forgotten over a restart. */
  readonly file: Pick<ForgottenFile, "save">
  /** What others have told of it. */
  readonly elsewhere: Pick<GoneElsewhere, "isGone">
  /** Connected with this node. */
  readonly isUp: (peer: PeerKey) => boolean
  readonly catalogue: Pick<CatalogueShape, "current" | "rejudge" | "resign">
  /** Is this node one? */
  readonly isEphemeral: boolean
  readonly membership: Pick<MembershipShape, "members">
  readonly ticker: Pick<Ticker, "now" | "random" | "wall">
}

const found = new WeakMap<Catalogue, ReadonlyMap<PeerKey, NodeRecord>>()

/** Records of ephemeral nodes. A catalogue is a value: one that has not changed is not looked through again. */
const ephemeralIn = (catalogue: Catalogue): ReadonlyMap<PeerKey, NodeRecord> => {
  const known = found.get(catalogue)
  if (known !== undefined) return known
  const records = new Map<PeerKey, NodeRecord>()
  for (const { record } of catalogue.entries()) {
    if (record.ephemeral === true) records.set(record.peer, record)
  }
  found.set(catalogue, records)
  return records
}

/** Looks at those that are dead, once. */
export const forgetEphemeral = (options: EphemeralOptions): Effect.Effect<void> =>
  Effect.suspend(() => {
    const { catalogue, elsewhere, file, forgotten, isUp, membership, ticker } = options
    const records = ephemeralIn(catalogue.current())
    // Who is there is asked for only then: it is worked out for all members each time.
    if (records.size === 0) return file.save
    const members = membership.members()
    const alive = members.filter(({ state }) => state === "alive").length - 1
    const gone = members.flatMap(({ peer, since, state }) => {
      const record = records.get(peer)
      if (record === undefined || state === "left") return []
      const isDead = state === "dead" && ticker.wall() - since >= ephemeralTimes.deadFor
      const others = state === "alive" ? alive - 1 : alive
      return isDead || (!isUp(peer) && elsewhere.isGone(record, others)) ? [record] : []
    })
    if (gone.length === 0) return file.save
    const [now, wall] = [ticker.now(), ticker.wall()]
    forgotten.forgetUntil(
      gone.map(({ epoch, lifetime, peer, signedAt, version }) => ({
        ...{ peer, epoch, version },
        until: now + forgottenFor({ lifetime, signedAt }, wall)
      }))
    )
    // First: who sees that it is gone may take it that it stays so.
    return Effect.zipRight(file.save, catalogue.rejudge(gone.map(({ peer }) => peer)))
  })

/** Says again that this node is there when others may have forgotten it. */
export const sayAgain = (
  { catalogue, isEphemeral, membership, ticker }: EphemeralOptions,
  absence: OwnAbsence
): Effect.Effect<void> =>
  Effect.suspend(() =>
    isEphemeral && absence.isOver(membership.members(), ticker.wall(), ticker.random())
      ? catalogue.resign
      : Effect.void
  )

/** Until the scope closes. */
export const keepEphemeral = (
  options: EphemeralOptions & {
    readonly ticker: TickTimers
    readonly file: Pick<ForgottenFile, "isSaved">
  }
): Effect.Effect<void, never, Scope.Scope> =>
  Effect.suspend(() => {
    const absence = new OwnAbsence()
    const look = Effect.zipRight(forgetEphemeral(options), sayAgain(options, absence)).pipe(
      Effect.catchAllDefect((defect) =>
        Effect.logError("ephemeral nodes were not forgotten", defect)
      )
    )
    // Most meshes have none.
    const isNeeded = () =>
      options.isEphemeral ||
      !options.file.isSaved ||
      ephemeralIn(options.catalogue.current()).size > 0
    return lookingAfter(options.ticker, ephemeralTimes.look, () => (isNeeded() ? look : undefined))
  })
