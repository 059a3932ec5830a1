/**
 * How two members that were connected a short while ago connect again, without signatures and certificates:
 *
 *     dialler ── id, first message{standing} ──► listener    Noise NNpsk0 (model/NoiseNNpsk0.ts)
 *     dialler ◄── resumed, second message ─────── listener    else go on or busy, and then all as ever
 *     dialler ── hello, the first sealed record ─► listener    and from then on what libp2p puts on it
 *
 * The secret is that of a handshake of the two, or of what they agreed on over a connection since. It serves once,
 * for an hour at most, and each connection made by it leaves another behind. What else a handshake would have
 * brought to light is compared before anything is taken: the certificates that each has shown, what both hold about
 * trust, and which roots they believe in. Where anything differs, or the secret is not known, the whole handshake
 * follows on the same connection. So nobody gets in by it who would not by a whole one.
 */
import type {
  ConnectionEncrypter,
  MessageStream,
  PeerId,
  SecureConnectionOptions,
  SecuredConnection
} from "@libp2p/interface"
import type { MeshId, PeerKey } from "../../model/Names.ts"
import { noiseOverhead } from "../../model/NoiseNNpsk0.ts"
import type { VerifiedCertificate } from "./Certificate.ts"

export const resumptionIdBytes = 16

export interface ResumptionSecret {
  /** 16 bytes in hex. Not secret: it is sent in the clear. */
  readonly id: string
  readonly secret: Uint8Array
}

/** What there is to resume with a peer. */
export interface Resumable extends ResumptionSecret {
  /** The newest that the peer has shown. */
  readonly certificate: VerifiedCertificate
}

/** Where secrets are kept until they have served (SessionBook.ts). */
export interface Resumptions {
  /** The newest of a peer, for calling it; undefined: it was offered before. */
  resumable(peer: PeerKey): Resumable | undefined
  /** It is not to be offered again. The peer may still come with it: two may call each other at once. */
  offered(id: string): void
  /** Whose it is, for who is called. */
  redeemable(id: string): Resumable | undefined
  /** Somebody came with it who has the secret. */
  spend(id: string): void
}

/** Which way a connection was made, and what came of the offer to resume. */
export type ResumptionOutcome =
  | "resumed"
  /** A whole handshake took its place. */
  | "declined"

/** What a transport dials with, where there is something to be resumed. */
export interface Resumer extends ConnectionEncrypter {
  mayResume(peer: PeerId): boolean
  /** As the peer chose: by this protocol, or by a whole handshake. */
  secureAs(
    protocol: string,
    connection: MessageStream,
    options: SecureConnectionOptions & { readonly remotePeer: PeerId }
  ): Promise<SecuredConnection>
}

/** What both sides of a handshake find out about each other, as the dialler has it. */
export interface Standing {
  /** Of the certificate that the dialler shows, 32 hex digits. */
  readonly own: string
  /** Of the one that it knows of the listener. */
  readonly theirs: string
  /** Of what it holds about trust, and of the roots it believes in: 16 bytes. */
  readonly trust: Uint8Array | undefined
  readonly roots: Uint8Array
}

const part = 16
/** Of a wall clock in ms: good for 8,000 years. */
const clockBytes = 6
const standingBytes = 4 * part + clockBytes
/** Of the dialler's first message, with the id. */
export const offerBytes = resumptionIdBytes + noiseOverhead + standingBytes
/** Of the listener's, behind its status. */
export const answerBytes = noiseOverhead + clockBytes

const noTrust = Buffer.alloc(part)

const encodeStanding = ({ own, roots, theirs, trust }: Standing): Buffer =>
  Buffer.concat([Buffer.from(own, "hex"), Buffer.from(theirs, "hex"), trust ?? noTrust, roots])

/** Wall clock, ms. */
export const encodeClock = (now: number): Buffer => {
  const bytes = Buffer.alloc(clockBytes)
  bytes.writeUIntBE(Math.floor(now), 0, clockBytes)
  return bytes
}

/** The last of what was said. */
export const decodeClock = (said: Buffer): number =>
  said.readUIntBE(said.length - clockBytes, clockBytes)

export const encodeOffered = (standing: Standing, now: number): Buffer =>
  Buffer.concat([encodeStanding(standing), encodeClock(now)])

/** Is it as the listener has it? `ours` is what the listener would say to the dialler. */
export const standsAlike = (offered: Buffer, { own, roots, theirs, trust }: Standing): boolean =>
  encodeStanding({ own: theirs, theirs: own, trust, roots }).equals(
    offered.subarray(0, standingBytes - clockBytes)
  )

export interface Parties {
  readonly mesh: MeshId
  readonly dialler: PeerKey
  readonly listener: PeerKey
}

/**
 * What both must agree on without saying it. Both names are in it: a node whose own offer is led back to it must not
 * take it for its peer's, which has the same secret.
 */
export const prologueOf = (id: string, { dialler, listener, mesh }: Parties): Buffer =>
  Buffer.from(`skein resume 1 ${mesh} ${id} ${dialler} ${listener}`, "latin1")
