import { inspect } from "node:util"
import { describe, expect, it } from "vitest"
import { PeerKey } from "../../model/Names.ts"
import {
  decodePem,
  encodePem,
  generateSigningKey,
  meshIdOf,
  peerKeyOf,
  publicKeyOf,
  signBytes,
  signingKeyFromSeed,
  verifyBytes
} from "./SigningKey.ts"

const hex = (text: string) => new Uint8Array(Buffer.from(text, "hex"))

describe("SigningKey", () => {
  it("is Ed25519 as in RFC 8032 §7.1, test 2", () => {
    const key = signingKeyFromSeed(
      hex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
    )
    expect(Buffer.from(key.publicKey.raw).toString("hex")).toBe(
      "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
    )
    const signature = signBytes(key, hex("72"))
    expect(Buffer.from(signature).toString("hex")).toBe(
      "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )
    expect(verifyBytes(key.publicKey.raw, signature, hex("72"))).toBe(true)
    expect(verifyBytes(key.publicKey.raw, signature, hex("73"))).toBe(false)
  })

  it("answers nonsense with false", () => {
    const none = new Uint8Array()
    expect(verifyBytes(none, none, none)).toBe(false)
    expect(verifyBytes(new Uint8Array(32).fill(255), new Uint8Array(64), none)).toBe(false)
  })

  it("does not show itself in logs", () => {
    const key = signingKeyFromSeed(new Uint8Array(32).fill(7))
    const holder = { privateKey: key, copied: { ...key } }
    const shown = [JSON.stringify(holder), inspect(holder, { depth: 9 }), String(key)].join()
    expect(shown).toContain(`[private key of ${peerKeyOf(key.publicKey.raw)}]`)
    expect(shown).not.toMatch(/7,\s*7,|"0":7|: 7,|BwcHBw|070707/)
  })

  it("survives PEM", () => {
    const key = generateSigningKey()
    expect(decodePem(encodePem(key)).equals(key)).toBe(true)
    expect(() => decodePem("")).toThrow()
    const ec = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgevZzL1gdAFr88hb2
OF/2NxApJCzGCEDdfSp6VQO30hyhRANCAAQRWz+jn65BtOMvdyHKcvjBeBSDZH2r
1RTwjmYSi9R/zpBnuQ4EiMnCqfMPWiZqB4QdbAd0E7oH50VpuZ1P087G
-----END PRIVATE KEY-----`
    expect(() => decodePem(ec)).toThrow(/ec, not ed25519/)
  })

  it("is found again from its peer id", () => {
    const { publicKey } = signingKeyFromSeed(new Uint8Array(32).fill(1))
    const peer = peerKeyOf(publicKey.raw)
    expect(peer).toMatch(/^12D3Koo/)
    expect(publicKeyOf(peer)).toEqual(publicKey.raw)
    // An RSA peer id is a hash, and holds no key.
    expect(
      publicKeyOf(PeerKey.make("QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N"))
    ).toBeUndefined()
    expect(publicKeyOf(PeerKey.make("1111111111111111111111111"))).toBeUndefined()
  })

  it("names its mesh by a hash", () => {
    expect(meshIdOf(new Uint8Array(32))).toBe("66687aadf862bd776c8fc18b8e9f8e20")
  })
})
