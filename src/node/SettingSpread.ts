/**
 * Who has what was set: asks the members until all have it or the time is over, a bounded number at a
 * time. Nodes of the last release can be asked, too: they hold it without knowing what it is.
 */
import { Effect, Schedule } from "effect"
import { bucketOf } from "../mesh/catalogue/RecordEntry.ts"
import type { MeshRpcError, RecordVersion } from "../mesh/host/MeshRpc.ts"
import type { PeerKey } from "../model/Names.ts"
import { compareStamps, type SettingStamp } from "../model/Setting.ts"
import { makeDialTurn } from "./DialTurn.ts"

/** A key of the catalogue, and what of it a member is to have: that, or something later. */
export interface WantedVersion extends Pick<SettingStamp, "epoch" | "version"> {
  readonly key: string
}

export interface SettingSpreadOptions {
  /** Other members. */
  readonly members: () => ReadonlyArray<{ readonly peer: PeerKey; readonly isThere: boolean }>
  readonly isConnected: (peer: PeerKey) => boolean
  /** What a member holds in these buckets; makes a connection where there is none. */
  readonly versions: (
    peer: PeerKey,
    buckets: ReadonlyArray<number>
  ) => Effect.Effect<ReadonlyArray<RecordVersion>, MeshRpcError>
}

export interface SpreadReport {
  readonly seen: ReadonlyArray<PeerKey>
  /** They are there, and did not have it. */
  readonly missing: ReadonlyArray<PeerKey>
  /** They are not there, or did not answer. */
  readonly away: ReadonlyArray<PeerKey>
}

export const spreadTimes = {
  /** Between two questions to one member, ms. */
  again: 200,
  /** For an answer, ms. */
  answer: 2_000
} as const

export const spreadLimits = {
  /** Members asked at a time. */
  atOnce: 16,
  /** Buckets in one question, as the mesh's RPC allows. */
  buckets: 16
} as const

type Answer = "seen" | "missing" | "away"

export const makeSettingSpread = ({ members, isConnected, versions }: SettingSpreadOptions) => {
  const permits = Effect.unsafeMakeSemaphore(spreadLimits.atOnce)
  const dialTurn = makeDialTurn()

  const ask = (peer: PeerKey, wanted: ReadonlyArray<WantedVersion>): Effect.Effect<Answer> =>
    Effect.gen(function* () {
      if (!isConnected(peer)) yield* dialTurn
      const buckets = Array.from(new Set(wanted.map(({ key }) => bucketOf(key))))
      const held = new Map<string, RecordVersion>()
      for (let at = 0; at < buckets.length; at += spreadLimits.buckets) {
        const answer = yield* versions(peer, buckets.slice(at, at + spreadLimits.buckets))
        for (const version of answer) held.set(version.key, version)
      }
      const hasAll = wanted.every((one) => {
        const version = held.get(one.key)
        return version !== undefined && compareStamps(version, one) >= 0
      })
      return hasAll ? "seen" : "missing"
    }).pipe(
      Effect.timeoutTo({
        duration: spreadTimes.answer,
        onSuccess: (answer): Answer => answer,
        onTimeout: (): Answer => "away"
      }),
      Effect.catchAll(() => Effect.succeed<Answer>("away")),
      permits.withPermits(1)
    )

  /** `patience`: ms. */
  return (wanted: ReadonlyArray<WantedVersion>, patience: number): Effect.Effect<SpreadReport> =>
    Effect.gen(function* () {
      const all = members()
      // Who has not answered by the end was not reached.
      const last = new Map<PeerKey, Answer>(all.map(({ peer }) => [peer, "away"]))
      const watch = (peer: PeerKey) =>
        ask(peer, wanted).pipe(
          Effect.tap((answer) => Effect.sync(() => last.set(peer, answer))),
          Effect.repeat({
            until: (answer) => answer === "seen",
            schedule: Schedule.spaced(spreadTimes.again)
          })
        )
      const there = all.filter(({ isThere }) => isThere).map(({ peer }) => peer)
      yield* Effect.forEach(there, watch, { concurrency: "unbounded", discard: true }).pipe(
        Effect.timeoutOption(patience)
      )
      const those = (answer: Answer) =>
        all.flatMap(({ peer }) => (last.get(peer) === answer ? [peer] : []))
      return { seen: those("seen"), missing: those("missing"), away: those("away") }
    })
}

export type SettingSpread = ReturnType<typeof makeSettingSpread>
