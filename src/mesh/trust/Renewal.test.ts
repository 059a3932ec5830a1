import { Either } from "effect"
import { describe, expect, it } from "vitest"
import { NodeName } from "../../model/Names.ts"
import { enrol, foundMesh } from "./FoundMesh.ts"
import { everything, type Grant } from "./Grant.ts"
import {
  backdate,
  certificateLifetime,
  delegationLifetime,
  encodeIssued,
  issueCertificate
} from "./Issue.ts"
import { makeIdentity, type NodeIdentity } from "./NodeIdentity.ts"
import { acceptRenewal, issueRenewal, renewalDueAt, renewalGrace, renewSelf } from "./Renewal.ts"
import { Roots } from "./Roots.ts"
import { maxDepth } from "./SignedChain.ts"
import { signingKeyFromSeed } from "./SigningKey.ts"

const now = 1_800_000_000_000
const day = 86_400_000
const key = (n: number) => signingKeyFromSeed(new Uint8Array(32).fill(n))
const first: NodeIdentity = Either.getOrThrow(
  foundMesh({
    rootKey: key(1),
    privateKey: key(2),
    meshName: "test",
    nodeName: NodeName.make("first"),
    now
  })
)
const admin: Grant = { services: ["*"], capabilities: ["admit"] }
const plain: Grant = { services: ["shop-*"], capabilities: [] }
const member = (by: NodeIdentity, n: number, grant: Grant, at = now): NodeIdentity =>
  Either.getOrThrow(
    enrol(by, { privateKey: key(n), name: NodeName.make(`node-${n}`), grant, now: at })
  )
/** As after a restart with the root key moved away. */
const withoutRootKey = (identity: NodeIdentity): NodeIdentity =>
  Either.getOrThrow(makeIdentity({ ...identity, rootKey: undefined }))
const codeOf = <A>(result: Either.Either<A, { readonly code: string }>) =>
  Either.isLeft(result) ? result.left.code : "ok"

describe("renewalDueAt", () => {
  it("is half life, give or take a tenth", () => {
    const window = { notBefore: 1_000, notAfter: 2_000 }
    expect(renewalDueAt(window, 0)).toBe(1_400)
    expect(renewalDueAt(window, 0.5)).toBe(1_500)
    expect(renewalDueAt(window, 1)).toBe(1_600)
  })
})

describe("renewal by another member", () => {
  it("gives new dates and changes nothing else", () => {
    const old = member(first, 3, plain)
    const later = now + day / 2
    const bytes = Either.getOrThrow(issueRenewal(first, old.certificate, later))
    const renewed = Either.getOrThrow(acceptRenewal(old, bytes, later))
    expect(renewed.certificate).toMatchObject({
      peer: old.peer,
      name: old.name,
      services: ["shop-*"],
      capabilities: [],
      notBefore: later - backdate,
      notAfter: later + certificateLifetime
    })
    expect(renewed.delegations).toEqual([])
  })

  it("keeps for whom the node may speak, and is not taken without", () => {
    const old = member(first, 3, { ...plain, speaks: ["orders"] })
    const later = now + day / 2
    const bytes = Either.getOrThrow(issueRenewal(first, old.certificate, later))
    const renewed = Either.getOrThrow(acceptRenewal(old, bytes, later))
    expect(renewed.certificate.speaks).toEqual(["orders"])
    const { speaks: _, ...fewer } = old.certificate
    const less = Either.getOrThrow(issueRenewal(first, fewer, later))
    expect(codeOf(acceptRenewal(old, less, later))).toBe("exceeds_grant")
  })

  it("needs admit, and as many rights as are renewed", () => {
    const old = member(first, 3, plain)
    expect(codeOf(issueRenewal(old, first.certificate, now))).toBe("exceeds_grant")
    const narrow = member(first, 5, { services: ["pay"], capabilities: ["admit"] })
    expect(codeOf(issueRenewal(narrow, old.certificate, now))).toBe("exceeds_grant")
    const wide = member(first, 7, admin)
    expect(codeOf(issueRenewal(wide, old.certificate, now))).toBe("ok")
  })

  it("works in place until the grace is over", () => {
    const { certificate } = member(first, 3, plain)
    expect(codeOf(issueRenewal(first, certificate, certificate.notAfter + renewalGrace))).toBe("ok")
    const late = certificate.notAfter + renewalGrace + 1
    expect(codeOf(issueRenewal(first, certificate, late))).toBe("expired")
  })

  it("is not accepted when it is another's, changes rights or name, or is no newer", () => {
    const old = member(first, 3, plain)
    const later = now + day / 2
    const signed = (changes: {
      readonly name?: string
      readonly grant?: Grant
      readonly n?: number
    }) => {
      const subject = changes.n === undefined ? old : member(first, changes.n, plain)
      const chain = issueCertificate(
        first.authority!,
        {
          peer: subject.peer,
          name: NodeName.make(changes.name ?? old.name),
          grant: changes.grant ?? plain
        },
        later
      )
      return encodeIssued({ chain: Either.getOrThrow(chain), delegations: [] })
    }
    const accept = (bytes: Uint8Array, at = later) => codeOf(acceptRenewal(old, bytes, at))
    expect(accept(signed({}))).toBe("ok")
    expect(accept(signed({ n: 9 }))).toBe("wrong_peer")
    expect(accept(signed({ name: "other" }))).toBe("exceeds_grant")
    expect(accept(signed({ grant: everything }))).toBe("exceeds_grant")
    expect(accept(signed({ grant: { services: ["shop-a"], capabilities: [] } }))).toBe(
      "exceeds_grant"
    )
    expect(accept(signed({ grant: { services: [], capabilities: [] } }))).toBe("exceeds_grant")
    expect(accept(signed({}), later + 3 * day)).toBe("expired")
    expect(accept(encodeIssued({ chain: old.chain, delegations: [] }), now)).toBe("expired")
    expect(accept(new Uint8Array([1, 2, 3]))).toBe("malformed")
  })

  it("brings a new delegation only when it is worth its depth", () => {
    const second = member(withoutRootKey(first), 3, admin)
    const third = member(second, 5, admin)
    expect([second, third].map((node) => node.delegations.length)).toEqual([2, 3])
    const renewBy = (by: NodeIdentity, of: NodeIdentity, at: number) =>
      Either.getOrThrow(
        acceptRenewal(of, Either.getOrThrow(issueRenewal(by, of.certificate, at)), at)
      )
    const soon = now + day / 2
    // Nearer to the root: taken at once. `first` signs with the root key.
    expect(renewBy(first, third, soon).delegations).toHaveLength(1)
    // Further away, though longer: the old one serves on while it is young.
    const near = member(first, 7, admin)
    const halfway = now + delegationLifetime / 2
    for (const [at, depth] of [
      [halfway - day, 1],
      [halfway + day, 2]
    ] as const) {
      const fresh = withoutRootKey(Either.getOrThrow(renewSelf(first, at)))
      const asleep = { ...near, certificate: { ...near.certificate, notAfter: at } }
      const bytes = Either.getOrThrow(issueRenewal(fresh, asleep.certificate, at))
      expect(Either.getOrThrow(acceptRenewal(asleep, bytes, at)).delegations).toHaveLength(depth)
    }
    expect(renewBy(third, near, soon).delegations).toEqual(near.delegations)
    // At the limit of depth none is issued, and the certificate is renewed all the same.
    let deepest = near
    for (let n = 100; deepest.delegations.length < maxDepth; n++)
      deepest = member(deepest, n, admin)
    const renewed = renewBy(deepest, near, soon)
    expect(renewed.certificate.issuers).toHaveLength(maxDepth)
    expect(renewed.delegations).toEqual(near.delegations)
  })
})

describe("an identity", () => {
  it("is not made of parts that belong to others", () => {
    const [one, other] = [member(first, 3, admin), member(first, 5, admin)]
    expect(codeOf(makeIdentity({ ...one }))).toBe("ok")
    expect(codeOf(makeIdentity({ ...one, chain: other.chain }))).toBe("wrong_peer")
    expect(codeOf(makeIdentity({ ...one, delegations: other.delegations }))).toBe("wrong_peer")
    expect(codeOf(makeIdentity({ ...one, rootKey: key(9) }))).toBe("foreign_mesh")
    const elsewhere = Roots.founded(key(9).publicKey.raw)
    expect(codeOf(makeIdentity({ ...one, roots: elsewhere }))).toBe("foreign_mesh")
  })
})

describe("renewal by oneself", () => {
  it("keeps a mesh of one node alive, with the root key at hand or not", () => {
    for (const start of [first, withoutRootKey(first)]) {
      let identity = start
      for (let at = now; at < now + 30 * day; at += 3 * day) {
        identity = Either.getOrThrow(renewSelf(identity, at))
        expect(identity.certificate.notAfter).toBe(at + certificateLifetime)
        expect(identity.certificate).toMatchObject({ name: "first", services: ["*"] })
      }
    }
  })

  it("renews the delegation while the root key is there, and ends with it otherwise", () => {
    const later = now + delegationLifetime - day / 2
    const renewed = withoutRootKey(Either.getOrThrow(renewSelf(first, later)))
    expect(renewed.authority?.notAfter).toBe(later + delegationLifetime)

    const delegated = Either.getOrThrow(renewSelf(withoutRootKey(first), later))
    expect(delegated.certificate.notAfter).toBe(now + delegationLifetime)
    const over = renewSelf(withoutRootKey(first), now + delegationLifetime)
    expect(over).toMatchObject({
      left: { code: "expired", message: expect.stringMatching(/bring the root key back/) }
    })
  })

  it("is not for those without admit", () => {
    expect(codeOf(renewSelf(member(first, 3, plain), now))).toBe("exceeds_grant")
  })
})
