/**
 * Who is let in by this node's mesh plane, and who hears what of those that are not: the log and the
 * counters, the keeper of connections when a peer is busy, the report of clocks when it was time that
 * parted the two.
 */
import { Effect } from "effect"
import type { Catalogue } from "../mesh/catalogue/Catalogue.ts"
import { saveIdentity } from "../mesh/keys/DataDir.ts"
import type { MemberState } from "../mesh/membership/MemberTable.ts"
import type { PeerClocks } from "../mesh/membership/PeerClocks.ts"
import { type AdmissionOptions, makeAdmission } from "../mesh/trust/Admission.ts"
import type { Refusal } from "../mesh/trust/AdmissionEncrypter.ts"
import { BoundedCache } from "../mesh/trust/BoundedCache.ts"
import { HandshakeGate } from "../mesh/trust/HandshakeGate.ts"
import type { InviteUses } from "../mesh/trust/InviteUses.ts"
import type { RecordAudit } from "../model/AuditEvent.ts"
import type { NodeName, PeerKey } from "../model/Names.ts"
import type { Ticker } from "../model/Time.ts"
import type { InviteUse } from "../schema/UsesSchema.ts"
import { admittedEvent, isWeather, refusedEvent, renewedEvent, signedEvent } from "./AuditEvents.ts"
import type { ClockReport } from "./ClockReport.ts"
import type { RefusalLog } from "./RefusalLog.ts"

export interface MeshDoorOptions
  extends Pick<
    AdmissionOptions,
    | "admitted"
    | "cache"
    | "cutOffFor"
    | "heard"
    | "identity"
    | "onHandshake"
    | "onResumption"
    | "onRoots"
    | "onSession"
    | "resumptions"
    | "revocations"
    | "trust"
  > {
  readonly audit: RecordAudit
  /** A token that only so many hosts may use was used. */
  readonly onUse: (use: InviteUse) => void
  readonly mayUse: InviteUses["mayUse"]
  readonly dataDir: string
  readonly ticker: Ticker
  readonly refusals: RefusalLog
  readonly clocks: PeerClocks
  readonly clockReport: ClockReport
  /** Peers knock as soon as the host listens: undefined before there is a catalogue. */
  readonly catalogue: () => Catalogue | undefined
  readonly stateOf: (peer: PeerKey) => MemberState | undefined
  /** A member with an address. */
  readonly isKnown: (peer: PeerKey) => boolean
  /** A peer that was called has asked for so many ms. */
  readonly onBusy: (peer: PeerKey, retryAfter: number) => void
  /** The own certificate is another one: what is signed with it is to be signed anew. */
  readonly resign: Effect.Effect<void>
  readonly runFork: (effect: Effect.Effect<void>) => void
}

/** That an address is turned away is said once in so many ms, of so many addresses. */
const toldAgain = 10 * 60_000
const maxTold = 256

/** What encrypts this node's connections and admits its peers. */
export const meshDoor = (options: MeshDoorOptions): ReturnType<typeof makeAdmission> => {
  const { admitted, audit, cache, catalogue, clocks, identity, isKnown, stateOf, ticker } = options

  const isNameTaken = (name: NodeName, peer: PeerKey): boolean =>
    Array.from(catalogue()?.entries() ?? []).some(
      // One that is dead gave its name free: a host set up anew has a new key.
      ({ record }) =>
        record.name === name &&
        record.peer !== peer &&
        record.state !== "left" &&
        stateOf(record.peer) !== "dead"
    )

  const onRefused = (refusal: Refusal): void => {
    options.refusals.add(refusal)
    const { by, clock, code, message, peer, records, retryAfter } = refusal
    // That somebody is not reached, or busy, is no decision about who it is.
    if (!isWeather(code)) audit(refusedEvent(refusal))
    if (records !== undefined) void options.trust?.()?.take(records)
    if (peer === undefined) return
    if (by === "peer" && retryAfter !== undefined) options.onBusy(peer, retryAfter)
    if (code !== "expired" && code !== "not_yet_valid") return
    // Of strangers it is an old invite.
    if (!isKnown(peer)) return
    if (clock !== undefined) clocks.told(peer, clock)
    options.clockReport.add({ peer, what: "certificate", message, byPeer: by === "peer" })
  }

  const told = new BoundedCache<number>(maxTold)
  const onTurnedAway = (address: string): void => {
    const last = told.get(address)
    if (last !== undefined && ticker.now() - last < toldAgain) return
    told.set(address, ticker.now())
    options.runFork(
      Effect.logWarning(
        `handshakes from ${address} fail again and again: whoever comes from there is told to come back, for seconds at a time, before anything is looked at`
      )
    )
  }

  return makeAdmission({
    gate: new HandshakeGate(ticker, {}, onTurnedAway),
    identity,
    admitted,
    resumptions: options.resumptions,
    ...(options.onHandshake && { onHandshake: options.onHandshake }),
    ...(options.onResumption && { onResumption: options.onResumption }),
    onSession: (certificate, keys) => {
      audit(admittedEvent(certificate))
      options.onSession?.(certificate, keys)
    },
    onSigned: (certificate, claim) => {
      audit(signedEvent(certificate, claim?.id))
      if (claim?.uses === undefined) return
      const { id: invite, uses: limit, until } = claim
      const { name, peer } = certificate
      const use = { invite, limit, until, peer, name, at: Math.floor(ticker.wall()) }
      options.onUse(use)
    },
    mayUse: (invite, limit, peer) => options.mayUse(invite, limit, peer),
    now: () => ticker.wall(),
    ...(cache && { cache }),
    isNameTaken,
    revocations: options.revocations,
    heard: options.heard,
    trust: options.trust,
    onRoots: options.onRoots,
    cutOffFor: options.cutOffFor,
    // Whoever knocks may name any time: strangers have no say in what the time is.
    onClock: (peer, clock) => {
      if (isKnown(peer)) clocks.told(peer, clock)
    },
    onRefused,
    onRenewed: (renewed) => {
      audit(renewedEvent(renewed))
      options.runFork(
        saveIdentity(options.dataDir, renewed).pipe(
          Effect.catchAll(({ message }) =>
            Effect.logError(`the renewed certificate cannot be stored: ${message}`)
          ),
          Effect.zipRight(options.resign)
        )
      )
    }
  })
}
