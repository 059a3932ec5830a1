/**
 * The arithmetic of Noise XX by node:crypto. What libp2p's Noise brings by itself derives keys in JavaScript and
 * has both keys of each exchange decoded from DER, which takes OpenSSL as long as the exchange. What is computed,
 * and so what is said, is the same.
 */
import {
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  hash,
  hkdfSync,
  type KeyObject
} from "node:crypto"
import type { ICryptoInterface, KeyPair } from "@chainsafe/libp2p-noise"
import { defaultCrypto } from "@chainsafe/libp2p-noise/crypto"
import type { PrivateKey } from "@libp2p/interface"

type Bytes = Parameters<ICryptoInterface["hashSHA256"]>[0]

const keyLength = 32

/** Of keys that were made here, by their bytes: importing a key costs as much as using it. Freed with them. */
const imported = new WeakMap<Bytes, KeyObject>()

const bytesOf = (text: string | undefined): Buffer => Buffer.from(text ?? "", "base64url")

const generate = (): KeyPair => {
  const key = generateKeyPairSync("x25519").privateKey
  const { d, x } = key.export({ format: "jwk" })
  const privateKey = bytesOf(d)
  imported.set(privateKey, key)
  return { privateKey, publicKey: bytesOf(x) }
}

const shared = (own: Bytes, theirs: Bytes): Uint8Array => {
  const privateKey = imported.get(own)
  // Of a seed that somebody has set: not one of these.
  if (privateKey === undefined) return defaultCrypto.generateX25519SharedKey(own, theirs)
  const x = Buffer.from(theirs.subarray()).toString("base64url")
  // By way of JWK: OpenSSL's DER decoder takes as long as the exchange.
  const publicKey = createPublicKey({ key: { kty: "OKP", crv: "X25519", x }, format: "jwk" })
  return diffieHellman({ privateKey, publicKey })
}

const derive: ICryptoInterface["getHKDF"] = (chain, material) => {
  const all = Buffer.from(hkdfSync("sha256", material, chain, "", 3 * keyLength))
  return [
    all.subarray(0, keyLength),
    all.subarray(keyLength, 2 * keyLength),
    all.subarray(2 * keyLength)
  ]
}

/** For `noise({ crypto })`. Messages are sealed as ever. */
export const noiseCrypto: ICryptoInterface = {
  ...defaultCrypto,
  hashSHA256: (data) => hash("sha256", data.subarray(), "buffer"),
  getHKDF: derive,
  generateX25519KeyPair: generate,
  generateX25519SharedKey: shared
}

/**
 * For Noise, which has its one static key signed by the node's at every handshake: the same words, and so, with
 * Ed25519, the same signature.
 */
export const signsOnce = (key: PrivateKey): PrivateKey => {
  let last:
    | { readonly words: Buffer; readonly signature: ReturnType<PrivateKey["sign"]> }
    | undefined
  const sign: PrivateKey["sign"] = (data, options) => {
    const words = Buffer.from(data.subarray())
    if (last?.words.equals(words) === true) return last.signature
    const made = { words, signature: key.sign(data, options) }
    last = made
    // Whoever asked hears of it; who asks next has it tried again.
    Promise.resolve(made.signature).catch(() => {
      if (last === made) last = undefined
    })
    return made.signature
  }
  return Object.create(key, { sign: { value: sign } })
}
