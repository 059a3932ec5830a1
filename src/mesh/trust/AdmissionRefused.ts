/**
 * Why two nodes did not connect. Codes are stable. A refusal travels as its code and the clock of
 * the node that refuses, nothing else: an outsider learns no more than that, and the operator of
 * an honest node gets the text that belongs to it.
 */
import { Data } from "effect"
import type { PeerKey } from "../../model/Names.ts"
import { type CertificateErrorCode, describeInstant, describeSpan } from "./CertificateError.ts"
import { Busy } from "./HandshakeGate.ts"

export type RefusalCode =
  | CertificateErrorCode
  /** The peer, or somebody its certificate rests on, was thrown out of the mesh. */
  | "revoked"
  /** Asked to admit or renew by a peer that holds no `admit`. */
  | "cannot_admit"
  /** Another node of the mesh bears the wanted name. */
  | "name_taken"
  /** The invite has let in as many hosts as it may. */
  | "used_up"
  /** The table of connected peers is full. */
  | "full"
  /** What the peer has sent lately was forged, garbage or far too much (PeerConduct.ts). */
  | "cut_off"
  /** Too many handshakes at once; nothing was looked at, and it is to be tried again. */
  | "busy"
  /** Not the message that belongs here. */
  | "protocol"
  /** The other side was silent for too long. */
  | "timeout"
  /** The connection broke during the handshake. */
  | "closed"

export class AdmissionRefused extends Data.TaggedError("AdmissionRefused")<{
  readonly code: RefusalCode
  /** Who refused. Also `us` when the connection broke or stayed silent. */
  readonly by: "us" | "peer"
  /** The peer's wall clock, when it is the peer that refused (ms). */
  readonly clock?: number
  /** Of `revoked`, by us: who was thrown out, the peer or somebody it rests on. */
  readonly outcast?: PeerKey | undefined
  /** Of `revoked`: the signed settings that say so. */
  readonly records?: ReadonlyArray<Uint8Array> | undefined
  /** Of `busy`: to be tried again in so many ms, at the earliest. */
  readonly retryAfter?: number
  readonly message: string
}> {}

/** What a peer's refusal means here. Certificates in these texts are this node's own. */
const explanations: Readonly<Record<RefusalCode, string>> = {
  expired:
    "this node's certificate (or the invite it used) has expired and that peer could not renew it",
  not_yet_valid: "this node's certificate (or the invite it used) is not valid yet for that peer",
  foreign_mesh: "that peer belongs to another mesh; check the address, or join with an invite",
  bad_signature: "this node's certificate is not signed by that peer's mesh; join with an invite",
  too_deep:
    "that peer is too many delegations from the root to pass on the capability admit; ask for an invite of a member closer to it",
  too_large:
    "the certificate would be too large with all that that peer's right rests on; ask for an invite with fewer services, or of another member",
  exceeds_grant: "more is asked for than that peer may grant; ask a member with wider rights",
  wrong_peer: "the certificate or invite shown by this node was made out to another key",
  too_new:
    "this node's certificate (or the invite it used) says what that peer's version does not understand and must; update that peer",
  root_withdrawn:
    "this node's certificate (or the invite it used) stands under a root of the mesh that was withdrawn, and that peer cannot move it: another member with the capability admit may, else join with a new token",
  malformed: "that peer cannot read what this node showed; check that both run the same version",
  revoked:
    "this node or a member that admitted it was thrown out of the mesh, or the invite was taken back",
  cannot_admit: "that peer does not hold the capability admit; ask another member",
  name_taken: "another node of the mesh has this node's name; choose another node.name",
  used_up: "the token has let in as many hosts as it may; ask a member for a new one",
  full: "that peer has no room for more connections; try another",
  cut_off:
    "that peer wants nothing of this node for ten minutes: what came from here was forged, garbled or too much; its log says which. Is this node's program what it should be?",
  busy: "that peer has too many handshakes at once; it is tried again in a moment",
  protocol: "that peer did not expect this; check that both run the same version",
  timeout: "that peer waited for this node in vain; the network or one of the hosts is overloaded",
  closed: "the connection broke during the handshake"
}

const isRefusalCode = (code: string): code is RefusalCode => Object.hasOwn(explanations, code)

/** Clocks further apart than this (ms) are worth a word. */
const noteworthySkew = 30_000

/** The error for a refusal received from a peer. `clock` is the peer's, `now` our own (ms). */
export const refusedByPeer = (
  code: string,
  clock: number,
  now: number,
  records?: ReadonlyArray<Uint8Array>
): AdmissionRefused => {
  const known = isRefusalCode(code) ? code : "protocol"
  const apart = clock - now
  const clocks =
    Math.abs(apart) < noteworthySkew
      ? ""
      : `; its clock reads ${describeInstant(clock)}, ${describeSpan(apart)} ${apart > 0 ? "ahead of" : "behind"} this node's: check time synchronisation on both hosts`
  return new AdmissionRefused({
    code: known,
    by: "peer",
    clock,
    records,
    message: `refused by the peer (${code}): ${explanations[known]}${clocks}`
  })
}

export const refusedByUs = (
  code: RefusalCode,
  message: string,
  records?: ReadonlyArray<Uint8Array>
): AdmissionRefused => new AdmissionRefused({ code, by: "us", message, records })

/** Busy with other handshakes: told before anything was looked at (HandshakeStatus.ts). */
export const busyFor = (by: AdmissionRefused["by"], retryAfter: number): AdmissionRefused => {
  const message =
    by === "us"
      ? `busy with other handshakes; told to come back in ${Math.ceil(retryAfter)} ms`
      : `refused by the peer (busy): ${explanations.busy} (${Math.ceil(retryAfter)} ms)`
  return new AdmissionRefused({ code: "busy", by, retryAfter, message })
}

/** libp2p's and Noise's own failures, in our words. */
export const refusalOf = (cause: unknown): AdmissionRefused => {
  if (cause instanceof AdmissionRefused) return cause
  if (cause instanceof Busy) return busyFor("us", cause.retryAfter)
  const error = cause instanceof Error ? cause : new Error(String(cause))
  if (error.name === "TimeoutError") {
    return refusedByUs("timeout", "the peer did not finish the handshake in time")
  }
  // Noise mixes the mesh id into its keys, so a peer of another mesh fails to decrypt.
  if ("code" in error && error.code === "ERR_INVALID_CRYPTO_EXCHANGE") {
    return refusedByUs(
      "foreign_mesh",
      `the encrypted handshake failed (${error.message}); most likely the peer belongs to another mesh`
    )
  }
  if (error.name === "UnexpectedPeerError") {
    return refusedByUs(
      "wrong_peer",
      `another node answers at this address than the one expected: ${error.message}`
    )
  }
  return refusedByUs(
    "closed",
    `the connection broke during the handshake (${error.message || error.name}); the peer's log says whether it refused this node or belongs to another mesh`
  )
}
