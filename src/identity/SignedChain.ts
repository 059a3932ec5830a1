/**
 * A signed leaf (a certificate or an invite) under a path of delegations up to the root:
 *
 *     root key ─signs─► delegation 1 ─its peer signs─► delegation 2 … ─its peer signs─► leaf
 *
 * On the wire: CBOR [1, mesh id, [delegation…], leaf]; each statement is [payload, signature].
 * A signature covers a prefix naming the kind of statement and the mesh, then the payload exactly
 * as it travels: nothing is encoded again before it is checked. The prefix keeps a statement of
 * one kind or mesh from passing for one of another.
 */
import { Either, Schema } from "effect"
import { type MeshId, PeerKey } from "../model/Names.ts"
import { Bytes, decodeCbor, encodeCbor } from "./Cbor.ts"
import { CertificateError, type CertificateErrorCode, describeInstant } from "./CertificateError.ts"
import { everything, type Grant, grantFields, grantsCapability, uncovered } from "./Grant.ts"
import { meshIdOf, publicKeyOf, type SigningKey, signBytes, verifyBytes } from "./SigningKey.ts"

/** Delegations between the root and a leaf. */
export const maxDepth = 3
/** Encoded bytes of a whole chain. */
export const maxChainBytes = 16 * 1024

export type StatementKind = "delegation" | "certificate" | "invite"

const Instant = Schema.Int.pipe(Schema.nonNegative())

/** What every statement says: to whom what is granted, and from when until when (ms, wall clock). */
export const statementFields = { ...grantFields, notBefore: Instant, notAfter: Instant }

/** Lets `peer` hand on at most this grant. Holding one is what the capability `admit` means. */
const Delegation = Schema.Struct({ ...statementFields, peer: PeerKey })

export interface Window {
  readonly notBefore: number
  readonly notAfter: number
}

/** Who may sign what, after following the delegations. */
export interface Authorized extends Window {
  /** Raw public key that must have signed the leaf. */
  readonly signer: Uint8Array
  readonly grant: Grant
  /** Peers on the path, root first; empty when the root itself signs. */
  readonly issuers: ReadonlyArray<PeerKey>
}

export interface SignedChain {
  readonly mesh: Uint8Array
  /** Root first. */
  readonly delegations: ReadonlyArray<Uint8Array>
  readonly leaf: Uint8Array
}

export const chainError = (code: CertificateErrorCode, message: string) =>
  new CertificateError({ code, message })

const fail = (code: CertificateErrorCode, message: string) => Either.left(chainError(code, message))

const Statement = Schema.Tuple(Bytes, Bytes)
// Longer paths decode too, so that they are refused as too deep and not as unreadable.
const Chain = Schema.Tuple(Schema.Literal(1), Bytes, Schema.Array(Bytes), Bytes)

const meshBytes = (mesh: MeshId): Uint8Array => new Uint8Array(Buffer.from(mesh, "hex"))

export const signedBytes = (kind: string, mesh: MeshId, payload: Uint8Array): Uint8Array =>
  Buffer.concat([Buffer.from(`skein ${kind} 1 ${mesh}\n`), payload])

export const signStatement = (
  key: SigningKey,
  kind: StatementKind,
  mesh: MeshId,
  statement: object
): Uint8Array => {
  const payload = encodeCbor(statement)
  return encodeCbor([payload, signBytes(key, signedBytes(kind, mesh, payload))])
}

export const encodeChain = (
  mesh: MeshId,
  delegations: ReadonlyArray<Uint8Array>,
  leaf: Uint8Array
): Uint8Array => encodeCbor([1, meshBytes(mesh), delegations, leaf])

export const decodeChain = (
  bytes: Uint8Array,
  mesh: MeshId,
  what: string
): Either.Either<SignedChain, CertificateError> => {
  if (bytes.length > maxChainBytes) {
    return fail("malformed", `${what} is ${bytes.length} bytes long; ${maxChainBytes} is the limit`)
  }
  return Either.flatMap(decodeCbor(Chain, bytes, what), ([, from, delegations, leaf]) => {
    const claimed = Buffer.from(from).toString("hex")
    if (claimed !== mesh) {
      return fail(
        "foreign_mesh",
        `${what} belongs to mesh ${claimed}, this node to mesh ${mesh}; join with an invite of this mesh`
      )
    }
    return Either.right({ mesh: from, delegations, leaf })
  })
}

/** What the leaf says, before any signature was looked at. */
export const unverifiedPayload = (
  bytes: Uint8Array,
  what: string
): Either.Either<Uint8Array, CertificateError> =>
  decodeCbor(Chain, bytes, what).pipe(
    Either.flatMap(([, , , leaf]) => decodeCbor(Statement, leaf, what)),
    Either.map(([payload]) => payload)
  )

/** Reads one statement that must be signed by `under.signer` and stay within `under.grant`. */
export const openStatement = <A extends Grant & Window, I>(
  schema: Schema.Schema<A, I>,
  kind: StatementKind,
  mesh: MeshId,
  under: Authorized,
  bytes: Uint8Array
): Either.Either<A, CertificateError> =>
  Either.gen(function* () {
    const [payload, signature] = yield* decodeCbor(Statement, bytes, `the ${kind}`)
    if (!verifyBytes(under.signer, signature, signedBytes(kind, mesh, payload))) {
      const signer = under.issuers.at(-1)
      return yield* fail(
        "bad_signature",
        `the ${kind} is not signed by ${signer === undefined ? "the root of this mesh" : `peer ${signer}`}: it was altered or forged`
      )
    }
    const statement = yield* decodeCbor(schema, payload, `the ${kind}`)
    if (statement.notAfter <= statement.notBefore) {
      return yield* fail(
        "malformed",
        `the ${kind} ends (${describeInstant(statement.notAfter)}) before it begins`
      )
    }
    const excess = uncovered(under.grant, statement)
    if (excess.length > 0) {
      return yield* fail(
        "exceeds_grant",
        `the ${kind} grants ${excess.join(", ")}, which its signer does not hold`
      )
    }
    return statement
  })

/** Follows delegations from the root. Signatures and rights only: time is judged by the caller. */
export const followDelegations = (
  root: Uint8Array,
  delegations: ReadonlyArray<Uint8Array>
): Either.Either<Authorized, CertificateError> =>
  Either.gen(function* () {
    if (delegations.length > maxDepth) {
      return yield* fail(
        "too_deep",
        `${delegations.length} delegations lie between the root and the signer; ${maxDepth} is the limit`
      )
    }
    const mesh = meshIdOf(root)
    let under: Authorized = {
      signer: root,
      grant: everything,
      issuers: [],
      notBefore: 0,
      notAfter: Number.POSITIVE_INFINITY
    }
    for (const bytes of delegations) {
      const delegation = yield* openStatement(Delegation, "delegation", mesh, under, bytes)
      const signer = publicKeyOf(delegation.peer)
      if (signer === undefined) {
        return yield* fail(
          "malformed",
          `the delegation's peer ${delegation.peer} has no usable key`
        )
      }
      if (!grantsCapability(delegation, "admit")) {
        return yield* fail(
          "exceeds_grant",
          `peer ${delegation.peer} signs for others without the capability admit`
        )
      }
      under = {
        signer,
        grant: { services: delegation.services, capabilities: delegation.capabilities },
        issuers: [...under.issuers, delegation.peer],
        notBefore: Math.max(under.notBefore, delegation.notBefore),
        notAfter: Math.min(under.notAfter, delegation.notAfter)
      }
    }
    return under
  })
