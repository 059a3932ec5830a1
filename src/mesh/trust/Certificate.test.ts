import { decode } from "cborg"
import { Either } from "effect"
import fc from "fast-check"
import { describe, expect, it, vi } from "vitest"
import { NodeName } from "../../model/Names.ts"
import { encodeCbor } from "./Cbor.ts"
import { ChainCache, defaultSkew, type VerifyOptions, verifyChain } from "./Certificate.ts"
import { enrol, foundMesh } from "./FoundMesh.ts"
import { everything, type Grant, rootHolding, uncovered } from "./Grant.ts"
import {
  backdate,
  certificateLifetime,
  delegationLifetime,
  issueCertificate,
  issueDelegation,
  type Subject
} from "./Issue.ts"
import type { Authority, NodeIdentity } from "./NodeIdentity.ts"
import { Roots } from "./Roots.ts"
import { encodeChain, maxChainBytes, maxDepth, signStatement } from "./SignedChain.ts"
import { meshIdOf, peerKeyOf, type SigningKey, signingKeyFromSeed } from "./SigningKey.ts"

/** Counts the signatures that are checked, each a quarter of a millisecond. */
const signatures = vi.hoisted(() => ({ checked: 0 }))
vi.mock(import("./SigningKey.ts"), async (original) => {
  const real = await original()
  return {
    ...real,
    verifyBytes: (...args) => {
      signatures.checked++
      return real.verifyBytes(...args)
    }
  }
})

const now = 1_800_000_000_000
const key = (n: number) => signingKeyFromSeed(new Uint8Array(32).fill(n))
const peerOf = (signer: SigningKey) => peerKeyOf(signer.publicKey.raw)
const name = NodeName.make("host-a")
const admin: Grant = { services: ["*"], capabilities: ["admit"] }

const rootKey = key(1)
const root = rootKey.publicKey.raw
const mesh = meshIdOf(root)
const roots = Roots.founded(root)
const rootAuthority: Authority = {
  mesh,
  root: roots.newest.id,
  key: rootKey,
  delegations: [],
  depth: 0,
  grant: rootHolding,
  notAfter: Number.POSITIVE_INFINITY
}
const subject: Subject = {
  peer: peerOf(key(2)),
  name,
  grant: { services: ["shop-*"], capabilities: [] }
}

const delegate = (from: Authority, to: SigningKey, grant: Grant, at = now): Authority => ({
  mesh,
  root: from.root,
  key: to,
  depth: from.depth + 1,
  delegations: Either.getOrThrow(issueDelegation(from, peerOf(to), grant, at)),
  grant,
  notAfter: Math.min(from.notAfter, at + delegationLifetime)
})
/** An authority that signs without asking what it may. */
const lawless = (authority: Authority): Authority => ({
  ...authority,
  grant: rootHolding,
  notAfter: Number.POSITIVE_INFINITY
})
/** A path of so many delegations, each with all of `admin`. */
const delegatedTo = (depth: number): Authority => {
  let authority = rootAuthority
  for (let n = 0; n < depth; n++) authority = delegate(authority, key(100 + n), admin)
  return authority
}
/** As large as a delegation gets. */
const wideBytes = () => new Uint8Array(5_000)
const certify = (by: Authority, who = subject, at = now, lifetime?: number) =>
  Either.getOrThrow(issueCertificate(by, who, at, lifetime))
const verify = (bytes: Uint8Array, options: Partial<VerifyOptions> = {}) =>
  verifyChain(bytes, { roots, now, ...options })
const codeOf = (result: ReturnType<typeof verify>) =>
  Either.isLeft(result) ? result.left.code : "ok"
const messageOf = (result: ReturnType<typeof verify>) =>
  Either.isLeft(result) ? result.left.message : ""

/** Signed over whatever is put in, as a faulty or malicious member could. */
const forge = (by: Authority, changes: Record<string, unknown>) =>
  encodeChain(
    mesh,
    by.delegations,
    signStatement(by.key, "certificate", mesh, {
      peer: subject.peer,
      name,
      ...subject.grant,
      notBefore: now,
      notAfter: now + certificateLifetime,
      ...changes
    })
  )

describe("verifyChain", () => {
  it("reads for whom a certificate lets speak, and nothing where it was made without", () => {
    const speaks = ["orders", "web-*"]
    const bytes = certify(rootAuthority, { ...subject, grant: { ...subject.grant, speaks } })
    expect(Either.getOrThrow(verify(bytes)).speaks).toEqual(speaks)
    expect(Either.getOrThrow(verify(certify(rootAuthority))).speaks).toBeUndefined()
    // Byte for byte what was signed before there was such a right.
    const none = certify(rootAuthority, { ...subject, grant: { ...subject.grant, speaks: [] } })
    expect(Buffer.from(none).equals(certify(rootAuthority))).toBe(true)
  })

  it("reads a certificate by the root", () => {
    const certificate = Either.getOrThrow(verify(certify(rootAuthority), { peer: subject.peer }))
    expect(certificate).toMatchObject({
      peer: subject.peer,
      name,
      mesh,
      services: ["shop-*"],
      capabilities: [],
      notBefore: now - backdate,
      notAfter: now + certificateLifetime,
      issuers: []
    })
    expect(certificate.fingerprint).toMatch(/^[0-9a-f]{32}$/)
  })

  it("follows delegations up to the limit, and nobody signs one beyond it", () => {
    const narrow: Grant = { services: ["shop-*"], capabilities: ["admit"] }
    const deepest = delegatedTo(maxDepth)
    const certificate = Either.getOrThrow(verify(certify(deepest)))
    expect(certificate.issuers).toEqual(
      Array.from({ length: maxDepth }, (_, n) => peerOf(key(100 + n)))
    )
    expect(
      Either.getOrThrow(Either.flip(issueDelegation(deepest, subject.peer, narrow, now)))
    ).toMatchObject({ code: "too_deep", message: expect.stringMatching(/closer to the root/) })
    // Without admit there is no further delegation.
    expect(Either.isRight(issueCertificate(deepest, subject, now))).toBe(true)
  })

  it("has room for what its holder signs, or the delegation is not made", () => {
    const wide: Grant = {
      services: Array.from({ length: 64 }, (_, n) => `${String(n).padStart(63, "x")}`),
      capabilities: ["admit"]
    }
    let authority = rootAuthority
    let depth = 0
    for (;;) {
      const next = issueDelegation(authority, peerOf(key(100 + depth)), wide, now)
      if (Either.isLeft(next)) {
        expect(next.left).toMatchObject({
          code: "too_large",
          message: expect.stringMatching(/\d+ bytes .* 16384 is the limit: grant fewer/)
        })
        break
      }
      authority = delegate(authority, key(100 + depth), wide)
      depth++
      const longest = { ...subject, name: NodeName.make("n".repeat(128)), grant: wide }
      expect(certify(authority, longest).length).toBeLessThanOrEqual(maxChainBytes)
      expect(codeOf(verify(certify(authority, longest)))).toBe("ok")
    }
    expect(depth).toBe(2)
    // What is too large by itself is not signed either.
    const full = lawless({ ...authority, delegations: [...authority.delegations, wideBytes()] })
    expect(
      Either.getOrThrow(Either.flip(issueCertificate(full, { ...subject, grant: wide }, now)))
    ).toMatchObject({ code: "too_large" })
  })

  it("is never longer than the delegations it rests on", () => {
    const short = delegate(rootAuthority, key(3), admin, now - delegationLifetime + 3_600_000)
    const certificate = Either.getOrThrow(verify(certify(short)))
    expect(certificate.notAfter).toBe(now + 3_600_000)
    // Also when its signer wrote otherwise.
    const stretched = Either.getOrThrow(verify(forge(lawless(short), {})))
    expect(stretched.notAfter).toBe(now + 3_600_000)
  })

  describe("refuses", () => {
    const first = delegate(rootAuthority, key(3), { services: ["shop-*"], capabilities: ["admit"] })
    const good = certify(first)
    const foreign = { ...rootAuthority, mesh: meshIdOf(key(9).publicKey.raw), key: key(9) }
    const tooDeep = () => {
      const authority = delegatedTo(maxDepth)
      const further = signStatement(authority.key, "delegation", mesh, {
        peer: peerOf(key(13)),
        ...admin,
        notBefore: now,
        notAfter: now + 1
      })
      const delegations = [...authority.delegations, further]
      return forge({ ...authority, key: key(13), delegations }, {})
    }
    const withoutAdmit = () => {
      const bytes = signStatement(rootKey, "delegation", mesh, {
        peer: peerOf(key(3)),
        services: ["*"],
        capabilities: [],
        notBefore: now,
        notAfter: now + 1_000
      })
      return forge({ ...rootAuthority, key: key(3), delegations: [bytes] }, {})
    }
    const asDelegation = () =>
      encodeChain(mesh, [], signStatement(rootKey, "delegation", mesh, decodePayload(good)))

    it.each<[string, string, () => Uint8Array, Partial<VerifyOptions>]>([
      ["one that is over", "expired", () => good, { now: now + certificateLifetime + defaultSkew }],
      [
        "one that has not begun",
        "not_yet_valid",
        () => good,
        { now: now - backdate - defaultSkew - 1 }
      ],
      [
        "one under a delegation that is over",
        "expired",
        () => forge(first, { notAfter: now + 5 * 86_400_000 }),
        { now: now + delegationLifetime + defaultSkew, expiredGrace: 1e12 }
      ],
      ["another mesh's", "foreign_mesh", () => certify(foreign), {}],
      ["one signed by a key outside", "bad_signature", () => certify({ ...foreign, mesh }), {}],
      [
        "one signed by a member without a delegation",
        "bad_signature",
        () => forge({ ...rootAuthority, key: key(3) }, {}),
        {}
      ],
      ["a delegate without admit", "exceeds_grant", withoutAdmit, {}],
      ["too long a path", "too_deep", tooDeep, {}],
      [
        "services beyond its signer's",
        "exceeds_grant",
        () => forge(first, { services: ["*"] }),
        {}
      ],
      [
        "capabilities beyond its signer's",
        "exceeds_grant",
        () => forge(first, { capabilities: ["revoke"] }),
        {}
      ],
      [
        "an immoderate lifetime",
        "exceeds_grant",
        () => forge(rootAuthority, { notAfter: now + 400 * 86_400_000 }),
        {}
      ],
      ["another peer's", "wrong_peer", () => good, { peer: peerOf(key(7)) }],
      ["a name that is none", "malformed", () => forge(rootAuthority, { name: "a b" }), {}],
      [
        "a pattern that is none in any version",
        "malformed",
        () => forge(rootAuthority, { services: ["s p"] }),
        {}
      ],
      [
        "an end before the beginning",
        "malformed",
        () => forge(rootAuthority, { notAfter: now }),
        {}
      ],
      ["a fraction of time", "malformed", () => forge(rootAuthority, { notAfter: now + 0.5 }), {}],
      ["a statement of another kind", "bad_signature", asDelegation, {}],
      ["nothing", "malformed", () => new Uint8Array(), {}],
      ["too much", "malformed", () => new Uint8Array(maxChainBytes + 1), {}],
      ["deep nesting", "malformed", () => new Uint8Array(maxChainBytes).fill(0x81), {}]
    ])("%s: %s", (_, code, make, options) => {
      expect(codeOf(verify(make(), options))).toBe(code)
    })

    it("with words an operator can use", () => {
      expect(messageOf(verify(good, { now: now + certificateLifetime + 7_380_000 }))).toMatch(
        /certificate of host-a expired at 20\d\d-.*Z, 2 h 3 min ago by this node's clock .*time synchronisation/
      )
      expect(messageOf(verify(good, { now: now - 3_600_000 }))).toMatch(
        /55 min ahead of this node's clock .*one of the two clocks is wrong/
      )
      expect(messageOf(verify(forge(first, { services: ["*"] })))).toMatch(/grants service \*/)
    })
  })

  it("forgives small differences of clocks, and expired certificates for a given grace", () => {
    const bytes = certify(rootAuthority)
    const end = now + certificateLifetime
    expect(codeOf(verify(bytes, { now: end + defaultSkew - 1 }))).toBe("ok")
    expect(codeOf(verify(bytes, { now: end, skew: 0 }))).toBe("expired")
    expect(codeOf(verify(bytes, { now: end + 1_000, skew: 0, expiredGrace: 2_000 }))).toBe("ok")
    expect(codeOf(verify(bytes, { now: end + 2_000, skew: 0, expiredGrace: 2_000 }))).toBe(
      "expired"
    )
  })

  it("judges time anew when the signatures are remembered, and remembers no failures", () => {
    const cache = new ChainCache(2)
    const bytes = certify(rootAuthority)
    expect(codeOf(verify(bytes, { cache }))).toBe("ok")
    expect(codeOf(verify(bytes, { cache, now: now + 2 * certificateLifetime }))).toBe("expired")
    expect(codeOf(verify(bytes, { cache, peer: peerOf(key(7)) }))).toBe("wrong_peer")
    expect(codeOf(verify(bytes, { cache, roots: Roots.founded(key(9).publicKey.raw) }))).toBe(
      "foreign_mesh"
    )
    const altered = bytes.slice()
    altered[altered.length - 1]! ^= 1
    expect(codeOf(verify(altered, { cache }))).toBe("bad_signature")
    expect(cache.checked.size).toBe(1)
    for (let n = 20; n < 25; n++) {
      verify(certify(rootAuthority, { ...subject, peer: peerOf(key(n)) }), { cache })
    }
    expect(cache.checked.size).toBe(2)
  })

  it("checks a path once: a renewed certificate costs one signature, a longer path one more", () => {
    const cache = new ChainCache()
    const deep = delegatedTo(20)
    const checked = (bytes: Uint8Array): number => {
      const before = signatures.checked
      expect(codeOf(verify(bytes, { cache }))).toBe("ok")
      return signatures.checked - before
    }
    expect(checked(certify(deep))).toBe(21)
    expect(checked(certify(deep, subject, now + 1))).toBe(1)
    expect(checked(certify(delegate(deep, key(200), admin)))).toBe(2)
    expect(checked(certify(delegatedTo(7), subject, now + 2))).toBe(1)
    // Another root knows nothing of it, and a path that was altered is another path.
    expect(
      codeOf(
        verify(certify(deep, subject, now + 3), {
          cache,
          roots: Roots.founded(key(9).publicKey.raw)
        })
      )
    ).toBe("foreign_mesh")
    const altered = deep.delegations.with(19, deep.delegations[19]!.slice())
    altered[19]![altered[19]!.length - 1]! ^= 1
    const before = signatures.checked
    expect(codeOf(verify(certify({ ...deep, delegations: altered }), { cache }))).toBe(
      "bad_signature"
    )
    expect(signatures.checked - before).toBe(1)
  })

  it("has a stranger's chain checked no further than its first wrong signature", () => {
    const cache = new ChainCache()
    const genuine = delegatedTo(5)
    const forgedBy = { ...rootAuthority, key: key(9), delegations: genuine.delegations }
    let stranger: Authority = forgedBy
    for (let n = 10; n < 10 + 20; n++) stranger = delegate(stranger, key(n), admin)
    verify(certify(genuine), { cache })
    for (let n = 0; n < 3; n++) {
      const before = signatures.checked
      expect(codeOf(verify(certify(stranger, subject, now + n), { cache }))).toBe("bad_signature")
      expect(signatures.checked - before).toBe(1)
    }
  })

  it("survives every altered bit, and believes none", () => {
    const bytes = certify(delegate(rootAuthority, key(3), admin))
    fc.assert(
      fc.property(fc.integer({ min: 0, max: bytes.length * 8 - 1 }), (bit) => {
        const altered = bytes.slice()
        altered[bit >> 3]! ^= 1 << (bit & 7)
        expect(codeOf(verify(altered))).not.toBe("ok")
      }),
      { seed: 13, numRuns: 1_500 }
    )
  })

  it("survives any bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        expect(codeOf(verify(bytes))).toBe("malformed")
      }),
      { seed: 14, numRuns: 2_000 }
    )
  })
})

describe("attenuation", () => {
  const service = fc.constantFrom("*", "shop-*", "shop-a*", "shop-a", "pay", "team/pay*", "team/*")
  const grant = fc.record({
    services: fc.uniqueArray(service, { maxLength: 3 }),
    speaks: fc.option(fc.uniqueArray(service, { maxLength: 2 }), { nil: undefined }),
    // One of them is a later version's.
    capabilities: fc.uniqueArray(fc.constantFrom("admit", "policy", "gateway"), { maxLength: 3 })
  })

  it("holds along every path: what is verified was granted at each step", () => {
    fc.assert(
      fc.property(fc.array(grant, { maxLength: 3 }), grant, (path, wanted) => {
        let authority: Authority = rootAuthority
        let isLawful = true
        for (const [depth, next] of path.entries()) {
          const held = { ...next, capabilities: [...new Set([...next.capabilities, "admit"])] }
          if (uncovered(authority.grant, held).length > 0) isLawful = false
          const issued = delegate(lawless(authority), key(30 + depth), held)
          authority = { ...issued, grant: held }
        }
        if (uncovered(authority.grant, wanted).length > 0) isLawful = false
        const bytes = certify(lawless(authority), { ...subject, grant: wanted })
        expect(codeOf(verify(bytes))).toBe(isLawful ? "ok" : "exceeds_grant")
        // An honest signer does not even make what would not be believed.
        const honest = issueCertificate(authority, { ...subject, grant: wanted }, now)
        expect(Either.isRight(honest)).toBe(uncovered(authority.grant, wanted).length === 0)
      }),
      { seed: 15, numRuns: 150 }
    )
  })
})

describe("identities made on one machine", () => {
  const options = { meshName: "test", nodeName: name, now }
  const first: NodeIdentity = Either.getOrThrow(
    foundMesh({ ...options, rootKey, privateKey: key(2) })
  )

  it("give the first node every right, with the root key and without", () => {
    expect(first.authority?.key).toBe(rootKey)
    expect(uncovered(first.certificate, everything)).toEqual([])
    expect(first.delegations).toHaveLength(1)
  })

  it("enrol further nodes within one's own rights only", () => {
    const enrolment = { privateKey: key(4), name: NodeName.make("b"), now }
    const second = Either.getOrThrow(
      enrol(first, { ...enrolment, grant: { services: ["shop-*"], capabilities: ["admit"] } })
    )
    expect(second.authority?.grant.services).toEqual(["shop-*"])
    expect(enrol(second, { ...enrolment, privateKey: key(5), grant: everything })).toMatchObject({
      left: { code: "exceeds_grant" }
    })
    const third = Either.getOrThrow(
      enrol(second, { ...enrolment, privateKey: key(5), grant: { services: [], capabilities: [] } })
    )
    expect(enrol(third, { ...enrolment, grant: third.certificate })).toMatchObject({
      left: { code: "exceeds_grant" }
    })
  })
})

const decodePayload = (chain: Uint8Array): object => {
  const [, , , leaf] = decode(chain) as [number, Uint8Array, Array<Uint8Array>, Uint8Array]
  const [payload] = decode(leaf) as [Uint8Array, Uint8Array]
  expect(encodeCbor(decode(payload))).toEqual(payload) // what we sign is canonical CBOR
  return decode(payload) as object
}
