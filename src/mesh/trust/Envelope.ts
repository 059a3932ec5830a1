/**
 * A record signed by the node that says it, with that node's certificate chain inside: whoever
 * knows the mesh's roots can check it, whichever way it came. On the wire: CBOR
 * [1, chain, payload, signature]; the signature covers kind, mesh, chain and payload as they travel,
 * so that nobody can put an older, wider chain of the same signer in place of the one it used.
 */
import { createHash } from "node:crypto"
import { Data, Either, Schema } from "effect"
import type { MeshId, PeerKey } from "../../model/Names.ts"
import { BoundedCache } from "./BoundedCache.ts"
import { Bytes, decodeCbor, encodeCbor } from "./Cbor.ts"
import { ChainCache, type VerifiedCertificate, verifyChain } from "./Certificate.ts"
import type { CertificateErrorCode } from "./CertificateError.ts"
import type { NodeIdentity } from "./NodeIdentity.ts"
import type { Roots } from "./Roots.ts"
import { maxChainBytes, signedBytes } from "./SignedChain.ts"
import { publicKeyOf, signBytes, verifyBytes } from "./SigningKey.ts"

export class EnvelopeError extends Data.TaggedError("EnvelopeError")<{
  readonly code: CertificateErrorCode | "too_large"
  readonly message: string
}> {}

const Wire = Schema.Tuple(Schema.Literal(1), Bytes, Bytes, Bytes)

const signedText = (
  kind: string,
  mesh: MeshId,
  chain: Uint8Array,
  payload: Uint8Array
): Uint8Array =>
  signedBytes(
    `envelope ${kind}`,
    mesh,
    Buffer.concat([createHash("sha256").update(chain).digest(), payload])
  )

/**
 * Signed bytes for others to open with the same `kind` (e.g. `node-record`).
 *
 * @internal its keys are of libp2p's types, which whoever has only the declarations lacks
 */
export const sealEnvelope = (
  identity: NodeIdentity,
  kind: string,
  payload: Uint8Array
): Uint8Array =>
  encodeCbor([
    1,
    identity.chain,
    payload,
    signBytes(identity.privateKey, signedText(kind, identity.mesh, identity.chain, payload))
  ])

/**
 * Remembers what was verified, so that a record that comes by several ways (gossip, anti-entropy,
 * disk) costs one hash after the first time. Holds no payloads.
 */
export class EnvelopeCache {
  readonly chains: ChainCache
  /** By hash of mesh, kind and bytes. */
  readonly signatures: BoundedCache<true>

  constructor(limit = 8_192, chains = new ChainCache()) {
    this.chains = chains
    this.signatures = new BoundedCache(limit)
  }
}

export interface OpenOptions {
  readonly roots: Roots
  /** Reads what stands under a withdrawn root too (default: no); see `VerifyOptions`. */
  readonly evenWithdrawn?: boolean | undefined
  /** Wall clock, ms. */
  readonly now: number
  readonly kind: string
  /** Of the payload. */
  readonly maxBytes: number
  /** Default `defaultSkew`. */
  readonly skew?: number | undefined
  /**
   * For how long after the end of its signer's certificate a record is still read (ms, default
   * 0). For records that outlive their owner's presence, such as tombstones.
   */
  readonly expiredGrace?: number | undefined
  readonly cache?: EnvelopeCache | undefined
}

export interface OpenedEnvelope {
  readonly peer: PeerKey
  readonly certificate: VerifiedCertificate
  /** A view into the bytes that were opened. */
  readonly payload: Uint8Array
}

const fail = (code: EnvelopeError["code"], message: string) =>
  Either.left(new EnvelopeError({ code, message }))

export const openEnvelope = (
  bytes: Uint8Array,
  options: OpenOptions
): Either.Either<OpenedEnvelope, EnvelopeError> =>
  Either.gen(function* () {
    const { roots, now, kind, maxBytes, cache } = options
    const what = `the signed ${kind}`
    const envelopeOverhead = 128
    if (bytes.length > maxBytes + maxChainBytes + envelopeOverhead) {
      return yield* fail("too_large", `${what} is ${bytes.length} bytes long`)
    }
    const [, chain, payload, signature] = yield* decodeCbor(Wire, bytes, what)
    if (payload.length > maxBytes) {
      return yield* fail(
        "too_large",
        `${what} holds ${payload.length} bytes; ${maxBytes} is the limit`
      )
    }
    const certificate = yield* verifyChain(chain, {
      roots,
      evenWithdrawn: options.evenWithdrawn,
      now,
      skew: options.skew,
      expiredGrace: options.expiredGrace,
      cache: cache?.chains
    })
    const hash = createHash("sha256")
      .update(roots.mesh)
      .update(`${kind}\n`)
      .update(bytes)
      .digest("base64")
    if (cache?.signatures.get(hash) !== true) {
      const signer = publicKeyOf(certificate.peer)
      const signed = signedText(kind, roots.mesh, chain, payload)
      if (signer === undefined || !verifyBytes(signer, signature, signed)) {
        return yield* fail(
          "bad_signature",
          `${what} is not signed by ${certificate.name}, whose certificate it carries`
        )
      }
      cache?.signatures.set(hash, true)
    }
    return { peer: certificate.peer, certificate, payload }
  }).pipe(
    Either.mapLeft((error) =>
      error._tag === "EnvelopeError"
        ? error
        : new EnvelopeError({ code: error.code, message: error.message })
    )
  )
