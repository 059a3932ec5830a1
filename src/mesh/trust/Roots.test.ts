import { Either } from "effect"
import fc from "fast-check"
import { describe, expect, it, vi } from "vitest"
import { NodeName } from "../../model/Names.ts"
import { ChainCache, verifyChain } from "./Certificate.ts"
import { enrol, foundMesh } from "./FoundMesh.ts"
import type { Grant } from "./Grant.ts"
import { createInvite, parseInvite } from "./Invite.ts"
import { claimInvite, verifyClaim } from "./InviteClaim.ts"
import { hearOfRoots, makeIdentity, type NodeIdentity } from "./NodeIdentity.ts"
import {
  acceptIssued,
  acceptRenewal,
  isRootKeyOfUse,
  issueNearer,
  issueRenewal,
  renewSelf
} from "./Renewal.ts"
import { rootIdOf } from "./Root.ts"
import { finishRotation, rotateRoot } from "./RootRotation.ts"
import { addRoot, memberMark, withdrawOthers } from "./RootStatement.ts"
import { maxInForce, Roots } from "./Roots.ts"
import { peerKeyOf, type SigningKey, signingKeyFromSeed } from "./SigningKey.ts"

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
const hour = 3_600_000
const key = (n: number) => signingKeyFromSeed(new Uint8Array(32).fill(n))
const right = <A, E>(either: Either.Either<A, E>) => Either.getOrThrow(either)
const codeOf = <A>(result: Either.Either<A, { readonly code: string }>) =>
  Either.isLeft(result) ? result.left.code : "ok"
const idOf = (n: number) => rootIdOf(key(n).publicKey.raw)

const first: NodeIdentity = right(
  foundMesh({
    ...{ rootKey: key(1), privateKey: key(50), meshName: "test", now },
    nodeName: NodeName.make("first")
  })
)
const admin: Grant = { services: ["*"], capabilities: ["admit"] }
const plain: Grant = { services: ["shop-*"], capabilities: [] }
const member = (by: NodeIdentity, n: number, grant: Grant): NodeIdentity =>
  right(enrol(by, { privateKey: key(n), name: NodeName.make(`node-${n}`), grant, now }))
const window = { notBefore: now - hour, notAfter: now + 365 * 24 * hour }
const added = (by: number, root: number) =>
  addRoot(key(by), first.mesh, key(root).publicKey.raw, now, window)
const withdrawn = (by: number, stay: ReadonlyArray<Uint8Array> = []) =>
  withdrawOthers(key(by), first.mesh, { at: now, stay, kept: [] })
const founded = Roots.founded(key(1).publicKey.raw)
const inForce = (roots: Roots) => roots.inForce.map(({ id }) => id)
const hearing = (identity: NodeIdentity, ...statements: ReadonlyArray<Uint8Array>) => {
  const cell = { current: identity }
  hearOfRoots(cell, statements)
  return cell.current
}
const verify = (
  { chain }: Pick<NodeIdentity, "chain">,
  roots: Roots,
  options: { readonly evenWithdrawn?: boolean; readonly cache?: ChainCache } = {}
) => verifyChain(chain, { roots, now, ...options })

describe("roots of a mesh", () => {
  it("are the one it was founded with, and its id stays that one's through rotations", () => {
    expect(inForce(founded)).toEqual([idOf(1)])
    const two = right(founded.take(added(1, 2)))
    expect(inForce(two)).toEqual([idOf(2), idOf(1)])
    const one = right(two.take(withdrawn(2)))
    expect(inForce(one)).toEqual([idOf(2)])
    expect(one.mesh).toBe(first.mesh)
    expect(one.whyWithdrawn(idOf(1))).toContain(idOf(2))
    expect(one.founder).toEqual(key(1).publicKey.raw)
  })

  it("come out the same in whatever order they are told, and from the mesh's id alone", () => {
    const log = [added(1, 2), withdrawn(2), added(2, 3), withdrawn(3), added(3, 4)]
    const roots = founded.hear(log)
    expect(inForce(roots)).toEqual([idOf(4), idOf(3)])
    fc.assert(
      fc.property(fc.shuffledSubarray(log, { minLength: log.length }), (shuffled) => {
        expect(inForce(founded.hear(shuffled))).toEqual(inForce(roots))
        expect(founded.hear(shuffled).digest()).toEqual(roots.digest())
        expect(inForce(right(Roots.fromLog(first.mesh, shuffled)))).toEqual(inForce(roots))
      }),
      { numRuns: 20 }
    )
    expect(codeOf(Roots.fromLog(first.mesh, log.slice(2)))).toBe("foreign_mesh")
    expect(founded.hear([])).toBe(founded)
    expect(roots.hear(log)).toBe(roots)
  })

  it("are added and withdrawn by nobody else, and a newer one by no older one", () => {
    expect(codeOf(founded.take(added(9, 2)))).toBe("foreign_mesh")
    const two = right(founded.take(added(1, 2)))
    // Who was added does not fall with a stolen key of who added it.
    expect(right(two.take(withdrawn(1)))).toBe(two)
    const one = right(two.take(withdrawn(2)))
    expect(codeOf(one.take(added(1, 3)))).toBe("root_withdrawn")
    expect(codeOf(one.take(withdrawn(1)))).toBe("root_withdrawn")
    // Of another mesh.
    const elsewhere = addRoot(
      key(1),
      Roots.founded(key(8).publicKey.raw).mesh,
      key(2).publicKey.raw,
      now,
      window
    )
    expect(codeOf(founded.take(elsewhere))).toBe("bad_signature")
  })

  it("of two successors of one root, the first that was heard to withdraw the other stays", () => {
    const three = founded.hear([added(1, 2), added(1, 3)])
    expect(new Set(inForce(three))).toEqual(new Set([idOf(1), idOf(2), idOf(3)]))
    // Which of them is the newest is the same for all.
    expect(inForce(founded.hear([added(1, 3), added(1, 2)]))).toEqual(inForce(three))
    const byTwo = three.hear([withdrawn(2), withdrawn(3)])
    expect(inForce(byTwo)).toEqual([idOf(2)])
    expect(inForce(byTwo.hear([withdrawn(3), added(3, 4)]))).toEqual([idOf(2)])
  })

  it("are four in force at most", () => {
    const full = founded.hear([added(1, 2), added(2, 3), added(3, 4)])
    expect(full.inForce).toHaveLength(maxInForce)
    expect(codeOf(full.take(added(4, 5)))).toBe("too_deep")
    expect(inForce(full.hear([withdrawn(4), added(4, 5)]))).toEqual([idOf(5), idOf(4)])
  })

  it("survive every altered byte, and believe none", () => {
    const cases = [
      [founded, added(1, 2)],
      [founded.hear([added(1, 2)]), withdrawn(2, [new Uint8Array(16)])]
    ] as const
    for (const [from, statement] of cases) {
      expect(right(from.take(statement))).not.toBe(from)
      for (let byte = 0; byte < statement.length; byte++) {
        const altered = statement.slice()
        altered[byte]! ^= 1 << (byte & 7)
        expect(Either.isLeft(from.take(altered))).toBe(true)
      }
    }
  })

  it("whatever is said by whom in whatever order: one is in force, none comes back, four at most", () => {
    const said = fc.oneof(
      fc
        .tuple(fc.integer({ min: 1, max: 6 }), fc.integer({ min: 1, max: 6 }))
        .map(([by, root]) => added(by, root)),
      fc.integer({ min: 1, max: 6 }).map((by) => withdrawn(by))
    )
    fc.assert(
      fc.property(fc.array(said, { maxLength: 14 }), (statements) => {
        let roots = founded
        for (const statement of statements) {
          const before = roots
          roots = Either.getOrElse(roots.take(statement), () => before)
          expect(roots.inForce.length).toBeGreaterThan(0)
          expect(roots.inForce.length).toBeLessThanOrEqual(maxInForce)
          for (const { id, withdrawn: why } of before.all) {
            if (why !== undefined) expect(roots.isInForce(id)).toBe(false)
          }
        }
        // Whoever is told the same in the same order is where this one is.
        expect(founded.hear(roots.log).digest()).toEqual(roots.digest())
      }),
      { numRuns: 100 }
    )
  })
})

describe("a rotation", () => {
  const { identity: rotated, statement } = right(rotateRoot(first, key(2), now))
  const old = { admin: member(first, 3, admin), plain: member(first, 4, plain) }
  const finished = (stay: ReadonlyArray<Uint8Array> = [], kept: ReadonlyArray<Uint8Array> = []) =>
    right(finishRotation(rotated, { stay, kept }, now))

  it("has those believed who have not heard of it, and by whom", () => {
    expect(rotated.certificate.root).toBe(idOf(2))
    expect(rotated.mesh).toBe(first.mesh)
    // By the cross-certificate.
    const seen = right(verify(rotated, founded))
    expect(seen.root).toBe(idOf(1))
    expect(seen.issuers).toEqual([peerKeyOf(key(2).publicKey.raw)])
    const fresh = member(rotated, 5, admin)
    expect(right(verify(member(fresh, 6, plain), founded)).issuers.at(-1)).toBe(fresh.peer)
    // With both in force both are believed, and the path is no longer for it.
    expect(right(verify(member(fresh, 6, plain), rotated.roots)).issuers).toEqual([fresh.peer])
    expect(right(verify(old.plain, rotated.roots)).root).toBe(idOf(1))
    expect(rotated.authority).toMatchObject({ root: idOf(2), depth: 0 })
    expect(fresh.authority).toMatchObject({ root: idOf(2), depth: 1 })
  })

  it("moves members under the new root by renewal, and by meeting, and not back", () => {
    const b = hearing(old.admin, statement)
    const c = hearing(old.plain, statement)
    const moved = right(acceptRenewal(b, right(issueRenewal(rotated, b.certificate, now)), now))
    expect(moved.certificate.root).toBe(idOf(2))
    expect(moved.authority).toMatchObject({ root: idOf(2), depth: 1 })
    // The moved one moves others, and it is enough that they meet.
    const offered = issueNearer(moved, c.certificate, now)!
    const nearer = right(acceptIssued(c, offered, now))!
    expect(nearer.certificate.root).toBe(idOf(2))
    expect(issueNearer(moved, nearer.certificate, now)).toBeUndefined()
    // Who has not moved can sign for them, and it is not taken while there is time.
    const back = right(issueRenewal(b, nearer.certificate, now + 10 * hour))
    expect(codeOf(acceptRenewal(nearer, back, now + 10 * hour))).toBe("root_withdrawn")
    expect(right(acceptIssued(nearer, back, now + 10 * hour))).toBeUndefined()
    const late = now + 20 * hour
    const needed = right(issueRenewal(b, nearer.certificate, late))
    expect(codeOf(acceptRenewal(nearer, needed, late))).toBe("ok")
  })

  it("leaves a holder of the old key with the rights it has been given under the new root", () => {
    const b = right(makeIdentity({ ...old.admin, rootKey: key(1) }))
    const heard = hearing(b, statement)
    expect(heard.authority).toMatchObject({ root: idOf(1), depth: 0 })
    const moved = right(acceptRenewal(heard, right(issueRenewal(rotated, b.certificate, now)), now))
    expect(moved.authority).toMatchObject({ root: idOf(2), depth: 1 })
    const renewed = right(renewSelf(moved, now + hour))
    expect(renewed.certificate.root).toBe(idOf(2))
    expect(renewed.delegations).toEqual(moved.delegations)
    expect(isRootKeyOfUse(moved, now)).toBe(false)
  })

  it("ends: who stands under the old root alone is believed nowhere, and signs nothing", () => {
    const end = finished()
    const { roots } = end.identity
    expect(codeOf(verify(old.plain, roots))).toBe("root_withdrawn")
    expect(codeOf(verify(old.plain, roots, { evenWithdrawn: true }))).toBe("ok")
    const b = hearing(old.admin, statement, end.statement)
    expect(b.authority).toBeUndefined()
    expect(codeOf(issueRenewal(b, old.plain.certificate, now))).toBe("exceeds_grant")
    expect(codeOf(verify(member(old.admin, 7, plain), roots))).toBe("root_withdrawn")
    // What was signed during the rotation holds, and what is signed now has no cross-certificate.
    const during = member(rotated, 5, admin)
    expect(codeOf(verify(during, roots))).toBe("ok")
    const after = member(hearing(during, end.statement), 8, plain)
    expect(after.chain.length).toBeLessThan(member(during, 8, plain).chain.length - 150)
    expect(codeOf(verify(after, roots))).toBe("ok")
    expect(right(verify(after, roots)).issuers).toEqual([during.peer])
    // Nor does the old key sign for its node any more.
    expect(hearing(first, statement, end.statement).rootKey).toBeUndefined()
  })

  it("takes over whom its end names, with the rights they had, and nobody else", () => {
    const { roots } = finished([memberMark(old.plain.certificate)]).identity
    expect(roots.stays(idOf(1), memberMark(old.plain.certificate))).toBe(true)
    const wider = member(first, 4, { services: ["*"], capabilities: [] })
    expect(roots.stays(idOf(1), memberMark(wider.certificate))).toBe(false)
    expect(roots.stays(idOf(1), memberMark(old.admin.certificate))).toBe(false)
    expect(roots.stays(idOf(2), memberMark(old.plain.certificate))).toBe(false)
  })

  it("costs a signature more where it was not heard of, once, and none elsewhere", () => {
    const fresh = member(rotated, 5, admin)
    const checked = (who: NodeIdentity, roots: Roots, cache: ChainCache): number => {
      const before = signatures.checked
      expect(codeOf(verify(who, roots, { cache }))).toBe("ok")
      return signatures.checked - before
    }
    // Who has heard of it passes over the cross-certificate; who has not checks it with the first chain.
    const [knows, does] = [new ChainCache(), new ChainCache()]
    expect(checked(member(fresh, 6, plain), rotated.roots, knows)).toBe(2)
    expect(checked(member(fresh, 7, plain), rotated.roots, knows)).toBe(1)
    expect(checked(member(fresh, 6, plain), founded, does)).toBe(3)
    expect(checked(member(fresh, 7, plain), founded, does)).toBe(1)
    // Chains from before it are tried under the new root first, a signature more for each.
    expect(checked(old.plain, founded, does)).toBe(1)
    expect(checked(old.plain, rotated.roots, knows)).toBe(2)
    expect(checked(old.plain, rotated.roots, knows)).toBe(0)
  })

  it("makes tokens under the new root, and those of the old one lead nowhere after its end", () => {
    const options = {
      bootstrap: [`/ip4/10.0.0.1/tcp/4001/p2p/${first.peer}`],
      ...{ grant: plain, ttl: hour, now }
    }
    const claimOf = (token: string, joiner: SigningKey) => {
      const invite = right(parseInvite(token, now))
      const peer = peerKeyOf(joiner.publicKey.raw)
      const name = NodeName.make("new")
      return {
        invite,
        judge: (roots: Roots) =>
          verifyClaim(claimInvite(invite, peer, name), { roots, now, peer, name })
      }
    }
    const before = claimOf(right(createInvite(first, options)), key(60))
    const after = claimOf(right(createInvite(member(rotated, 5, admin), options)), key(60))
    expect(after.invite).toMatchObject({ mesh: first.mesh, rootPublicKey: key(2).publicKey.raw })
    expect(codeOf(before.judge(rotated.roots))).toBe("ok")
    expect(codeOf(after.judge(rotated.roots))).toBe("ok")
    const { roots } = finished().identity
    expect(codeOf(before.judge(roots))).toBe("root_withdrawn")
    expect(codeOf(after.judge(roots))).toBe("ok")
  })

  it("is not begun without a root's key, nor finished before it began", () => {
    expect(codeOf(rotateRoot(old.admin, key(2), now))).toBe("exceeds_grant")
    // When the new key was lost before the end, the old one names another successor.
    const other = right(rotateRoot(hearing(first, statement), key(3), now + 1)).identity
    expect(other.roots.newest.id).toBe(idOf(3))
    const over = right(finishRotation(other, { stay: [], kept: [] }, now + 2)).identity
    expect(inForce(over.roots)).toEqual([idOf(3)])
    expect(codeOf(finishRotation(hearing(first, statement), { stay: [], kept: [] }, now))).toBe(
      "exceeds_grant"
    )
    expect(codeOf(finishRotation(first, { stay: [], kept: [] }, now))).toBe("malformed")
    const twice = right(rotateRoot(rotated, key(3), now)).identity
    expect(inForce(twice.roots)).toEqual([idOf(3), idOf(2), idOf(1)])
    // Through two cross-certificates, for who knows neither.
    expect(codeOf(verify(member(twice, 9, plain), founded))).toBe("ok")
    expect(right(verify(member(twice, 9, plain), twice.roots)).issuers).toEqual([])
  })
})
