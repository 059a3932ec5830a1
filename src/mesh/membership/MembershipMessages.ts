/** What the membership actor is told, and what it wants done. */
import type { PeerKey } from "../../model/Names.ts"
import type { MemberRecord } from "./MemberRecords.ts"
import type { Statement } from "./Statement.ts"

export interface PingAnswer {
  readonly incarnation: number
  readonly alive: Uint8Array | undefined
}

export interface Said {
  readonly statement: Statement
  readonly bytes: Uint8Array
}

export type MembershipMessage =
  /** Every record of the catalogue. */
  | { readonly _tag: "Records"; readonly records: ReadonlyArray<MemberRecord> }
  /** Those that are new or say something new, and whose is gone from the catalogue. */
  | {
      readonly _tag: "RecordsChanged"
      readonly records: ReadonlyArray<MemberRecord>
      readonly gone: ReadonlyArray<PeerKey>
    }
  /** A verified statement, by gossip. */
  | ({ readonly _tag: "Heard" } & Said)
  /** Verified statements that came because this node asked: one step for all of them. */
  | { readonly _tag: "Evidence"; readonly said: ReadonlyArray<Said> }
  | {
      readonly _tag: "Answered"
      readonly peer: PeerKey
      readonly probe: number
      readonly incarnation: number
      /** The subject's verified denial. */
      readonly denial?: Said | undefined
    }
  | { readonly _tag: "Unanswered"; readonly peer: PeerKey; readonly probe: number }
  /** Helpers that say they reach the subject, and those that say they do not; the others gave no answer. */
  | {
      readonly _tag: "Helped"
      readonly peer: PeerKey
      readonly probe: number
      readonly reachedBy: ReadonlyArray<PeerKey>
      readonly missedBy: ReadonlyArray<PeerKey>
    }
  | { readonly _tag: "LinkUp"; readonly peer: PeerKey }
  | { readonly _tag: "LinkDown"; readonly peer: PeerKey }
  /** Whoever was asked for evidence did not answer. `about`: as it was asked. */
  | { readonly _tag: "NoEvidence"; readonly about: ReadonlyArray<PeerKey> }
  /** It has pinged us, and has nothing to say against us. */
  | { readonly _tag: "Pinged"; readonly peer: PeerKey }
  /** A ping told us that we are suspected at this incarnation. */
  | {
      readonly _tag: "Accused"
      readonly by: PeerKey
      readonly incarnation: number
      readonly reply: (answer: PingAnswer) => void
    }
  /** `dueAt`: monotonic ms for which it was meant; absent: one tick after the last. */
  | { readonly _tag: "Tick"; readonly dueAt?: number }

export type MembershipAction =
  | {
      readonly _tag: "Ping"
      readonly peer: PeerKey
      readonly probe: number
      readonly timeout: number
      readonly accused: number | undefined
    }
  | {
      readonly _tag: "AskHelpers"
      readonly peer: PeerKey
      readonly probe: number
      readonly helpers: ReadonlyArray<PeerKey>
      readonly timeout: number
    }
  /** To everybody, by gossip. */
  | { readonly _tag: "Say"; readonly bytes: Uint8Array }
  /** `about`: only of these, at most `evidenceLimits.subjects`; none: of all, as much as fits into an answer. */
  | {
      readonly _tag: "PullEvidence"
      readonly from: PeerKey
      readonly about: ReadonlyArray<PeerKey>
    }
  /** It has been silent for long: a connection to it may lead nowhere, and another one be better. */
  | { readonly _tag: "GiveUp"; readonly peer: PeerKey }
  | { readonly _tag: "Reply"; readonly reply: () => void }
