import { randomBytes } from "node:crypto"
import { pureJsCrypto } from "@chainsafe/libp2p-noise"
import { defaultCrypto } from "@chainsafe/libp2p-noise/crypto"
import { describe, expect, it } from "vitest"
import { noiseCrypto, signsOnce } from "./NoiseCrypto.ts"
import { generateSigningKey } from "./SigningKey.ts"

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex")

describe("Noise's arithmetic by node:crypto", () => {
  it("derives and hashes what its own does", () => {
    for (let n = 0; n < 20; n++) {
      const [chain, data] = [randomBytes(32), randomBytes(n * 7)]
      expect(hex(noiseCrypto.hashSHA256(data))).toBe(hex(pureJsCrypto.hashSHA256(data)))
      expect(noiseCrypto.getHKDF(chain, data).map(hex)).toEqual(
        pureJsCrypto.getHKDF(chain, data).map(hex)
      )
    }
  })

  it("agrees with who has another on the same secret, by keys of either", () => {
    for (const others of [pureJsCrypto, defaultCrypto, noiseCrypto]) {
      const [ours, theirs] = [noiseCrypto.generateX25519KeyPair(), others.generateX25519KeyPair()]
      const secret = noiseCrypto.generateX25519SharedKey(ours.privateKey, theirs.publicKey)
      const asTheyHaveIt = others.generateX25519SharedKey(theirs.privateKey, ours.publicKey)
      expect(hex(secret)).toBe(hex(asTheyHaveIt))
      expect([ours.privateKey.length, ours.publicKey.length, secret.length]).toEqual([32, 32, 32])
    }
  })

  it("takes keys that it did not make", () => {
    const [seed, other] = [randomBytes(32), pureJsCrypto.generateX25519KeyPair()]
    const made = noiseCrypto.generateX25519KeyPairFromSeed(seed)
    expect(hex(made.publicKey)).toBe(
      hex(pureJsCrypto.generateX25519KeyPairFromSeed(seed).publicKey)
    )
    expect(hex(noiseCrypto.generateX25519SharedKey(made.privateKey, other.publicKey))).toBe(
      hex(pureJsCrypto.generateX25519SharedKey(other.privateKey, made.publicKey))
    )
  })

  it("makes another key each time", () => {
    const keys = Array.from({ length: 20 }, () => noiseCrypto.generateX25519KeyPair())
    expect(new Set(keys.map(({ publicKey }) => hex(publicKey))).size).toBe(20)
    expect(new Set(keys.map(({ privateKey }) => hex(privateKey))).size).toBe(20)
  })

  it("agrees on nothing with a key by which everybody would know the secret", () => {
    const { privateKey } = noiseCrypto.generateX25519KeyPair()
    for (const first of [0, 1]) {
      const lowOrder = Buffer.alloc(32)
      lowOrder[0] = first
      expect(() => noiseCrypto.generateX25519SharedKey(privateKey, lowOrder)).toThrow()
    }
  })
})

describe("a key that signs the same words at every handshake", () => {
  it("signs them once, and others anew", async () => {
    const key = generateSigningKey()
    const sut = signsOnce(key)
    const [words, others] = [randomBytes(60), randomBytes(60)]
    const first = sut.sign(words)
    expect(sut.sign(Buffer.from(words))).toBe(first)
    expect(await key.publicKey.verify(words, await first)).toBe(true)
    expect(await key.publicKey.verify(others, await sut.sign(others))).toBe(true)
    expect(await key.publicKey.verify(words, await sut.sign(words))).toBe(true)
    expect(hex(await sut.sign(words))).toBe(hex(await key.sign(words)))
  })

  it("signs again what it failed to sign", async () => {
    const key = generateSigningKey()
    let failing = true
    const sometimes = async (data: Parameters<typeof key.sign>[0]) => {
      if (failing) throw new Error("no randomness")
      return await key.sign(data)
    }
    const sut = signsOnce(Object.create(key, { sign: { value: sometimes } }))
    const words = randomBytes(60)
    await expect(sut.sign(words)).rejects.toThrow("no randomness")
    failing = false
    const signature = sut.sign(words)
    expect(await key.publicKey.verify(words, await signature)).toBe(true)
    expect(sut.sign(words)).toBe(signature)
  })

  it("is the same key otherwise, and shows itself to nobody", () => {
    const key = generateSigningKey()
    const sut = signsOnce(key)
    expect([sut.type, sut.publicKey, hex(sut.raw)]).toEqual([key.type, key.publicKey, hex(key.raw)])
    expect(JSON.stringify(sut)).not.toContain(Buffer.from(key.raw).toString("base64").slice(0, 20))
    expect(JSON.stringify(sut)).toContain("[private key of")
  })
})
