import { Either } from "effect"
import { describe, expect, it } from "vitest"
import type { VerifiedCertificate } from "../mesh/trust/Certificate.ts"
import { enrol, foundMesh } from "../mesh/trust/FoundMesh.ts"
import { everything, type Grant } from "../mesh/trust/Grant.ts"
import { hearOfRoots, makeIdentity, type NodeIdentity } from "../mesh/trust/NodeIdentity.ts"
import { acceptRenewal, issueRenewal } from "../mesh/trust/Renewal.ts"
import { finishRotation, rotateRoot } from "../mesh/trust/RootRotation.ts"
import { signingKeyFromSeed } from "../mesh/trust/SigningKey.ts"
import { NodeName, type PeerKey } from "../model/Names.ts"
import { isUnderOldRoot, moversFor, perhapsMovers } from "./RootMove.ts"
import { leftUnderOthers, planFinish, type Standing } from "./RootStanding.ts"

const now = 1_800_000_000_000
const right = <A, E>(either: Either.Either<A, E>) => Either.getOrThrow(either)
const key = (n: number) => signingKeyFromSeed(new Uint8Array(32).fill(n))
const founder = right(
  foundMesh({
    ...{ rootKey: key(1), privateKey: key(2), meshName: "test", now },
    nodeName: NodeName.make("first")
  })
)
const plain: Grant = { services: ["web"], capabilities: [] }
const member = (by: NodeIdentity, n: number, grant: Grant = everything) =>
  right(enrol(by, { privateKey: key(n), name: NodeName.make(`node-${n}`), grant, now }))
const { identity: rotated, statement } = right(rotateRoot(founder, key(9), now))
const hearing = (identity: NodeIdentity) => {
  const cell = { current: identity }
  hearOfRoots(cell, [statement])
  return cell.current
}
const moved = (identity: NodeIdentity) =>
  right(acceptRenewal(identity, right(issueRenewal(rotated, identity.certificate, now)), now))
const standing = ({ certificate, name, peer }: NodeIdentity, isThere = true): Standing => ({
  ...{ peer, name, certificate, isThere }
})

describe("who stands under which root", () => {
  const old = hearing(member(founder, 3))
  const gone = hearing(member(founder, 4))
  const fresh = moved(hearing(member(founder, 5)))

  it("names those under an older one, and whose certificate is not known, the ones that are there first", () => {
    const unknown = { ...standing(member(founder, 6)), certificate: undefined }
    const members = [standing(gone, false), standing(fresh), unknown, standing(old)]
    expect(leftUnderOthers(rotated, members).map(({ name }) => name)).toEqual([
      "node-3",
      "node-6",
      "node-4"
    ])
    expect(leftUnderOthers(founder, [standing(old)])).toEqual([])
  })

  it("says of each why it is left, and what moves it", () => {
    const unknown = { ...standing(member(founder, 6)), certificate: undefined }
    const why = (by: NodeIdentity, ...members: ReadonlyArray<Standing>) =>
      leftUnderOthers(by, members).map((left) => left.why)
    expect(why(rotated, standing(old), unknown, standing(gone, false))).toEqual([
      "it moves within a minute",
      "its newest certificate is not known here",
      expect.stringMatching(/^away/)
    ])
    // As seen where the root's key is not: a narrow holder of the right to sign is all there is.
    const narrow = moved(
      hearing(member(founder, 7, { services: ["web"], capabilities: ["admit"] }))
    )
    const wide = hearing(member(founder, 8, { services: ["db", "web"], capabilities: [] }))
    expect(why(narrow, standing(wide))).toEqual([
      expect.stringMatching(/with service db: only the node with that root's key .*root import/)
    ])
    expect(why(narrow, standing(wide), standing(fresh))).toEqual(["it moves within a minute"])
    expect(why(narrow, standing(wide), standing(fresh, false))[0]).toContain("service db")
  })

  it("lets the older ones be withdrawn when nobody who is there would notice", () => {
    const notYet = (identity: NodeIdentity, members: ReadonlyArray<Standing>) =>
      planFinish(identity, members).notYet
    expect(notYet(founder, [])).toMatch(/no rotation/)
    expect(notYet(fresh, [])).toMatch(/does not hold the key/)
    expect(notYet(rotated, [standing(old), standing(fresh)])).toMatch(/^node-3 is there/)
    expect(notYet(rotated, [standing(gone, false), standing(fresh)])).toBeUndefined()
    const many = Array.from({ length: 8 }, (_, n) => standing(member(founder, 20 + n)))
    expect(notYet(rotated, many)).toMatch(/and 3 more are there/)
    const over = right(finishRotation(rotated, { stay: [], kept: [] }, now)).identity
    expect(notYet(over, [standing(fresh)])).toMatch(/no rotation/)
  })

  it("among rivals lets whoever holds one's key keep that, when told so, and waits for nobody", () => {
    const thief = right(rotateRoot(founder, key(8), now + 1))
    const [mine, theirs] = [rotated.roots.newest.id, thief.identity.roots.newest.id]
    const forked = (identity: NodeIdentity) => {
      const cell = { current: identity }
      hearOfRoots(cell, [statement, thief.statement])
      return cell.current
    }
    const rightful = forked(rotated)
    expect(rightful.roots.newest.id).toBe(theirs)
    const behind = [standing(old)]
    expect(planFinish(rightful, behind)).toMatchObject({
      ...{ keep: mine, isPossible: false },
      notYet: expect.stringContaining(`skein root finish --keep ${mine}`)
    })
    expect(planFinish(rightful, behind, mine)).toEqual({
      ...{ keep: mine, isPossible: true, notYet: undefined }
    })
    expect(planFinish(rightful, behind, theirs)).toMatchObject({
      ...{ isPossible: false, notYet: expect.stringContaining(`and not of ${theirs}`) }
    })
    // The same for the other: who is rightful only people know.
    expect(planFinish(forked(thief.identity), behind, theirs).notYet).toBeUndefined()
    // The key of the old root, or none, keeps nothing.
    for (const other of [right(makeIdentity({ ...forked(founder), rootKey: key(1) })), forked(old)])
      expect(planFinish(other, behind, mine)).toMatchObject({
        ...{ isPossible: false, notYet: expect.stringMatching(/does not hold the key of a root/) }
      })
    expect(leftUnderOthers(rightful, behind, mine).map(({ name }) => name)).toEqual(["node-3"])
  })
})

describe("a node that is to move under the newest root", () => {
  const self = hearing(member(founder, 3, plain))
  const known = (...all: ReadonlyArray<NodeIdentity>) => {
    const certificates = new Map<PeerKey, VerifiedCertificate>(
      all.map(({ certificate, peer }) => [peer, certificate])
    )
    return {
      peers: all.map(({ peer }) => peer),
      certificateOf: (peer: PeerKey) => certificates.get(peer)
    }
  }

  it("is one whose certificate or right to sign stands under an older one", () => {
    expect(isUnderOldRoot(self)).toBe(true)
    expect(isUnderOldRoot(moved(self))).toBe(false)
    expect(isUnderOldRoot(founder)).toBe(false)
    const admitting = hearing(member(founder, 5))
    // A certificate by itself is half of it.
    const half = { ...moved(admitting), authority: admitting.authority }
    expect(isUnderOldRoot(half)).toBe(true)
  })

  it("asks who is there and may sign: the connected first, the nearest to the root before the others", () => {
    const stillOld = hearing(member(founder, 10))
    const near = moved(hearing(member(founder, 11)))
    const far = hearing(member(near, 12))
    const powerless = moved(hearing(member(founder, 13, plain)))
    const apart = [14, 15, 16, 17, 18].map((n) => moved(hearing(member(founder, n))))
    const all = known(stillOld, far, near, powerless, ...apart)
    const signers = { ...all, peers: [stillOld, far, near, powerless].map(({ peer }) => peer) }
    const ask = (random: number) => moversFor(self, signers, all.peers, now, random)
    expect(ask(0).slice(0, 2)).toEqual([near.peer, far.peer])
    expect(ask(0)).toHaveLength(4)
    expect(ask(0).slice(2)).toEqual([apart[0]?.peer, apart[1]?.peer])
    expect(ask(0.99).slice(2)).toEqual([apart[4]?.peer, apart[0]?.peer])
    expect(moversFor(self, known(stillOld, powerless), [], now, 0)).toEqual([])
  })

  it("asks those with fewer rights too, one of whom may have the root's key, nearest first", () => {
    const narrow: Grant = { services: ["api"], capabilities: ["admit"] }
    const holder = moved(hearing(member(founder, 20, narrow)))
    const behind = hearing(member(holder, 21, narrow))
    const apart = [22, 23, 24, 25].map((n) => moved(hearing(member(founder, n))))
    const few = known(behind, holder)
    expect(moversFor(self, few, few.peers, now, 0)).toEqual([holder.peer, behind.peer])
    const all = known(behind, holder, ...apart)
    const asked = moversFor(self, { ...all, peers: [] }, all.peers, now, 0)
    expect(asked).toEqual([...apart.slice(0, 3).map(({ peer }) => peer), holder.peer])
  })

  it("is perhaps anybody who may sign, where those that are known to be there do not", () => {
    const able = [26, 27, 28, 29, 30].map((n) => hearing(member(founder, n)))
    const mute = hearing(member(founder, 31, plain))
    const all = known(mute, ...able)
    expect(moversFor(self, all, all.peers, now, 0)).toEqual([])
    expect(perhapsMovers(all, 0)).toEqual(able.slice(0, 4).map(({ peer }) => peer))
    expect(perhapsMovers(all, 0.99)[0]).toBe(able[4]?.peer)
  })

  it("is none that holds the key of a rival: it stays under its own", () => {
    const thief = right(rotateRoot(founder, key(8), now + 1))
    const cell = { current: rotated }
    hearOfRoots(cell, [thief.statement])
    expect(cell.current.roots.newest.id).not.toBe(cell.current.certificate.root)
    expect(isUnderOldRoot(cell.current)).toBe(false)
    const heard = { current: moved(self) }
    hearOfRoots(heard, [thief.statement])
    expect(isUnderOldRoot(heard.current)).toBe(true)
  })
})
