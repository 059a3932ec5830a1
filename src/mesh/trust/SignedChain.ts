/**
 * A signed leaf (a certificate or an invite) under a path of delegations up to the root:
 *
 *     root key ─signs─► delegation 1 ─its peer signs─► delegation 2 … ─its peer signs─► leaf
 *
 * On the wire: CBOR [1, mesh id, [delegation…], leaf]; each statement is [payload, signature].
 * A signature covers a prefix naming the kind of statement and the mesh, then the payload exactly
 * as it travels: nothing is encoded again before it is checked. The prefix keeps a statement of
 * one kind or mesh from passing for one of another.
 *
 * A later version may add fields to a statement: they are signed with the rest, and ignored by who
 * does not know them. Where that would give away more than is meant (a field that narrows a grant), it
 * names them in `critical`, and who does not know one of those believes nothing of the statement, nor
 * renews it without them. What is around the payloads has one form and takes no additions: nobody has
 * signed it, and two encodings of one statement would be two records of one version.
 */
import { Either, Schema } from "effect"
import { MeshId } from "../../model/Names.ts"
import { PeerKey } from "../../schema/NamesSchema.ts"
import type { RootId } from "../../schema/TrustSchema.ts"
import { Bytes, decodeCbor, encodeCbor } from "./Cbor.ts"
import { CertificateError, type CertificateErrorCode, describeInstant } from "./CertificateError.ts"
import { type Grant, grantFields, type Holding, uncovered } from "./Grant.ts"
import { type SigningKey, signBytes, verifyBytes } from "./SigningKey.ts"

/**
 * Delegations between the root and a leaf. Only a mesh whose every inviter is gone before anybody
 * closer to the root is met gets so far: members who meet shorten each other's paths (Nearness.ts).
 * With every path remembered, it bounds what a stranger can have verified: one signature a delegation.
 */
export const maxDepth = 32
/** Encoded bytes of a whole chain: some 200 a delegation, and 65 for each long pattern in it. */
export const maxChainBytes = 16 * 1024

export type StatementKind = "delegation" | "certificate" | "invite" | "root"

/** Wall clock, ms. */
export const Instant = Schema.Int.pipe(Schema.nonNegative())

/**
 * What every statement says: to whom what is granted, from when until when (ms, wall clock), and which
 * of its further fields must be understood.
 */
export const statementFields = {
  ...grantFields,
  notBefore: Instant,
  notAfter: Instant,
  critical: Schema.optional(
    Schema.Array(Schema.String.pipe(Schema.maxLength(64))).pipe(Schema.maxItems(16))
  )
}

/** Lets `peer` hand on at most this grant. Holding one is what the capability `admit` means. */
export const Delegation = Schema.Struct({ ...statementFields, peer: PeerKey })

export interface Window {
  readonly notBefore: number
  readonly notAfter: number
}

/** Who may sign what, after following the delegations. */
export interface Authorized extends Window {
  /** Raw public key that must have signed the leaf. */
  readonly signer: Uint8Array
  readonly grant: Holding
  /** Where the path begins. */
  readonly root: RootId
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

/** Payload and signature. */
export const Statement = Schema.Tuple(Bytes, Bytes)
// Longer paths decode too, so that they are refused as too deep and not as unreadable.
const Chain = Schema.Tuple(Schema.Literal(1), Bytes, Schema.Array(Bytes), Bytes)

const meshBytes = (mesh: MeshId): Uint8Array => new Uint8Array(Buffer.from(mesh, "hex"))

export const signedBytes = (kind: string, mesh: MeshId, payload: Uint8Array): Uint8Array =>
  Buffer.concat([Buffer.from(`skein ${kind} 1 ${mesh}\n`), payload])

/** @internal its key is of libp2p's types, which whoever has only the declarations lacks */
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

/** Of which mesh it says it is, and what the leaf says, before any signature was looked at. */
export const unverifiedLeaf = (
  bytes: Uint8Array,
  what: string
): Either.Either<{ readonly mesh: MeshId; readonly payload: Uint8Array }, CertificateError> =>
  Either.gen(function* () {
    const [, mesh, , leaf] = yield* decodeCbor(Chain, bytes, what)
    const [payload] = yield* decodeCbor(Statement, leaf, what)
    return { mesh: MeshId.make(Buffer.from(mesh).toString("hex")), payload }
  })

interface Said extends Grant, Window {
  readonly critical?: ReadonlyArray<string> | undefined
}

/** Reads one statement that must be signed by `under.signer` and stay within `under.grant`. */
export const openStatement = <A extends Said, I>(
  schema: Schema.Schema<A, I> & { readonly fields: Readonly<Record<string, unknown>> },
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
        `the ${kind} is not signed by ${signer === undefined ? "a root of this mesh" : `peer ${signer}`}: it was altered or forged`
      )
    }
    const statement = yield* decodeCbor(schema, payload, `the ${kind}`)
    const unknown =
      statement.critical?.filter((field) => !Object.hasOwn(schema.fields, field)) ?? []
    if (unknown.length > 0) {
      return yield* fail(
        "too_new",
        `the ${kind} says ${unknown.map((field) => JSON.stringify(field)).join(", ")}, which must be understood and is not by this version: update this node`
      )
    }
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
