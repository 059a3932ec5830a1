import { Either, Schema } from "effect"
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { NodeName } from "../../model/Names.ts"
import { Bytes, decodeCbor, encodeCbor } from "./Cbor.ts"
import { EnvelopeCache, type OpenOptions, openEnvelope, sealEnvelope } from "./Envelope.ts"
import { enrol, foundMesh } from "./FoundMesh.ts"
import { certificateLifetime } from "./Issue.ts"
import type { NodeIdentity } from "./NodeIdentity.ts"
import { signingKeyFromSeed } from "./SigningKey.ts"

const now = 1_800_000_000_000
const key = (n: number) => signingKeyFromSeed(new Uint8Array(32).fill(n))
const found = (n: number): NodeIdentity =>
  Either.getOrThrow(
    foundMesh({
      rootKey: key(n),
      privateKey: key(2),
      meshName: "test",
      nodeName: NodeName.make("first"),
      now
    })
  )
const first = found(1)
const grant = { services: ["shop-*"], capabilities: [] }
const second = Either.getOrThrow(
  enrol(first, { privateKey: key(3), name: NodeName.make("second"), grant, now })
)
const payload = new TextEncoder().encode("what a node says of itself")
const options: OpenOptions = {
  roots: first.roots,
  now,
  kind: "node-record",
  maxBytes: 1_024
}
const sealed = sealEnvelope(second, "node-record", payload)
const codeOf = (bytes: Uint8Array, changes: Partial<OpenOptions> = {}) => {
  const opened = openEnvelope(bytes, { ...options, ...changes })
  return Either.isLeft(opened) ? opened.left.code : "ok"
}

describe("an envelope", () => {
  it("gives back what was sealed, and who did it with which rights", () => {
    const opened = Either.getOrThrow(openEnvelope(sealed, options))
    expect(opened.payload).toEqual(payload)
    expect(opened.peer).toBe(second.peer)
    expect(opened.certificate).toMatchObject({ name: "second", services: ["shop-*"] })
  })

  it("is good for its kind, its mesh and its time", () => {
    expect(codeOf(sealed, { kind: "policy" })).toBe("bad_signature")
    expect(codeOf(sealed, { roots: found(9).roots })).toBe("foreign_mesh")
    const later = now + 2 * certificateLifetime
    expect(codeOf(sealed, { now: later })).toBe("expired")
    expect(codeOf(sealed, { now: later, expiredGrace: certificateLifetime })).toBe("ok")
    expect(codeOf(sealed, { maxBytes: payload.length - 1 })).toBe("too_large")
    expect(codeOf(new Uint8Array(100_000))).toBe("too_large")
  })

  it("is not believed under a wider certificate of the same signer", () => {
    const wide = { services: ["*"], capabilities: [] }
    const before = Either.getOrThrow(
      enrol(first, { privateKey: key(3), name: NodeName.make("second"), grant: wide, now })
    )
    const [, , , signature] = Either.getOrThrow(
      decodeCbor(Schema.Tuple(Schema.Literal(1), Bytes, Bytes, Bytes), sealed, "it")
    )
    expect(codeOf(encodeCbor([1, before.chain, payload, signature]))).toBe("bad_signature")
  })

  it("is not believed under another's certificate, nor from a twin of the key in another mesh", () => {
    const stolen = sealEnvelope({ ...second, privateKey: key(7) }, "node-record", payload)
    expect(codeOf(stolen)).toBe("bad_signature")
    // The same key is a member of both meshes; what it said in one is not replayed in the other.
    const elsewhere = found(9)
    expect(elsewhere.peer).toBe(first.peer)
    const replayed = sealEnvelope({ ...elsewhere, chain: first.chain }, "node-record", payload)
    expect(codeOf(replayed)).toBe("bad_signature")
  })

  it("believes no altered bit, with and without memory", () => {
    const cache = new EnvelopeCache()
    expect(codeOf(sealed, { cache })).toBe("ok")
    fc.assert(
      fc.property(fc.integer({ min: 0, max: sealed.length * 8 - 1 }), (bit) => {
        const altered = sealed.slice()
        altered[bit >> 3]! ^= 1 << (bit & 7)
        expect(codeOf(altered)).not.toBe("ok")
        expect(codeOf(altered, { cache })).not.toBe("ok")
      }),
      { seed: 31, numRuns: 800 }
    )
    expect(cache.signatures.size).toBe(1)
  })

  it("survives any bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(codeOf(bytes)).toBe("malformed")
      }),
      { seed: 32, numRuns: 1_000 }
    )
    expect(codeOf(encodeCbor([1, first.chain, payload]))).toBe("malformed")
  })

  it("is remembered by kind, and forgotten at the limit", () => {
    const cache = new EnvelopeCache(2)
    expect(codeOf(sealed, { cache })).toBe("ok")
    expect(codeOf(sealed, { cache, kind: "policy" })).toBe("bad_signature")
    expect(codeOf(sealed, { cache, now: now + 2 * certificateLifetime })).toBe("expired")
    for (let n = 0; n < 5; n++) {
      codeOf(sealEnvelope(second, "node-record", new Uint8Array([n])), { cache })
    }
    expect(cache.signatures.size).toBe(2)
    expect(codeOf(sealed, { cache })).toBe("ok")
  })
})
