/**
 * Ed25519 keys, for the mesh's root and for nodes. A node's key is its libp2p key, so its peer id
 * is its public key. Signing and verifying are synchronous (node:crypto, on Node and Deno alike):
 * about 50 µs and 100–150 µs.
 */
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  verify
} from "node:crypto"
import { privateKeyFromRaw, publicKeyFromRaw } from "@libp2p/crypto/keys"
import type { Ed25519PrivateKey } from "@libp2p/interface"
import { peerIdFromPublicKey, peerIdFromString } from "@libp2p/peer-id"
import { MeshId, PeerKey } from "../../model/Names.ts"

export type SigningKey = Ed25519PrivateKey

export const publicKeyLength = 32
export const signatureLength = 64
export const seedLength = 32

/** DER up to the key itself (RFC 8410): what follows is the 32-byte seed or public key. */
const pkcs8Prefix = Buffer.from("302e020100300506032b657004220420", "hex")
const spkiPrefix = Buffer.from("302a300506032b6570032100", "hex")

const keyObjectOfSeed = (seed: Uint8Array): KeyObject =>
  createPrivateKey({ key: Buffer.concat([pkcs8Prefix, seed]), format: "der", type: "pkcs8" })

const rawPublicKey = (key: KeyObject): Uint8Array =>
  new Uint8Array(createPublicKey(key).export({ format: "der", type: "spki" })).subarray(
    spkiPrefix.length
  )

const seedOf = (key: SigningKey): Uint8Array => key.raw.subarray(0, seedLength)

const signingKeyOfObject = (object: KeyObject): SigningKey => {
  const seed = object.export({ format: "der", type: "pkcs8" }).subarray(pkcs8Prefix.length)
  return signingKeyFromSeed(new Uint8Array(seed))
}

/** Keeps the secret out of logs: whoever prints or serialises something that holds a key. */
const conceal = (key: SigningKey): SigningKey => {
  const shown = () => `[private key of ${peerKeyOf(key.publicKey.raw)}]`
  return Object.defineProperties(key, {
    raw: { enumerable: false },
    toJSON: { value: shown },
    [Symbol.for("nodejs.util.inspect.custom")]: { value: shown },
    [Symbol.for("Deno.customInspect")]: { value: shown }
  })
}

/** The key that a 32-byte seed stands for. */
export const signingKeyFromSeed = (seed: Uint8Array): SigningKey => {
  const object = keyObjectOfSeed(seed)
  const raw = new Uint8Array(seedLength + publicKeyLength)
  raw.set(seed)
  raw.set(rawPublicKey(object), seedLength)
  const key = privateKeyFromRaw(raw)
  // libp2p tells key types apart by length, and 64 bytes is Ed25519's alone.
  if (key.type !== "Ed25519") throw new TypeError(`a ${key.type} key came out of an Ed25519 seed`)
  return conceal(key)
}

export const generateSigningKey = (): SigningKey =>
  signingKeyOfObject(generateKeyPairSync("ed25519").privateKey)

/** Importing a key costs as much as signing with it. Freed with the key. */
const keyObjects = new WeakMap<SigningKey, KeyObject>()

export const signBytes = (key: SigningKey, bytes: Uint8Array): Uint8Array => {
  let object = keyObjects.get(key)
  if (object === undefined) {
    object = keyObjectOfSeed(seedOf(key))
    keyObjects.set(key, object)
  }
  return new Uint8Array(sign(null, bytes, object))
}

/** False for whatever is not a signature by this key over these bytes; never throws. */
export const verifyBytes = (
  publicKey: Uint8Array,
  signature: Uint8Array,
  bytes: Uint8Array
): boolean => {
  if (publicKey.length !== publicKeyLength || signature.length !== signatureLength) return false
  try {
    const key = createPublicKey({
      key: Buffer.concat([spkiPrefix, publicKey]),
      format: "der",
      type: "spki"
    })
    return verify(null, bytes, key, signature)
  } catch {
    return false // 32 bytes that are no point of the curve: nothing can be signed by them
  }
}

export const peerKeyOf = (publicKey: Uint8Array): PeerKey =>
  PeerKey.make(peerIdFromPublicKey(publicKeyFromRaw(publicKey)).toString())

/** The public key inside a peer id; undefined when it holds none, or not an Ed25519 one. */
export const publicKeyOf = (peer: PeerKey): Uint8Array | undefined => {
  try {
    const id = peerIdFromString(peer)
    // One peer, one spelling: a peer id may also be written as a CID.
    return id.type === "Ed25519" && id.toString() === peer ? id.publicKey.raw : undefined
  } catch {
    return undefined // not a peer id at all, which is what undefined says
  }
}

export const meshIdOf = (rootPublicKey: Uint8Array): MeshId =>
  MeshId.make(createHash("sha256").update(rootPublicKey).digest("hex").slice(0, 32))

/** PKCS #8 PEM, as `openssl pkey` reads and writes it. */
export const encodePem = (key: SigningKey): string =>
  keyObjectOfSeed(seedOf(key)).export({ format: "pem", type: "pkcs8" }).toString()

/** Throws when the text is not the PEM of an unencrypted Ed25519 private key. */
export const decodePem = (text: string): SigningKey => {
  const object = createPrivateKey(text)
  if (object.asymmetricKeyType !== "ed25519") {
    throw new TypeError(`holds a key of type ${object.asymmetricKeyType}, not ed25519`)
  }
  return signingKeyOfObject(object)
}
