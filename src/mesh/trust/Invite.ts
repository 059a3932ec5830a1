/**
 * What lets a new host in: a grant with an end and places to knock, signed by a member. Whoever
 * holds the token may join until it expires. The token is a secret (an Ed25519 seed) and a signed
 * chain whose leaf holds the secret's public half; it never leaves its holder, who shows a claim
 * instead (InviteClaim.ts).
 */
import { createHash, randomBytes } from "node:crypto"
import { Either, Schema } from "effect"
import type { MeshId, PeerKey } from "../../model/Names.ts"
import { explainInLine } from "../../schema/ExplainIssue.ts"
import { InviteId } from "../../schema/TrustSchema.ts"
import { Bytes, decodeCbor } from "./Cbor.ts"
import { type ChainCache, defaultSkew, judgeTime } from "./Certificate.ts"
import { type CertificateError, describeInstant, describeSpan } from "./CertificateError.ts"
import { underRoots } from "./DelegationPath.ts"
import { type Grant, grantOf, requestFields, uncovered } from "./Grant.ts"
import { type InviteLimits, inviteLimits } from "./InviteLimits.ts"
import { decodeToken, encodeToken, InviteError } from "./InviteToken.ts"
import { backdate, requireRoom } from "./Issue.ts"
import type { Authority, NodeIdentity } from "./NodeIdentity.ts"
import { Roots } from "./Roots.ts"
import {
  chainError,
  decodeChain,
  encodeChain,
  openStatement,
  signStatement,
  statementFields,
  unverifiedLeaf
} from "./SignedChain.ts"
import { publicKeyLength, type SigningKey, seedLength, signingKeyFromSeed } from "./SigningKey.ts"

/** Bootstrap addresses in one invite. */
export const maxBootstrap = 8
/** The longest an invite may be valid (30 days, in ms). */
export const maxInviteLifetime = 30 * 86_400_000

const KeyBytes = Bytes.pipe(Schema.filter((bytes) => bytes.length === publicKeyLength))

/** A multiaddr that ends in the peer id that must answer there. */
const BootstrapAddress = Schema.String.pipe(
  Schema.maxLength(256),
  Schema.pattern(/^\/.+\/p2p\/[1-9A-HJ-NP-Za-km-z]{20,128}$/, {
    message: (issue) =>
      `${JSON.stringify(issue.actual)} is no bootstrap address; write a multiaddr with a peer id, like /ip4/10.0.0.1/tcp/4001/p2p/12D3Koo…`
  })
)

export const MeshName = Schema.String.pipe(
  Schema.pattern(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/, {
    message: () => "a mesh name is 1–63 of A–Z, a–z, 0–9, '.', '_' and '-'"
  })
)

const InviteStatement = Schema.Struct({
  ...statementFields,
  ...inviteLimits,
  root: KeyBytes,
  meshName: MeshName,
  /** Of forms that this version does not know, too: those are passed over. */
  bootstrap: Schema.Array(Schema.String.pipe(Schema.maxLength(512))).pipe(Schema.maxItems(64)),
  holder: KeyBytes
})

/** What this version signs. */
const OwnInvite = Schema.Struct({
  ...InviteStatement.fields,
  ...requestFields,
  bootstrap: Schema.Array(BootstrapAddress).pipe(Schema.minItems(1), Schema.maxItems(maxBootstrap))
})

const isBootstrapAddress = Schema.is(BootstrapAddress)

/** By what an invite is named where its secret must not be: in settings, logs and lists. */
export const inviteIdOf = (holder: Uint8Array): InviteId =>
  InviteId.make(
    createHash("sha256").update("skein invite\n").update(holder).digest("hex").slice(0, 32)
  )

/** Of the limits, those that there are: who does not know one must not let anybody in by it. */
const limitsOf = ({ names, uses }: InviteLimits) => {
  const limits = { ...(names !== undefined && { names }), ...(uses !== undefined && { uses }) }
  const critical = Object.keys(limits)
  return { ...limits, ...(critical.length > 0 && { critical }) }
}

export interface Invite extends InviteLimits {
  readonly id: InviteId
  readonly mesh: MeshId
  readonly meshName: string
  /** Of the root that it was made under, which need not be the mesh's first. */
  readonly rootPublicKey: Uint8Array
  /** Multiaddrs with peer ids, to be tried in this order. */
  readonly bootstrap: ReadonlyArray<string>
  readonly grant: Grant
  /** Wall clock, ms. */
  readonly expiresAt: number
  /** The member that made it; undefined when the root key did. */
  readonly issuer: PeerKey | undefined
  /** Public half as signed, private half from the token. */
  readonly secret: SigningKey
  readonly chain: Uint8Array
}

export interface InviteOptions {
  readonly bootstrap: ReadonlyArray<string>
  readonly grant: Grant
  readonly limits?: InviteLimits | undefined
  /** Milliseconds. */
  readonly ttl: number
  readonly now: number
  /** 32 random bytes; by default from the system. */
  readonly seed?: Uint8Array
}

/** The token, as one line of text. Fails when this node may not grant so much, or for so long. */
export const createInvite = (
  identity: NodeIdentity,
  options: InviteOptions
): Either.Either<string, CertificateError> =>
  Either.gen(function* () {
    const { authority } = identity
    if (authority === undefined) {
      return yield* Either.left(
        chainError(
          "exceeds_grant",
          `node ${identity.name} does not hold the capability admit; make the invite on a node that does`
        )
      )
    }
    const excess = uncovered(authority.grant, options.grant)
    if (excess.length > 0) {
      return yield* Either.left(
        chainError(
          "exceeds_grant",
          `node ${identity.name} cannot grant ${excess.join(", ")}: it does not hold that itself`
        )
      )
    }
    const latest = Math.min(options.now + maxInviteLifetime, authority.notAfter)
    const notAfter = options.now + options.ttl
    if (!(options.ttl > 0) || notAfter > latest) {
      return yield* Either.left(
        chainError(
          "exceeds_grant",
          `an invite for ${describeSpan(options.ttl)} is not possible: ${
            latest === authority.notAfter
              ? `this node's own right to admit ends at ${describeInstant(latest)}`
              : `the longest is ${describeSpan(maxInviteLifetime)}`
          }`
        )
      )
    }
    const secret = signingKeyFromSeed(options.seed ?? randomBytes(seedLength))
    const statement = yield* Either.mapLeft(
      Schema.validateEither(OwnInvite)({
        ...grantOf(options.grant),
        root: rootKeyOf(identity, authority),
        meshName: identity.meshName,
        bootstrap: options.bootstrap,
        holder: secret.publicKey.raw,
        ...limitsOf(options.limits ?? {}),
        notBefore: Math.max(0, Math.floor(options.now) - backdate),
        notAfter: Math.floor(notAfter)
      }),
      ({ issue }) => chainError("malformed", `this invite cannot be made: ${explainInLine(issue)}`)
    )
    const leaf = signStatement(authority.key, "invite", identity.mesh, statement)
    // A joiner knows the root that its token names, and so nothing that lies above that.
    const { delegations, depth } = authority
    const path = delegations.slice(delegations.length - depth)
    const chain = encodeChain(identity.mesh, path, leaf)
    yield* requireRoom("the invite", authority.delegations.length, chain.length)
    return encodeToken(Buffer.concat([secret.raw.subarray(0, seedLength), chain]))
  })

const rootKeyOf = ({ roots }: NodeIdentity, { root }: Authority): Uint8Array =>
  roots.get(root)?.publicKey ?? roots.founder

/** The statement of an invite and the path above it, by signatures alone: what time says of it is not judged. */
export const openInvite = (chain: Uint8Array, roots: Roots, cache?: ChainCache) =>
  Either.gen(function* () {
    const { mesh } = roots
    const decoded = yield* decodeChain(chain, mesh, "the invite")
    return yield* underRoots(
      roots,
      decoded.delegations,
      (path) =>
        Either.map(openStatement(InviteStatement, "invite", mesh, path, decoded.leaf), (leaf) => ({
          leaf,
          path
        })),
      cache?.paths
    )
  })

/** Mesh and root that an invite names for itself; only to be believed for a token one was handed. */
const claimedRoots = (chain: Uint8Array): Either.Either<Roots, CertificateError> =>
  Either.gen(function* () {
    const { mesh, payload } = yield* unverifiedLeaf(chain, "the invite")
    const { root } = yield* decodeCbor(InviteStatement, payload, "the invite")
    return Roots.claimed(mesh, root)
  })

export interface ParseOptions {
  /** The mesh it must be for, when the node is in one already. */
  readonly mesh?: MeshId | undefined
  /** Default `defaultSkew`. */
  readonly skew?: number | undefined
}

/** Reads a token. `now` is the wall clock in ms. */
export const parseInvite = (
  text: string,
  now: number,
  options: ParseOptions = {}
): Either.Either<Invite, InviteError> =>
  Either.gen(function* () {
    const body = yield* decodeToken(text)
    const refuse = (code: InviteError["code"], message: string) =>
      new InviteError({ code, message })
    const forged = ({ code, message }: CertificateError) =>
      code === "too_new"
        ? refuse("too_new", message)
        : refuse("forged", `the token is complete, but no member of a mesh made it so: ${message}`)
    const seed = body.slice(0, seedLength)
    const chain = body.slice(seedLength)
    const roots = yield* Either.mapLeft(claimedRoots(chain), forged)
    const { leaf, path } = yield* Either.mapLeft(openInvite(chain, roots), forged)
    const secret = signingKeyFromSeed(seed)
    if (Buffer.compare(secret.publicKey.raw, leaf.holder) !== 0) {
      return yield* Either.left(refuse("forged", "the token's secret is not that of its invite"))
    }
    if (options.mesh !== undefined && roots.mesh !== options.mesh) {
      return yield* Either.left(
        refuse(
          "foreign_mesh",
          `the token invites to mesh ${leaf.meshName} (${roots.mesh}), but this node is a member of mesh ${options.mesh}; use another data directory to join a second mesh`
        )
      )
    }
    const bootstrap = leaf.bootstrap
      .filter((text) => isBootstrapAddress(text))
      .slice(0, maxBootstrap)
    if (bootstrap.length === 0) {
      const message =
        "the token leads to no address that this version knows how to reach: update it"
      return yield* Either.left(refuse("too_new", message))
    }
    const window = {
      notBefore: Math.max(leaf.notBefore, path.notBefore),
      notAfter: Math.min(leaf.notAfter, path.notAfter)
    }
    yield* Either.mapLeft(
      judgeTime("the invite", window, now, options.skew ?? defaultSkew),
      ({ code, message }) =>
        code === "expired"
          ? refuse("expired", `${message}; otherwise ask a member for a new one`)
          : refuse("not_yet_valid", message)
    )
    return {
      id: inviteIdOf(leaf.holder),
      uses: leaf.uses,
      names: leaf.names,
      mesh: roots.mesh,
      meshName: leaf.meshName,
      rootPublicKey: leaf.root,
      bootstrap,
      grant: grantOf(leaf),
      expiresAt: window.notAfter,
      issuer: path.issuers.at(-1),
      secret,
      chain
    }
  })
