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
import { createHash } from "node:crypto"
import { Either, Schema } from "effect"
import type { MeshId } from "../../model/Names.ts"
import { PeerKey } from "../../schema/NamesSchema.ts"
import type { BoundedCache } from "./BoundedCache.ts"
import { Bytes, decodeCbor, encodeCbor } from "./Cbor.ts"
import { CertificateError, type CertificateErrorCode, describeInstant } from "./CertificateError.ts"
import {
  type Grant,
  grantFields,
  grantOf,
  grantsCapability,
  type Holding,
  rootHolding,
  uncovered
} from "./Grant.ts"
import { meshIdOf, publicKeyOf, type SigningKey, signBytes, verifyBytes } from "./SigningKey.ts"

/**
 * Delegations between the root and a leaf. Only a mesh whose every inviter is gone before anybody
 * closer to the root is met gets so far: members who meet shorten each other's paths (Nearness.ts).
 * With every path remembered, it bounds what a stranger can have verified: one signature a delegation.
 */
export const maxDepth = 32
/** Encoded bytes of a whole chain: some 200 a delegation, and 65 for each long pattern in it. */
export const maxChainBytes = 16 * 1024

export type StatementKind = "delegation" | "certificate" | "invite"

const Instant = Schema.Int.pipe(Schema.nonNegative())

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
const Delegation = Schema.Struct({ ...statementFields, peer: PeerKey })

export interface Window {
  readonly notBefore: number
  readonly notAfter: number
}

/** Who may sign what, after following the delegations. */
export interface Authorized extends Window {
  /** Raw public key that must have signed the leaf. */
  readonly signer: Uint8Array
  readonly grant: Holding
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

/** What the leaf says, before any signature was looked at. */
export const unverifiedPayload = (
  bytes: Uint8Array,
  what: string
): Either.Either<Uint8Array, CertificateError> =>
  decodeCbor(Chain, bytes, what).pipe(
    Either.flatMap(([, , , leaf]) => decodeCbor(Statement, leaf, what)),
    Either.map(([payload]) => payload)
  )

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
        `the ${kind} is not signed by ${signer === undefined ? "the root of this mesh" : `peer ${signer}`}: it was altered or forged`
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

/** Paths whose signatures were good, by hash: members' chains begin alike, and are shown often. */
export type PathCache = BoundedCache<Authorized>

const onPath = (before: Uint8Array, next: Uint8Array): Buffer =>
  createHash("sha256").update(before).update(next).digest()

/** One name for each beginning of the path: of all that was signed up to there, and the root. */
const namePaths = (
  root: Uint8Array,
  delegations: ReadonlyArray<Uint8Array>
): ReadonlyArray<string> => {
  let name = onPath(Buffer.from("path\n"), root)
  return delegations.map((bytes) => {
    name = onPath(name, bytes)
    return name.toString("base64")
  })
}

/** Follows delegations from the root. Signatures and rights only: time is judged by the caller. */
export const followDelegations = (
  root: Uint8Array,
  delegations: ReadonlyArray<Uint8Array>,
  cache?: PathCache
): Either.Either<Authorized, CertificateError> =>
  Either.gen(function* () {
    if (delegations.length > maxDepth) {
      return yield* fail(
        "too_deep",
        `${delegations.length} delegations lie between the root and the signer; ${maxDepth} is the limit`
      )
    }
    const mesh = meshIdOf(root)
    const names = cache === undefined ? [] : namePaths(root, delegations)
    let under: Authorized = {
      signer: root,
      grant: rootHolding,
      issuers: [],
      notBefore: 0,
      notAfter: Number.POSITIVE_INFINITY
    }
    let known = names.length
    while (known > 0) {
      const remembered = cache?.get(names[known - 1]!)
      if (remembered !== undefined) {
        under = remembered
        break
      }
      known--
    }
    for (const [index, bytes] of delegations.entries()) {
      if (index < known) continue
      under = yield* followDelegation(mesh, under, bytes)
      cache?.set(names[index]!, under)
    }
    return under
  })

/** One step of the path: who may sign after it, and what. */
const followDelegation = (
  mesh: MeshId,
  under: Authorized,
  bytes: Uint8Array
): Either.Either<Authorized, CertificateError> =>
  Either.gen(function* () {
    const delegation = yield* openStatement(Delegation, "delegation", mesh, under, bytes)
    const signer = publicKeyOf(delegation.peer)
    if (signer === undefined) {
      return yield* fail("malformed", `the delegation's peer ${delegation.peer} has no usable key`)
    }
    if (!grantsCapability(delegation, "admit")) {
      return yield* fail(
        "exceeds_grant",
        `peer ${delegation.peer} signs for others without the capability admit`
      )
    }
    return {
      signer,
      grant: grantOf(delegation),
      issuers: [...under.issuers, delegation.peer],
      notBefore: Math.max(under.notBefore, delegation.notBefore),
      notAfter: Math.min(under.notAfter, delegation.notAfter)
    }
  })
