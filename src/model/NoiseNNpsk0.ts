/**
 * Noise_NNpsk0_25519_AESGCM_SHA256 (noiseprotocol.org, revision 34): two who share a secret prove
 * it to each other and get keys that only this handshake has, in one message each way.
 *
 *     initiator ── psk, e ──► responder
 *     initiator ◄── e, ee ─── responder
 *
 * Who learns the secret later cannot read what was recorded before: both ephemeral keys are gone by
 * then. A first message that was made without the secret is refused before the responder has done
 * anything dear (no Diffie-Hellman). One that is repeated is not: that is for who calls to see.
 *
 * An instance serves one handshake; what fails leaves it of no further use.
 */
import {
  createCipheriv,
  createDecipheriv,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  hash,
  hkdfSync,
  type KeyObject
} from "node:crypto"

const protocol = "Noise_NNpsk0_25519_AESGCM_SHA256"
const algorithm = "aes-256-gcm"

/** Of a public key, of the secret, of keys and hashes alike. */
export const noiseKeyLength = 32
const tagLength = 16
/** What a message is longer than its payload: an ephemeral key and a tag. */
export const noiseOverhead = noiseKeyLength + tagLength

/** The message was not made by who knows the secret, for this handshake; or it was changed. */
export class NoiseError extends Error {
  override readonly name = "NoiseError"
}

export interface NoiseOptions {
  /** 32 bytes that both have. */
  readonly secret: Uint8Array
  /** What both must agree on without saying it here. */
  readonly prologue: Uint8Array
  /** For tests: otherwise a fresh one. */
  readonly ephemeral?: EphemeralKey
}

export interface EphemeralKey {
  readonly privateKey: KeyObject
  /** The bare 32 bytes. */
  readonly publicKey: Buffer
}

/** What the handshake ends with. */
export interface NoiseKeys {
  readonly send: Buffer
  readonly receive: Buffer
  /** The same on both sides, and of no other handshake. */
  readonly hash: Buffer
}

/** The pair of an X25519 private key. */
export const ephemeralKey = (privateKey: KeyObject): EphemeralKey => {
  // By way of JWK: OpenSSL's DER decoder takes as long as a key exchange.
  const { x } = privateKey.export({ format: "jwk" })
  return { privateKey, publicKey: Buffer.from(x ?? "", "base64url") }
}

const freshKey = (): EphemeralKey => ephemeralKey(generateKeyPairSync("x25519").privateKey)

const shared = ({ privateKey }: EphemeralKey, theirs: Buffer): Buffer => {
  const key = { kty: "OKP", crv: "X25519", x: theirs.toString("base64url") }
  try {
    return diffieHellman({ privateKey, publicKey: createPublicKey({ key, format: "jwk" }) })
  } catch (cause) {
    // A point of low order: the result would be known to everybody.
    throw new NoiseError("the peer's ephemeral key is none", { cause })
  }
}

/** The specification's SymmetricState, with its CipherState: each key seals one message here. */
class SymmetricState {
  #chain: Uint8Array = Buffer.from(protocol, "latin1") // 32 bytes: its own hash, by the rules
  #hash: Buffer = Buffer.from(protocol, "latin1")
  #key: Uint8Array = noKey

  get hash(): Buffer {
    return this.#hash
  }

  mixHash(data: Uint8Array): void {
    this.#hash = hash("sha256", Buffer.concat([this.#hash, data]), "buffer")
  }

  mixKey(material: Uint8Array): void {
    const [chain, key] = this.#derive(material, 2)
    this.#chain = chain!
    this.#key = key!
  }

  mixKeyAndHash(material: Uint8Array): void {
    const [chain, mixed, key] = this.#derive(material, 3)
    this.#chain = chain!
    this.mixHash(mixed!)
    this.#key = key!
  }

  /** Noise's e in a pattern with a psk. */
  mixEphemeral(publicKey: Uint8Array): void {
    this.mixHash(publicKey)
    this.mixKey(publicKey)
  }

  encryptAndHash(plain: Uint8Array): Buffer {
    const cipher = createCipheriv(algorithm, this.#key, firstNonce, gcm)
    cipher.setAAD(this.#hash)
    const sealed = Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()])
    this.mixHash(sealed)
    return sealed
  }

  decryptAndHash(sealed: Buffer): Buffer {
    const decipher = createDecipheriv(algorithm, this.#key, firstNonce, gcm)
    decipher.setAAD(this.#hash)
    const end = sealed.length - tagLength
    decipher.setAuthTag(sealed.subarray(end))
    const plain = decipher.update(sealed.subarray(0, end))
    try {
      decipher.final()
    } catch (cause) {
      throw new NoiseError("the message is not genuine", { cause })
    }
    this.mixHash(sealed)
    return plain
  }

  /** Keys for the initiator's direction and for the responder's. */
  split(): readonly [Buffer, Buffer] {
    const [forth, back] = this.#derive(nothing, 2)
    return [forth!, back!]
  }

  /** Noise's HKDF is RFC 5869's, with the chaining key for a salt and no info. */
  #derive(material: Uint8Array, count: number): ReadonlyArray<Buffer> {
    const length = count * noiseKeyLength
    const all = Buffer.from(hkdfSync("sha256", material, this.#chain, nothing, length))
    return Array.from({ length: count }, (_, i) =>
      all.subarray(i * noiseKeyLength, (i + 1) * noiseKeyLength)
    )
  }
}

const nothing = Buffer.alloc(0)
const noKey = nothing
/** Each key seals one message: the number is always 0. */
const firstNonce = Buffer.alloc(12)
const gcm = { authTagLength: tagLength } as const

const begin = ({ secret, prologue }: NoiseOptions): SymmetricState => {
  if (secret.length !== noiseKeyLength) {
    throw new RangeError(`the secret has ${secret.length} bytes, not ${noiseKeyLength}`)
  }
  const state = new SymmetricState()
  state.mixHash(prologue)
  state.mixKeyAndHash(secret)
  return state
}

/** Cut into the ephemeral key and the rest. */
const cut = (message: Uint8Array): readonly [Buffer, Buffer] => {
  if (message.length < noiseOverhead) {
    throw new NoiseError(`the message has ${message.length} bytes; it cannot be so short`)
  }
  const bytes = Buffer.from(message) // a copy: the key is kept
  return [bytes.subarray(0, noiseKeyLength), bytes.subarray(noiseKeyLength)]
}

export class NoiseInitiator {
  readonly #state: SymmetricState
  readonly #ephemeral: EphemeralKey

  constructor(options: NoiseOptions) {
    this.#state = begin(options)
    this.#ephemeral = options.ephemeral ?? freshKey()
  }

  /** The first message. To be called once. */
  write(payload: Uint8Array): Buffer {
    const { publicKey } = this.#ephemeral
    this.#state.mixEphemeral(publicKey)
    return Buffer.concat([publicKey, this.#state.encryptAndHash(payload)])
  }

  /** The second message; throws a NoiseError. */
  read(message: Uint8Array): { readonly payload: Buffer; readonly keys: NoiseKeys } {
    const state = this.#state
    const [theirs, sealed] = cut(message)
    state.mixEphemeral(theirs)
    state.mixKey(shared(this.#ephemeral, theirs))
    const payload = state.decryptAndHash(sealed)
    const [send, receive] = state.split()
    return { payload, keys: { send, receive, hash: state.hash } }
  }
}

export class NoiseResponder {
  readonly #state: SymmetricState
  readonly #fixed: EphemeralKey | undefined
  #theirs: Buffer = nothing

  constructor(options: NoiseOptions) {
    this.#state = begin(options)
    this.#fixed = options.ephemeral
  }

  /** The initiator's ephemeral key: what makes its message one of a kind. After `read`. */
  get theirs(): Buffer {
    return this.#theirs
  }

  /** The first message; throws a NoiseError. No Diffie-Hellman yet. */
  read(message: Uint8Array): Buffer {
    const [theirs, sealed] = cut(message)
    this.#state.mixEphemeral(theirs)
    const payload = this.#state.decryptAndHash(sealed)
    this.#theirs = theirs
    return payload
  }

  /** The second message. */
  write(payload: Uint8Array): { readonly message: Buffer; readonly keys: NoiseKeys } {
    const state = this.#state
    const own = this.#fixed ?? freshKey()
    state.mixEphemeral(own.publicKey)
    state.mixKey(shared(own, this.#theirs))
    const message = Buffer.concat([own.publicKey, state.encryptAndHash(payload)])
    const [receive, send] = state.split()
    return { message, keys: { send, receive, hash: state.hash } }
  }
}
