import { Either } from "effect"
import { describe, expect, it } from "vitest"
import { NodeName, type PeerKey } from "../../model/Names.ts"
import type { VerifiedCertificate } from "./Certificate.ts"
import { enrol, foundMesh } from "./FoundMesh.ts"
import type { Grant } from "./Grant.ts"
import { delegationLifetime, encodeIssued, issue, issueDelegation } from "./Issue.ts"
import { bringsNearer, depthOf, distanceOf, renewalOrder, renewersOf } from "./Nearness.ts"
import { makeIdentity, type NodeIdentity } from "./NodeIdentity.ts"
import { acceptIssued, issueNearer, renewSelf } from "./Renewal.ts"
import { signingKeyFromSeed } from "./SigningKey.ts"

const now = 1_800_000_000_000
const day = 86_400_000
const key = (n: number) => signingKeyFromSeed(new Uint8Array(32).fill(n))
const admin: Grant = { services: ["*"], capabilities: ["admit"] }
const plain: Grant = { services: ["shop-*"], capabilities: [] }
const found = (at = now) =>
  Either.getOrThrow(
    foundMesh({
      rootKey: key(1),
      privateKey: key(2),
      meshName: "test",
      nodeName: NodeName.make("first"),
      now: at
    })
  )
const first = found()
const member = (by: NodeIdentity, n: number, grant = admin, at = now): NodeIdentity =>
  Either.getOrThrow(
    enrol(by, { privateKey: key(n), name: NodeName.make(`node-${n}`), grant, now: at })
  )
const withoutRootKey = (identity: NodeIdentity) =>
  Either.getOrThrow(makeIdentity({ ...identity, rootKey: undefined }))

/** Each let in by the one before; the first by the root. */
const row = (length: number, grant = admin): ReadonlyArray<NodeIdentity> => {
  const all: Array<NodeIdentity> = []
  for (let n = 0; n < length; n++) all.push(member(all.at(-1) ?? first, 10 + n, grant))
  return all
}
/** The whole of what happens to `of` when it meets `by`. */
const meet = (by: NodeIdentity, of: NodeIdentity, at = now): NodeIdentity => {
  const bytes = issueNearer(by, of.certificate, at)
  return bytes === undefined ? of : (Either.getOrThrow(acceptIssued(of, bytes, at)) ?? of)
}

describe("distance from the root", () => {
  it("is read from a certificate, whoever signed it last", () => {
    const [one, two] = row(2)
    expect([first, one!, two!].map(({ certificate }) => distanceOf(certificate))).toEqual([0, 0, 1])
    const byOwnHand = [withoutRootKey(first), one!, two!].map((identity) =>
      Either.getOrThrow(renewSelf(identity, now + 1))
    )
    expect(byOwnHand.map(({ certificate }) => certificate.issuers.length)).toEqual([1, 1, 2])
    expect(byOwnHand.map(({ certificate }) => distanceOf(certificate))).toEqual([0, 0, 1])
    expect(byOwnHand.map(({ delegations }) => delegations.length)).toEqual([1, 1, 2])
    expect(byOwnHand.map(({ certificate }) => depthOf(certificate))).toEqual([1, 1, 2])
  })
})

describe("members that meet", () => {
  it("the nearer one brings the other to one step behind it, and then has nothing more to do", () => {
    const [one, ...others] = row(6)
    const last = others.at(-1)!
    const nearer = meet(one!, last)
    expect([last, nearer].map(({ delegations }) => delegations.length)).toEqual([6, 2])
    expect(nearer.chain.length).toBeLessThan(last.chain.length)
    expect(nearer.certificate).toMatchObject({
      peer: last.peer,
      name: last.name,
      services: last.certificate.services,
      capabilities: last.certificate.capabilities,
      issuers: [one!.peer]
    })
    expect(issueNearer(one!, nearer.certificate, now)).toBeUndefined()
    const renewed = Either.getOrThrow(renewSelf(nearer, now + day / 2))
    expect(issueNearer(one!, renewed.certificate, now + day / 2)).toBeUndefined()
    // The root key is nearer than any.
    expect(meet(first, renewed, now + day / 2).delegations).toHaveLength(1)
  })

  it("a plain host gets a shorter certificate, and no right to sign", () => {
    const members = row(5)
    const host = member(members.at(-1)!, 3, plain)
    const nearer = meet(members[1]!, host)
    expect(host.certificate.issuers).toHaveLength(5)
    expect(nearer.certificate.issuers).toHaveLength(2)
    expect([nearer.delegations, nearer.authority]).toEqual([[], undefined])
  })

  it("nobody signs for rights beyond its own, for equals, or for those nearer than itself", () => {
    const members = row(4)
    const narrow = member(first, 3, { services: ["pay"], capabilities: ["admit"] })
    const powerful = member(first, 5, { services: ["*"], capabilities: ["admit", "revoke"] })
    expect(issueNearer(narrow, members[3]!.certificate, now)).toBeUndefined()
    expect(issueNearer(members[0]!, powerful.certificate, now)).toBeUndefined()
    expect(issueNearer(members[2]!, members[2]!.certificate, now)).toBeUndefined()
    expect(issueNearer(members[3]!, members[1]!.certificate, now)).toBeUndefined()
    expect(issueNearer(member(first, 7, plain), members[3]!.certificate, now)).toBeUndefined()
  })

  it("nobody nearer takes rights from those further away", () => {
    const members = row(4)
    const last = members[3]!
    const host = member(last, 3, plain)
    const narrow = member(first, 5, { services: ["pay"], capabilities: ["admit"] })
    for (const of of [last, host]) {
      const { peer, name } = of
      for (const grant of [
        { services: ["pay"], capabilities: of.certificate.capabilities },
        { services: [], capabilities: [] }
      ]) {
        const lesser = encodeIssued(
          Either.getOrThrow(issue(narrow.authority!, { peer, name, grant }, now))
        )
        expect(Either.getOrThrow(acceptIssued(of, lesser, now))).toBeUndefined()
      }
    }
    // Nor from what they may sign, beside a certificate that is right.
    const one = members[0]!
    const { chain } = Either.getOrThrow(
      issue(one.authority!, { ...last.certificate, grant: last.certificate }, now)
    )
    const less: Grant = { services: ["pay"], capabilities: ["admit"] }
    const delegations = Either.getOrThrow(issueDelegation(one.authority!, last.peer, less, now))
    const mixed = encodeIssued({ chain, delegations })
    expect(Either.getOrThrow(acceptIssued(last, mixed, now))).toBeUndefined()
  })

  it("nearness costs no life that matters", () => {
    // `old` was let in long ago and is near; `late` is far away, and its right is fresh.
    const at = now + delegationLifetime - 100 * day
    const old = Either.getOrThrow(renewSelf(member(first, 3), at))
    let late = Either.getOrThrow(renewSelf(first, at))
    for (let n = 20; n < 23; n++) late = member(late, n, admin, at)
    expect(bringsNearer(old.authority!, old.roots, late.certificate, at)).toBe(false)
    expect(issueNearer(old, late.certificate, at)).toBeUndefined()
    // Signed all the same, it is not taken.
    const forced = issueNearer(old, { ...late.certificate, signerNotAfter: 0 }, at)
    expect(Either.getOrThrow(acceptIssued(late, forced!, at))).toBeUndefined()
    // With more than half of its life to go it is.
    const young = now + 100 * day
    const middle = Either.getOrThrow(renewSelf(member(first, 3), young))
    let far = Either.getOrThrow(renewSelf(first, young))
    for (let n = 20; n < 23; n++) far = member(far, n, admin, young)
    expect(meet(middle, far, young).delegations).toHaveLength(2)
  })

  it("what does not fit is left, and is no reason to part", () => {
    const members = row(4)
    const other = issueNearer(members[0]!, members[2]!.certificate, now)
    for (const bytes of [other!, new Uint8Array([1, 2, 3]), new Uint8Array()]) {
      expect(Either.getOrThrow(acceptIssued(members[3]!, bytes, now))).toBeUndefined()
    }
  })

  it("clocks that differ within bounds change nothing", () => {
    const members = row(4)
    for (const apart of [-110_000, 110_000]) {
      const bytes = issueNearer(members[0]!, members[3]!.certificate, now + apart)
      const nearer = Either.getOrThrow(acceptIssued(members[3]!, bytes!, now))
      expect(nearer?.delegations).toHaveLength(2)
    }
  })
})

it("knows who could renew a certificate: who holds its rights, for longer than it lasts", () => {
  const plainOne = member(first, 40, plain)
  const others = new Map([
    [1, member(first, 41, admin)],
    [2, member(first, 42, { services: ["other"], capabilities: ["admit"] })],
    [3, member(first, 43, { services: ["*"], capabilities: [] })]
  ])
  const at = (...numbers: ReadonlyArray<number>) => {
    const known = numbers.map((n) => others.get(n)!)
    return {
      peers: known.map(({ peer }) => peer),
      certificateOf: (peer: PeerKey) => known.find((one) => one.peer === peer)?.certificate
    }
  }
  const able = others.get(1)!.peer
  expect(renewersOf(plainOne, at(1, 2, 3), now)).toEqual([able])
  expect(renewersOf(plainOne, at(2, 3), now)).toEqual([])
  // By its own hand, as long as its right outlasts what it would sign.
  expect(renewersOf(first, at(), now)).toEqual([first.peer])
  const late = withoutRootKey(first)
  expect(renewersOf(late, at(), now)).toEqual([late.peer])
  expect(renewersOf(late, at(), now + delegationLifetime)).toEqual([])
})

describe("whom to ask for a renewal", () => {
  const order = (
    identity: NodeIdentity,
    known: ReadonlyArray<NodeIdentity | PeerKey>,
    at = now + day / 2
  ) => {
    const certificates = new Map<PeerKey, VerifiedCertificate>()
    const peers = known.map((one) => {
      if (typeof one === "string") return one
      certificates.set(one.peer, one.certificate)
      return one.peer
    })
    const signers = { peers, certificateOf: (peer: PeerKey) => certificates.get(peer) }
    const names = new Map(
      known.flatMap((one) => (typeof one === "string" ? [] : [[one.peer, one.name]]))
    )
    return renewalOrder(identity, signers, at).map((one) =>
      one === "own hand" ? one : (names.get(one) ?? "unknown")
    )
  }
  const members = row(4)
  const [one, two, three, four] = members as [
    NodeIdentity,
    NodeIdentity,
    NodeIdentity,
    NodeIdentity
  ]
  const host = member(four, 3, plain)
  const narrow = member(first, 5, { services: ["pay"], capabilities: ["admit"] })
  const unknown = member(first, 6).peer

  it("a plain host: the nearest first, the unable last, those that may not sign never", () => {
    const other = member(first, 7, plain)
    expect(order(host, [four, unknown, narrow, two, other, one])).toEqual([
      ...["node-10", "node-11", "node-13", "unknown", "node-5"]
    ])
    expect(order(host, [])).toEqual([])
  })

  it("who may sign: itself, unless somebody brings it nearer", () => {
    expect(order(four, [three, host])).toEqual(["own hand", "node-12"])
    expect(order(four, [three, two, one])).toEqual(["node-10", "node-11", "own hand", "node-12"])
    expect(order(two, [narrow, one])).toEqual(["own hand", "node-10", "node-5"])
    expect(order(first, [one])).toEqual(["own hand", "node-10"])
  })

  it("in the second half of its right's life: those with a longer one first", () => {
    const at = now + delegationLifetime - 10 * day
    const again = found(at)
    const fresh = member(member(member(again, 30, admin, at), 31, admin, at), 32, admin, at)
    const old = Either.getOrThrow(renewSelf(one, at))
    const own = Either.getOrThrow(renewSelf(three, at))
    expect(order(own, [old, fresh], at)).toEqual(["node-32", "node-10", "own hand"])
  })
})
