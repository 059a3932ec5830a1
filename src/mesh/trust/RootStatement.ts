/**
 * What a root says of the roots of its mesh, signed by its key:
 *
 * - `added`: a further root belongs to the mesh. With it comes a *cross-certificate*, a delegation of
 *   everything to the new root's key, by which those follow its chains too who have not heard of it;
 * - `withdrawn`: from now on this root and those that it adds are all there are. It names whom of the
 *   others' members it takes over, and which of their settings.
 *
 * On the wire [payload, signature], like every signed statement. What of it is believed is said by Roots.ts.
 */
import { createHash } from "node:crypto"
import { Either, Schema } from "effect"
import type { MeshId, NodeName, PeerKey } from "../../model/Names.ts"
import { Bytes, decodeCbor, encodeCbor } from "./Cbor.ts"
import type { CertificateError } from "./CertificateError.ts"
import { everything, type Grant } from "./Grant.ts"
import {
  chainError,
  Instant,
  Statement,
  signedBytes,
  signStatement,
  type Window
} from "./SignedChain.ts"
import { peerKeyOf, publicKeyLength, type SigningKey, verifyBytes } from "./SigningKey.ts"

export const rootLimits = {
  /** Members that one withdrawal takes over though their certificates do not stand under its root. */
  stay: 512,
  /** Settings that it keeps. */
  kept: 768,
  /** Bytes of a statement: what fits into a setting, and into a message of the handshake. */
  bytes: 24 * 1024
} as const

const markBytes = 16

const Key = Bytes.pipe(Schema.filter((bytes) => bytes.length === publicKeyLength))
const Mark = Bytes.pipe(Schema.filter((bytes) => bytes.length === markBytes))

const said = {
  /** Public key of the root that signs. */
  by: Key,
  /** Wall clock of its node, ms. */
  at: Instant
}

const Added = Schema.Struct({ say: Schema.Literal("added"), ...said, root: Key, cross: Bytes })

const Withdrawn = Schema.Struct({
  say: Schema.Literal("withdrawn"),
  ...said,
  /** Those of the withdrawn roots' members that are signed for anew when they come (`memberMark`). */
  stay: Schema.Array(Mark).pipe(Schema.maxItems(rootLimits.stay)),
  /** Those settings under withdrawn roots that hold on (`settingMark`). */
  kept: Schema.Array(Mark).pipe(Schema.maxItems(rootLimits.kept))
})

const RootSaid = Schema.Union(Added, Withdrawn)
export type RootSaid = typeof RootSaid.Type
export type AddedRoot = typeof Added.Type
export type WithdrawnRoots = typeof Withdrawn.Type

/** What it says, before anybody looked at the signature; one of a later form cannot be read. */
export const readRootStatement = (bytes: Uint8Array): Either.Either<RootSaid, CertificateError> =>
  bytes.length > rootLimits.bytes
    ? Either.left(chainError("malformed", `the root's statement is ${bytes.length} bytes long`))
    : Either.flatMap(decodeCbor(Statement, bytes, "the root's statement"), ([payload]) =>
        decodeCbor(RootSaid, payload, "the root's statement")
      )

/** Is it signed by the root that it says it is of? */
export const isRootSigned = (bytes: Uint8Array, mesh: MeshId, by: Uint8Array): boolean =>
  Either.match(decodeCbor(Statement, bytes, "the root's statement"), {
    onLeft: () => false,
    onRight: ([payload, signature]) =>
      verifyBytes(by, signature, signedBytes("root", mesh, payload))
  })

/**
 * @internal its keys are of libp2p's types, which whoever has only the declarations lacks
 */
export const addRoot = (
  by: SigningKey,
  mesh: MeshId,
  root: Uint8Array,
  at: number,
  /** Of the cross-certificate. */
  window: Window
): Uint8Array => {
  const cross = signStatement(by, "delegation", mesh, {
    peer: peerKeyOf(root),
    ...everything,
    ...window
  })
  return signStatement(by, "root", mesh, {
    ...({ say: "added", by: by.publicKey.raw, at, root, cross } satisfies AddedRoot)
  })
}

/** @internal its keys are of libp2p's types, which whoever has only the declarations lacks */
export const withdrawOthers = (
  by: SigningKey,
  mesh: MeshId,
  { at, kept, stay }: Pick<WithdrawnRoots, "at" | "kept" | "stay">
): Uint8Array =>
  signStatement(by, "root", mesh, {
    ...({ say: "withdrawn", by: by.publicKey.raw, at, stay, kept } satisfies WithdrawnRoots)
  })

const mark = (...parts: ReadonlyArray<string | Uint8Array>): Uint8Array => {
  const hash = createHash("sha256")
  for (const part of parts) hash.update(part)
  return new Uint8Array(hash.digest().subarray(0, markBytes))
}

/** A member with just these rights, whatever signs for it: a stolen root grants it no others. */
export const memberMark = (member: Grant & { readonly peer: PeerKey; readonly name: NodeName }) =>
  mark(
    "skein member\n",
    encodeCbor([
      member.peer,
      member.name,
      [...new Set(member.services)].sort(),
      [...new Set(member.capabilities)].sort(),
      [...new Set(member.speaks)].sort()
    ])
  )

/** One signed version of a setting, byte by byte. */
export const settingMark = (envelope: Uint8Array): Uint8Array => mark("skein setting\n", envelope)
