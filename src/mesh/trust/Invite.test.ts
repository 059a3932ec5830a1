import { Either } from "effect"
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { NodeName } from "../../model/Names.ts"
import { enrol, foundMesh } from "./FoundMesh.ts"
import type { Grant } from "./Grant.ts"
import { createInvite, type InviteOptions, maxInviteLifetime, parseInvite } from "./Invite.ts"
import { claimInvite, verifyClaim } from "./InviteClaim.ts"
import { decodeToken, encodeToken } from "./InviteToken.ts"
import { delegationLifetime } from "./Issue.ts"
import type { NodeIdentity } from "./NodeIdentity.ts"
import { Roots } from "./Roots.ts"
import { peerKeyOf, signingKeyFromSeed } from "./SigningKey.ts"

const now = 1_800_000_000_000
const hour = 3_600_000
const key = (n: number) => signingKeyFromSeed(new Uint8Array(32).fill(n))
const found = (n: number, meshName: string): NodeIdentity =>
  Either.getOrThrow(
    foundMesh({
      rootKey: key(n),
      privateKey: key(n + 1),
      meshName,
      nodeName: NodeName.make("first"),
      now
    })
  )
const first = found(1, "shop")
const helper = Either.getOrThrow(
  enrol(first, {
    privateKey: key(4),
    name: NodeName.make("helper"),
    grant: { services: ["shop-*"], capabilities: ["admit"] },
    now
  })
)
const grant: Grant = { services: ["shop-cart"], capabilities: [] }
const options: InviteOptions = {
  bootstrap: [
    `/ip4/10.0.0.1/tcp/4001/p2p/${first.peer}`,
    `/dns4/b.example/tcp/4001/p2p/${helper.peer}`
  ],
  grant,
  ttl: hour,
  now,
  seed: new Uint8Array(32).fill(77)
}
const token = Either.getOrThrow(createInvite(helper, options))
const codeOf = (text: string, at = now) => {
  const parsed = parseInvite(text, at)
  return Either.isLeft(parsed) ? parsed.left.code : "ok"
}

describe("an invite token", () => {
  it("carries what a new host needs", () => {
    expect(token).toMatch(/^skein1\.[A-Za-z0-9_-]+$/)
    expect(token.length).toBeLessThan(1_400)
    expect(Either.getOrThrow(parseInvite(token, now))).toMatchObject({
      mesh: first.mesh,
      meshName: "shop",
      rootPublicKey: first.roots.founder,
      bootstrap: options.bootstrap,
      grant,
      expiresAt: now + hour,
      issuer: helper.peer
    })
  })

  it("carries for whom a new host may speak", () => {
    const speaking: Grant = { ...grant, speaks: ["shop-web"] }
    const text = Either.getOrThrow(createInvite(helper, { ...options, grant: speaking }))
    expect(Either.getOrThrow(parseInvite(text, now)).grant).toEqual(speaking)
    const other = createInvite(helper, { ...options, grant: { ...grant, speaks: ["orders"] } })
    expect(Either.isLeft(other) && other.left.message).toMatch(/cannot grant speaking for orders/)
  })

  it("may be wrapped over lines", () => {
    const wrapped = `  ${token.replace(/(.{60})/g, "$1\r\n  ")}\n`
    expect(codeOf(wrapped)).toBe("ok")
  })

  it("differs each time, unless told", () => {
    const { seed: _, ...unseeded } = options
    const texts = [1, 2].map(() => Either.getOrThrow(createInvite(first, unseeded)))
    expect(texts[0]).not.toBe(texts[1])
  })

  it.each(["", "   ", "hello", "skein2.AAAA", "eyJhbGciOi", "SKEIN1.AAAA"])(
    "is told apart from %j",
    (text) => expect(codeOf(text)).toBe("not_a_token")
  )

  it("says when it is not complete, wherever it breaks off", () => {
    for (let length = 1; length < token.length; length++) {
      expect(codeOf(token.slice(0, length)), `${length} characters`).toBe("truncated")
    }
    expect(parseInvite(token.slice(0, 100), now)).toMatchObject({
      left: {
        message: `the token breaks off after 100 characters of ${token.length}; copy all of it`
      }
    })
  })

  it("says when it was altered, at any bit", () => {
    const bytes = Buffer.from(token.slice("skein1.".length), "base64url")
    const seen = new Set<string>()
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const altered = Buffer.from(bytes)
      altered[bit >> 3]! ^= 1 << (bit & 7)
      seen.add(codeOf(`skein1.${altered.toString("base64url")}`))
    }
    // A flipped bit in the length field makes it look longer than it is.
    expect([...seen].sort()).toEqual(["corrupted", "truncated"])
    expect(codeOf(`${token}A`)).toBe("corrupted")
    expect(codeOf(`${token}ABCD`)).toBe("corrupted")
    expect(codeOf(token.replace(/.$/, "!"))).toBe("corrupted")
  })

  it("says when any character was replaced, also one whose last bits mean nothing", () => {
    for (const meshName of ["a", "ab", "abc"]) {
      const text = Either.getOrThrow(createInvite(found(1, meshName), options))
      for (let at = "skein1.".length; at < text.length; at++) {
        const next = String.fromCharCode(text.charCodeAt(at) + 1) // mostly: the lowest bit differs
        expect(codeOf(text.slice(0, at) + next + text.slice(at + 1))).not.toBe("ok")
      }
    }
  })

  it("is refused when it was altered on purpose, checksum and all", () => {
    const body = Either.getOrThrow(decodeToken(token))
    fc.assert(
      fc.property(fc.integer({ min: 0, max: body.length * 8 - 1 }), (bit) => {
        const altered = body.slice()
        altered[bit >> 3]! ^= 1 << (bit & 7)
        expect(codeOf(encodeToken(altered))).toBe("forged")
      }),
      { seed: 21, numRuns: 1_000 }
    )
    expect(codeOf(encodeToken(new Uint8Array(4)))).toBe("forged")
    expect(codeOf(encodeToken(new Uint8Array(200)))).toBe("forged")
  })

  it("survives any text", () => {
    fc.assert(
      fc.property(fc.string(), fc.boolean(), (text, isPrefixed) => {
        expect(codeOf(isPrefixed ? `skein1.${text}` : text)).not.toBe("ok")
      }),
      { seed: 22, numRuns: 2_000 }
    )
  })

  it("expires, and says when and by how much", () => {
    expect(codeOf(token, now + hour)).toBe("ok") // clocks may differ a little
    expect(parseInvite(token, now + 3 * hour)).toMatchObject({
      left: {
        code: "expired",
        message: expect.stringMatching(
          /^the invite expired at 2027-.*, 2 h ago .*ask a member for a new one$/
        )
      }
    })
    expect(codeOf(token, now - hour)).toBe("not_yet_valid")
  })

  it("is refused by a node that is in another mesh", () => {
    expect(parseInvite(token, now, { mesh: first.mesh })).toMatchObject({ _tag: "Right" })
    expect(parseInvite(token, now, { mesh: found(9, "other").mesh })).toMatchObject({
      left: { code: "foreign_mesh", message: expect.stringContaining("mesh shop") }
    })
  })
})

describe("createInvite", () => {
  const refusal = (by: NodeIdentity, changes: Partial<InviteOptions>) =>
    Either.getOrThrow(Either.flip(createInvite(by, { ...options, ...changes }))).code

  it("grants no more than its maker holds, and not for longer", () => {
    expect(refusal(helper, { grant: { services: ["pay"], capabilities: [] } })).toBe(
      "exceeds_grant"
    )
    expect(refusal(helper, { grant: { ...grant, capabilities: ["revoke"] } })).toBe("exceeds_grant")
    expect(refusal(helper, { ttl: maxInviteLifetime + 1 })).toBe("exceeds_grant")
    expect(refusal(helper, { ttl: 0 })).toBe("exceeds_grant")
    expect(refusal(helper, { ttl: Number.NaN })).toBe("exceeds_grant")
    expect(refusal(helper, { now: now + delegationLifetime })).toBe("exceeds_grant")
    const plain = Either.getOrThrow(
      enrol(first, { privateKey: key(6), name: NodeName.make("plain"), grant, now })
    )
    expect(refusal(plain, {})).toBe("exceeds_grant")
  })

  it("wants addresses that name their peer", () => {
    for (const bootstrap of [[], ["/ip4/10.0.0.1/tcp/4001"], Array(9).fill(options.bootstrap[0])]) {
      expect(refusal(first, { bootstrap })).toBe("malformed")
    }
  })
})

describe("a claim", () => {
  const invite = Either.getOrThrow(parseInvite(token, now))
  const peer = peerKeyOf(key(40).publicKey.raw)
  const name = NodeName.make("new")
  const claim = claimInvite(invite, peer, name)
  const judge = (changes: Partial<Parameters<typeof verifyClaim>[1]>, bytes = claim) => {
    const verified = verifyClaim(bytes, { roots: first.roots, now, peer, name, ...changes })
    return Either.isLeft(verified) ? verified.left.code : "ok"
  }

  it("is good for its peer and name", () => {
    expect(judge({})).toBe("ok")
    expect(judge({ peer: peerKeyOf(key(41).publicKey.raw) })).toBe("wrong_peer")
    expect(judge({ name: NodeName.make("admin") })).toBe("wrong_peer")
    expect(judge({ now: now + 2 * hour })).toBe("expired")
    expect(judge({ roots: Roots.founded(key(9).publicKey.raw) })).toBe("foreign_mesh")
  })

  it("does not hold the token's secret", () => {
    const secret = Buffer.from(new Uint8Array(32).fill(77))
    expect(Buffer.from(claim).includes(secret)).toBe(false)
    expect(Buffer.from(Either.getOrThrow(decodeToken(token))).includes(secret)).toBe(true)
  })

  it("survives every altered bit", () => {
    for (let bit = 0; bit < claim.length * 8; bit += 3) {
      const altered = claim.slice()
      altered[bit >> 3]! ^= 1 << (bit & 7)
      expect(judge({}, altered)).not.toBe("ok")
    }
  })
})
