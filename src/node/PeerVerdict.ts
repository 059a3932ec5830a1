/** What is made of a peer's answers, for people: is it in step with this node, and how does it fare? Pure. */
import { bucketCount } from "../mesh/catalogue/RecordEntry.ts"
import type { PeerFigures } from "../mesh/host/MeshRpc.ts"

/** What came of asking whether both hold the same. */
export type PeerOutcome =
  | { readonly kind: "equal" }
  /** `standing`: parts that stayed different, see `standingDifferences`; undefined: looked at once. */
  | { readonly kind: "differs"; readonly standing: number | undefined }
  | { readonly kind: "silent"; readonly reason: string }
  /** It has too many handshakes at once, and has asked this node to come back in a moment. */
  | { readonly kind: "busy" }
  /** It answered, and not what was asked. */
  | { readonly kind: "puzzled"; readonly reason: string }

export interface PeerAnswer {
  readonly outcome: PeerOutcome
  /** From question to answer, ms. */
  readonly answerMs: number | undefined
  /** `older`: its version does not know the question. Undefined: it did not answer it. */
  readonly figures: PeerFigures | "older" | undefined
}

export interface PeerFacts {
  readonly state: "alive" | "suspect" | "dead" | "left" | "refused" | "revoked"
  readonly connected: boolean
  /** `pending`: there was no time to ask it. Undefined: it was not to be asked. */
  readonly answer: PeerAnswer | "pending" | undefined
  /** Milliseconds since both catalogues were last seen to be equal; undefined: they never were. */
  readonly equalFor: number | undefined
}

export interface PeerVerdict {
  readonly sync: "synced" | "syncing" | "stale" | "unreachable" | "unknown"
  /** Why not `synced`, and what is not known. */
  readonly detail: string | undefined
}

export const verdictLimits = {
  /** Who was not asked is in step when both were equal less long ago, ms: two rounds of comparisons. */
  equalFor: 60_000,
  /** A loop that was so late is late, ms: as failure detection takes it (Awareness.ts). */
  late: 500,
  /** Messages that wait: as many make a node busy. In a settled mesh there is none. */
  waiting: 256
} as const

const verdict = (sync: PeerVerdict["sync"], detail?: string): PeerVerdict => ({ sync, detail })

const ofOutcome = (outcome: PeerOutcome, isRefused: boolean): PeerVerdict => {
  switch (outcome.kind) {
    case "equal":
      return verdict("synced")
    case "silent":
      return verdict("unreachable", outcome.reason)
    case "busy":
      return verdict("unknown", "busy with handshakes: it has asked to come back in a moment")
    case "puzzled":
      return verdict("unknown", outcome.reason)
    case "differs": {
      if (isRefused) return verdict("stale", "its record is refused here because of time")
      const { standing } = outcome
      if (standing === undefined)
        return verdict("syncing", "something differs, and it was looked at only once")
      return standing === 0
        ? verdict("syncing", "what differs is on its way")
        : verdict(
            "stale",
            `${standing} of ${bucketCount} parts of the catalogues differ, and neither side changes them`
          )
    }
  }
}

export const judgePeer = ({ answer, connected, equalFor, state }: PeerFacts): PeerVerdict => {
  if (state === "revoked") return verdict("unreachable", "it was thrown out of the mesh")
  if (state === "left") return verdict("unreachable", "it has left")
  if (answer !== undefined && answer !== "pending") {
    const judged = ofOutcome(answer.outcome, state === "refused")
    if (answer.figures !== "older") return judged
    const older = "of an older version, which does not tell how it fares"
    return verdict(judged.sync, judged.detail === undefined ? older : `${judged.detail}; ${older}`)
  }
  if (state === "dead") return verdict("unreachable", "members that watch it found it dead")
  if (state === "suspect" && !connected) {
    return verdict("unreachable", "members suspect it, and this node's connection to it is lost")
  }
  if (equalFor !== undefined && equalFor <= verdictLimits.equalFor) return verdict("synced")
  if (answer === "pending") return verdict("unknown", "not asked: no time was left, ask again")
  return verdict(
    "unknown",
    connected ? "not asked" : "not asked: this node has no connection to it (--all asks it)"
  )
}

/** By what it says of itself. Undefined: nothing is known of that. */
export const judgeLoad = (figures: PeerAnswer["figures"]): "ok" | "late" | "busy" | undefined => {
  if (figures === undefined || figures === "older") return undefined
  if (figures.lateMs >= verdictLimits.late) return "late"
  return figures.waiting >= verdictLimits.waiting ? "busy" : "ok"
}

/** By what came of asking it. */
export const judgeAnswer = (answer: PeerAnswer | undefined): ReturnType<typeof judgeLoad> =>
  answer?.outcome.kind === "busy" ? "busy" : judgeLoad(answer?.figures)
