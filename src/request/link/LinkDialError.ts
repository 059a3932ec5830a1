/** Why there is no link to a peer, with what to do about it. */
import type { NodeName, PeerKey } from "../../model/Names.ts"
import { reasonOf } from "../../model/Reason.ts"
import type { LinkRefusal } from "../wire/LinkPreface.ts"

export type LinkDialErrorCode =
  /** Nobody has said where the peer is. */
  | "no_address"
  /** Nothing at its addresses spoke with us. */
  | "unreachable"
  /** It spoke with us, and has refused. */
  | "refused"
  /** The mesh threads have no session with it. */
  | "no_session"

/** What became of one address. */
export interface DialFailure {
  readonly address: string
  readonly reason: string
  /** When it was the peer (or another node there) that refused. */
  readonly refusal: LinkRefusal | undefined
  readonly error: Error | undefined
}

export class LinkDialError extends Error {
  override readonly name = "LinkDialError"
  readonly code: LinkDialErrorCode
  readonly attempts: ReadonlyArray<DialFailure>

  constructor(
    code: LinkDialErrorCode,
    message: string,
    attempts: ReadonlyArray<DialFailure> = [],
    cause?: unknown
  ) {
    super(message, cause === undefined ? undefined : { cause })
    this.code = code
    this.attempts = attempts
  }
}

export const noAddress = (peer: PeerKey, addresses: ReadonlyArray<string>): LinkDialError => {
  const given = addresses.slice(0, 3).join(", ")
  const known =
    addresses.length === 0
      ? `no address of the node ${peer} is known; its record has not come yet, or announces none`
      : `no address of the node ${peer} is one for TCP (${given}); let it announce /ip4/ADDRESS/tcp/PORT`
  return new LinkDialError("no_address", known)
}

const told = (attempts: ReadonlyArray<DialFailure>): string =>
  attempts.map(({ address, reason }) => `${address}: ${reason}`).join("; ")

export const unreachable = (
  peerName: NodeName,
  attempts: ReadonlyArray<DialFailure>
): LinkDialError => {
  const errors = attempts.flatMap(({ error }) => (error === undefined ? [] : [error]))
  const what = `no address of ${peerName} leads to it`
  const cause = errors.length === 1 ? errors[0] : new AggregateError(errors, what)
  return new LinkDialError("unreachable", `${what}: ${told(attempts)}`, attempts, cause)
}

/** What each refusal means for who reads the log: the likely cause, and the mend. */
const meanings: Readonly<Record<LinkRefusal, string>> = {
  version: "it speaks another version of links; run the same release on both hosts",
  malformed: "it could not read what we said; something between the hosts changes it",
  unknown_session:
    "it does not know the session, although it was asked for a new one; its mesh thread is late, or another node has taken its address",
  session_ended:
    "it has ended the session, although it was asked for a new one; the certificate of one of the two was revoked or is past its time, or their clocks differ (`skein doctor`)",
  busy: "it has as many links or handshakes as it takes at a time; it was asked again until the time for the attempt was over",
  other_thread: "each of its threads sends us to another; that is a bug in that node",
  not_genuine:
    "it holds another secret for the session, although it was asked for a new one; something between the hosts changes what they say, or that is a bug",
  replayed: "it has seen these very words before; something between the hosts repeats them"
}

export const refusedBy = (
  peerName: NodeName,
  refusal: LinkRefusal,
  attempts: ReadonlyArray<DialFailure>
): LinkDialError => {
  const address = attempts.find((it) => it.refusal === refusal)?.address ?? "its address"
  const others = attempts.filter((it) => it.address !== address)
  const besides = others.length === 0 ? "" : `; ${told(others)}`
  const message = `${peerName} at ${address} refused a link (${refusal}): ${meanings[refusal]}${besides}`
  return new LinkDialError("refused", message, attempts)
}

export const noSession = (peer: PeerKey, cause: unknown): LinkDialError => {
  const why = reasonOf(cause)
  const message = `there is no session with the node ${peer} to make a link from: ${why}`
  return new LinkDialError("no_session", message, [], cause)
}
