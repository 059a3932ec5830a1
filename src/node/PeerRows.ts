/** How the members stand to this node, for people: what is known of each, and what it said when asked. */
import type { MemberStatus } from "../admin/MemberModel.ts"
import type { PeerStatus } from "../admin/PeerModel.ts"
import type { SyncBook } from "../mesh/catalogue/SyncBook.ts"
import type { PeerFigures } from "../mesh/host/MeshRpc.ts"
import type { PeerKey } from "../model/Names.ts"
import { judgeAnswer, judgeLoad, judgePeer, type PeerAnswer } from "./PeerVerdict.ts"

export interface PeerSources {
  readonly members: ReadonlyArray<MemberStatus>
  /** Whom to ask, and what came of it. */
  readonly asked: ReadonlySet<PeerKey>
  readonly answers: ReadonlyMap<PeerKey, PeerAnswer>
  readonly isConnected: (peer: PeerKey) => boolean
  readonly book: Pick<SyncBook, "of">
  /** How this node fares itself. */
  readonly own: PeerFigures
  /** Monotonic ms. */
  readonly now: number
}

/**
 * Members to put questions to: those that are connected, or `all`. Who is dead in the eyes of most may
 * answer over a connection that there is; none is made for that.
 */
export const askable = (
  members: ReadonlyArray<MemberStatus>,
  all: boolean,
  isConnected: (peer: PeerKey) => boolean
): ReadonlySet<PeerKey> => {
  const isAsked = ({ peer, self, state }: MemberStatus) =>
    !self &&
    state !== "left" &&
    state !== "revoked" &&
    (isConnected(peer) || (all && state !== "dead"))
  return new Set(members.filter(isAsked).map(({ peer }) => peer))
}

const since = (now: number, at: number | undefined): number | null =>
  at === undefined ? null : Math.max(0, Math.round(now - at))

const newerOf = (
  record: MemberStatus["record"],
  figures: PeerFigures | undefined
): PeerStatus["newer"] => {
  if (record === null || figures === undefined) return null
  const { epoch, version } = figures
  const isNewer = epoch > record.epoch || (epoch === record.epoch && version > record.version)
  return isNewer ? { epoch, version } : null
}

/** As `members` has them, without those that have left. */
export const peerRows = (sources: PeerSources): ReadonlyArray<PeerStatus> => {
  const { answers, asked, book, isConnected, members, now, own } = sources
  return members
    .filter(({ state }) => state !== "left")
    .map((member): PeerStatus => {
      const { draining, node, peer, record, rttMs, self, state } = member
      const compared = book.of(peer)
      const connected = !self && isConnected(peer)
      const answer = answers.get(peer)
      const said = self ? own : answer?.figures
      const figures = said === "older" ? undefined : said
      const { detail, sync } = self
        ? ({ sync: "synced", detail: undefined } as const)
        : judgePeer({
            state,
            connected,
            answer: answer ?? (asked.has(peer) ? "pending" : undefined),
            equalFor: compared?.equalAt === undefined ? undefined : now - compared.equalAt
          })
      return {
        ...{ node, peer, self, sync, state, draining, connected },
        detail: detail?.replaceAll(peer, node) ?? null,
        load: (self ? judgeLoad(own) : judgeAnswer(answer)) ?? null,
        lateMs: figures === undefined ? null : Math.round(figures.lateMs),
        doubt: figures?.doubt ?? null,
        waiting: figures?.waiting ?? null,
        software: figures?.software ?? member.software,
        record:
          record === null
            ? null
            : { epoch: record.epoch, version: record.version, signedAt: record.signedAt },
        newer: newerOf(record, figures),
        comparedMs: since(now, compared?.at),
        equalMs: since(now, compared?.equalAt),
        rttMs,
        answerMs: answer?.answerMs === undefined ? null : Math.round(answer.answerMs * 100) / 100
      }
    })
}
