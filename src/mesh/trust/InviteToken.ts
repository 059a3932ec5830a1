/**
 * The text form of an invite: what is copied from one terminal to another.
 *
 *     skein1.<base64url of: length (u32) | body | checksum (4)>
 *
 * Length and checksum tell a token that was cut off or damaged in copying from a forged one.
 */
import { createHash } from "node:crypto"
import { Data, Either } from "effect"

export type InviteErrorCode =
  | "not_a_token"
  | "truncated"
  | "corrupted"
  | "forged"
  /** For nodes of other names. */
  | "wrong_name"
  /** Of another mesh than the one this node is in. */
  | "foreign_mesh"
  | "expired"
  | "not_yet_valid"
  /** Made by a later version, for what this one does not know. */
  | "too_new"

/** Why a token is refused; told to whoever typed it. */
export class InviteError extends Data.TaggedError("InviteError")<{
  readonly code: InviteErrorCode
  readonly message: string
}> {}

const prefix = "skein1."
const lengthBytes = 4
const checksumBytes = 4

/** Bytes in the body of a token: a secret and a signed chain. */
export const maxBodyBytes = 20 * 1024

const maxTokenBytes = lengthBytes + maxBodyBytes + checksumBytes

const fail = (code: InviteErrorCode, message: string) =>
  Either.left(new InviteError({ code, message }))

const checksum = (body: Uint8Array): Buffer =>
  createHash("sha256").update(body).digest().subarray(0, checksumBytes)

export const encodeToken = (body: Uint8Array): string => {
  const length = Buffer.alloc(lengthBytes)
  length.writeUInt32BE(body.length)
  return prefix + Buffer.concat([length, body, checksum(body)]).toString("base64url")
}

/** The body inside the text, exactly as `encodeToken` took it. */
export const decodeToken = (text: string): Either.Either<Uint8Array, InviteError> => {
  // Terminals and mail programs wrap long lines; blanks are never part of a token.
  const token = text.replace(/\s+/g, "")
  if (!token.startsWith(prefix)) {
    return prefix.startsWith(token) && token.length > 0
      ? fail("truncated", `the token breaks off after ${token.length} characters; copy all of it`)
      : fail("not_a_token", `an invite token begins with ${prefix}; this does not`)
  }
  const encoded = token.slice(prefix.length)
  if (encoded.length > Math.ceil((maxTokenBytes * 4) / 3)) {
    return fail("corrupted", `the token has ${token.length} characters, more than any invite`)
  }
  if (!/^[A-Za-z0-9_-]*$/.test(encoded)) {
    return fail(
      "corrupted",
      "the token contains characters that do not belong in it; copy it again"
    )
  }
  const bytes = Buffer.from(encoded, "base64url")
  const expected = bytes.length < lengthBytes ? undefined : bytes.readUInt32BE(0)
  const total = expected === undefined ? undefined : lengthBytes + expected + checksumBytes
  if (total !== undefined && total > maxTokenBytes) {
    return fail("corrupted", "the beginning of the token was altered; copy it again")
  }
  if (total === undefined || bytes.length < total) {
    return fail(
      "truncated",
      `the token breaks off after ${token.length} characters${total === undefined ? "" : ` of ${prefix.length + Math.ceil((total * 4) / 3)}`}; copy all of it`
    )
  }
  const body = bytes.subarray(lengthBytes, total - checksumBytes)
  const isExact = bytes.length === total && bytes.toString("base64url") === encoded
  if (!isExact || !checksum(body).equals(bytes.subarray(total - checksumBytes))) {
    return fail(
      "corrupted",
      "the token was altered in copying (its checksum is wrong); copy it again"
    )
  }
  return Either.right(new Uint8Array(body))
}
