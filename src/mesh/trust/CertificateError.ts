/**
 * Why a chain of signatures was not believed. Codes are stable: they stand in logs and metrics
 * and travel in refusals. Messages are for the operator of the node that says them.
 */
import { Data } from "effect"

export type CertificateErrorCode =
  /** A statement of the chain is over, by this node's clock. */
  | "expired"
  /** A statement begins later, by this node's clock. */
  | "not_yet_valid"
  /** Rooted in another mesh. */
  | "foreign_mesh"
  /** Signed by a key other than the one that had to. */
  | "bad_signature"
  /** More delegations than a chain may have. */
  | "too_deep"
  /** More bytes than a chain may have. */
  | "too_large"
  /** Hands on more than its signer holds. */
  | "exceeds_grant"
  /** Genuine, but another peer's. */
  | "wrong_peer"
  /** Says what has to be understood, and is not by this version. */
  | "too_new"
  /** Rooted in what was a root of this mesh, and was withdrawn. */
  | "root_withdrawn"
  /** Not the encoding of a chain. */
  | "malformed"

export class CertificateError extends Data.TaggedError("CertificateError")<{
  readonly code: CertificateErrorCode
  readonly message: string
}> {}

/** A length of time for people, in its two largest units: `2 d 3 h`, `41 s`. */
export const describeSpan = (milliseconds: number): string => {
  const units = [
    ["d", 86_400_000],
    ["h", 3_600_000],
    ["min", 60_000],
    ["s", 1_000]
  ] as const
  let rest = Math.abs(milliseconds)
  const parts: Array<string> = []
  for (const [name, length] of units) {
    const count = Math.floor(rest / length)
    if (count > 0) parts.push(`${count} ${name}`)
    rest -= count * length
    if (parts.length === 2 || (parts.length === 1 && count === 0)) break
  }
  return parts.length === 0 ? "less than a second" : parts.join(" ")
}

export const describeInstant = (milliseconds: number): string => {
  const date = new Date(milliseconds)
  // Any safe integer may stand in a signed statement; Date ends in the year 275760.
  return Number.isNaN(date.getTime()) ? `${milliseconds} ms` : date.toISOString()
}
