/**
 * How records of others come in: by gossip, in comparisons, and on their own. Each is verified at the
 * door, judged against the snapshot, and merged by the actor; what is new is told to whoever measures how
 * fast the mesh agrees, and news that was met in a comparison is told on.
 */
import { type Clock, Effect, Either } from "effect"
import type { PeerKey } from "../../model/Names.ts"
import type { NodeRecord } from "../../model/NodeRecord.ts"
import type { ActorRef } from "../actor/Actor.ts"
import type { GossipVerdict } from "../host/Gossip.ts"
import type { Conduct } from "../trust/PeerConduct.ts"
import type { Catalogue, MergeOutcome } from "./Catalogue.ts"
import type { CatalogueMessage } from "./CatalogueBehaviour.ts"
import { verifyBatch } from "./CatalogueLoading.ts"
import type { RecordDoor } from "./RecordDoor.ts"
import type { CatalogueEntry } from "./RecordEntry.ts"
import { isBlameworthy, RecordRefused } from "./RecordRefused.ts"

/** By gossip, in a comparison of catalogues, or with a node's notice that it drains. */
export type RecordWay = "gossip" | "comparison" | "notice"

export interface RecordIntakeOptions {
  readonly self: PeerKey
  readonly door: Pick<RecordDoor, "admit">
  readonly actor: Pick<ActorRef<CatalogueMessage>, "ask" | "tell">
  readonly clock: Clock.Clock
  readonly current: () => Catalogue
  /** To everybody, by gossip. */
  readonly tellOn: (bytes: Uint8Array) => void
  /** A comparison brought what nobody is told by gossip: others may lack it, too. */
  readonly spread: () => void
  /** Whose words are counted, and who signs two things as one version. */
  readonly conduct: Conduct
  /** A version of another node's record is here for the first time. */
  readonly onFirstSeen: ((record: NodeRecord, way: RecordWay) => void) | undefined
}

/**
 * A record that was signed so long ago was gossip already, ms; and so many younger ones of one
 * comparison are told on: a whole mesh that starts at once is not told by everybody of everybody.
 */
const newsFor = 30_000
const mostToldOn = 4

/** How long whoever waits for the actor does so, e.g. while it restarts. */
export const actorPatience = "30 seconds"

export const actorBehind = (message: string): RecordRefused =>
  new RecordRefused({ code: "full", message })

const signerOf = (entry: CatalogueEntry): PeerKey =>
  entry.kind === "node" ? entry.record.peer : entry.signer

export class RecordIntake {
  readonly #options: RecordIntakeOptions

  constructor(options: RecordIntakeOptions) {
    this.#options = options
  }

  /** Synchronous, as gossip needs it: judged against the snapshot, merged a moment later. */
  readonly judge = (bytes: Uint8Array): GossipVerdict => {
    const { actor, clock, current, door } = this.#options
    const admitted = door.admit(bytes, clock.unsafeCurrentTimeMillis())
    if (Either.isLeft(admitted)) return isBlameworthy(admitted.left) ? "reject" : "ignore"
    const entry = admitted.right
    const outcome = current().judge(entry)
    this.#compare(entry, outcome)
    if (outcome === "known" || outcome === "stale") return "ignore"
    // Anti-entropy brings the last of many words.
    if (!this.#options.conduct.allows(signerOf(entry), "said")) return "ignore"
    const taken = actor.tell({ _tag: "Received", entry })
    if (taken) this.#note(entry, outcome, "gossip")
    return taken && outcome !== "full" ? "accept" : "ignore"
  }

  /** What would come of one that came on its own, now. */
  foresee(bytes: Uint8Array): Effect.Effect<MergeOutcome, RecordRefused> {
    return Effect.map(this.#admit(bytes), (entry) => this.#options.current().judge(entry))
  }

  /** One that came on its own. */
  receive(bytes: Uint8Array): Effect.Effect<MergeOutcome, RecordRefused> {
    return Effect.gen(this, function* () {
      const entry = yield* this.#admit(bytes)
      this.#compare(entry, this.#options.current().judge(entry))
      const outcome = yield* this.#merge(entry)
      this.#note(entry, outcome, "notice")
      return outcome
    })
  }

  /** Those of one comparison; answers how many changed the catalogue. */
  receiveAll(envelopes: ReadonlyArray<Uint8Array>): Effect.Effect<number> {
    return Effect.gen(this, function* () {
      let changed = 0
      let toldOn = 0
      for (const [index, bytes] of envelopes.entries()) {
        if (index % verifyBatch === verifyBatch - 1) yield* Effect.sleep(0)
        const met = yield* this.#receiveMet(bytes, toldOn).pipe(
          // One bad record does not spoil the batch; it will be met, and refused, again.
          Effect.catchAll((refused) =>
            Effect.as(Effect.logDebug(`record refused: ${refused.message}`), undefined)
          )
        )
        if (met?.changed === true) changed++
        if (met?.tellOn === true) toldOn++
      }
      if (changed > toldOn) this.#options.spread()
      return changed
    })
  }

  /** Met in a comparison: merged, and told on while it is news. */
  #receiveMet(bytes: Uint8Array, toldOn: number) {
    return Effect.gen(this, function* () {
      const { clock, current, tellOn: tell } = this.#options
      const entry = yield* this.#admit(bytes)
      this.#compare(entry, current().judge(entry))
      const changed = this.#note(entry, yield* this.#merge(entry), "comparison")
      const age = clock.unsafeCurrentTimeMillis() - entry.signedAt
      const tellOn = changed && age < newsFor && toldOn < mostToldOn
      // Gossip passes by who knows a record already, so it ends at those who met it here.
      if (tellOn) tell(entry.bytes)
      return { changed, tellOn }
    })
  }

  /** Did its signer say something else as the very same version? */
  #compare(entry: CatalogueEntry, outcome: MergeOutcome): void {
    const { conduct, current, self } = this.#options
    if (outcome !== "stale" && outcome !== "replaced") return
    const held = current().get(entry.key)
    const isSame = held?.epoch === entry.epoch && held.version === entry.version
    if (isSame && signerOf(entry) !== self) conduct.note(signerOf(entry), "equivocated")
  }

  #admit(bytes: Uint8Array): Effect.Effect<CatalogueEntry, RecordRefused> {
    const { clock, door } = this.#options
    return Effect.suspend(() => door.admit(bytes, clock.unsafeCurrentTimeMillis()))
  }

  #merge(entry: CatalogueEntry): Effect.Effect<MergeOutcome, RecordRefused> {
    return Effect.suspend(() => {
      const { actor, current } = this.#options
      const outcome = current().judge(entry)
      if (outcome === "known" || outcome === "stale") return Effect.succeed(outcome)
      return actor
        .ask<MergeOutcome>((reply) => ({ _tag: "Received", entry, reply }), actorPatience)
        .pipe(Effect.mapError(({ message }) => actorBehind(message)))
    })
  }

  /** Is it new here? */
  #note(entry: CatalogueEntry, outcome: MergeOutcome, way: RecordWay): boolean {
    const { onFirstSeen, self } = this.#options
    const isNew = outcome === "added" || outcome === "replaced"
    if (isNew && entry.kind === "node" && entry.record.peer !== self) {
      onFirstSeen?.(entry.record, way)
    }
    return isNew
  }
}
