/**
 * Meshes that outlive whoever founded them. Members are identities that come and go in histories
 * drawn by chance, and what they do is what nodes do: the decisions, without the network between.
 */
import { Either } from "effect"
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { NodeName, type PeerKey } from "../../model/Names.ts"
import { judgeJoiner, judgeMember } from "./AdmissionJudge.ts"
import { ChainCache, verifyChain } from "./Certificate.ts"
import { foundMesh } from "./FoundMesh.ts"
import { type Grant, uncovered } from "./Grant.ts"
import { createInvite, parseInvite } from "./Invite.ts"
import { claimInvite } from "./InviteClaim.ts"
import { decodeIssued } from "./Issue.ts"
import { depthOf, renewalOrder } from "./Nearness.ts"
import { makeIdentity, type NodeIdentity } from "./NodeIdentity.ts"
import { acceptIssued, acceptRenewal, issueRenewal, renewSelf } from "./Renewal.ts"
import { Revocations } from "./Revocations.ts"
import { maxChainBytes } from "./SignedChain.ts"
import { peerKeyOf, signingKeyFromSeed } from "./SigningKey.ts"

const now = 1_800_000_000_000
const key = (n: number) => {
  const seed = new Uint8Array(32)
  new DataView(seed.buffer).setUint32(0, n + 1)
  return signingKeyFromSeed(seed)
}
const founder = (at = now): NodeIdentity =>
  Either.getOrThrow(
    foundMesh({
      rootKey: key(0),
      privateKey: key(1),
      meshName: "test",
      nodeName: NodeName.make("node-1"),
      now: at
    })
  )
const admin: Grant = { services: ["*"], capabilities: ["admit"] }
const address = "/ip4/192.0.2.1/tcp/4001/p2p"

/** What `skein invite` on the one and `skein join` on the other do, without the network between. */
const admit = (by: NodeIdentity, n: number, grant = admin, at = now): NodeIdentity => {
  const token = Either.getOrThrow(
    createInvite(by, { bootstrap: [`${address}/${by.peer}`], grant, ttl: 3_600_000, now: at })
  )
  const invite = Either.getOrThrow(parseInvite(token, at))
  const privateKey = key(n)
  const peer: PeerKey = peerKeyOf(privateKey.publicKey.raw)
  const name = NodeName.make(`node-${n}`)
  const { issued } = Either.getOrThrow(
    judgeJoiner(claimInvite(invite, peer, name), name, peer, {
      identity: by,
      now: at,
      revocations: Revocations.none,
      isNameTaken: () => false
    })
  )
  const parts = Either.getOrThrow(decodeIssued(issued ?? new Uint8Array()))
  return Either.getOrThrow(
    makeIdentity({
      privateKey,
      roots: by.roots,
      meshName: by.meshName,
      ...parts
    })
  )
}

describe("generations of invites, each inviter gone", () => {
  it("twenty: the last one admits like the first, and its certificate is of bounded size", () => {
    const { roots } = founder()
    let last = founder()
    for (let n = 2; n <= 21; n++) last = admit(last, n)
    expect(last.delegations).toHaveLength(20)
    const plain = admit(last, 22, { services: ["shop-*"], capabilities: [] })
    for (const { chain, peer } of [last, plain]) {
      expect(Either.isRight(verifyChain(chain, { roots, now, peer }))).toBe(true)
      expect(chain.length).toBeLessThan(maxChainBytes)
    }
  })
})

const hour = 3_600_000

interface Member {
  identity: NodeIdentity
  /** What it was let in with. */
  readonly grant: Grant
  /** How far its clock is off, ms. */
  readonly skew: number
}

type Step =
  | { readonly do: "invite"; readonly by: number; readonly grant: Grant; readonly skew: number }
  | { readonly do: "meet"; readonly pair: readonly [number, number] }
  | { readonly do: "end"; readonly of: number }
  | { readonly do: "wait"; readonly hours: number; readonly apart: boolean }
  | { readonly do: "root key"; readonly of: number; readonly isHere: boolean }

/** The members that are alive, and what befalls them. Numbers in steps are taken modulo. */
class History {
  readonly alive: Array<Member>
  readonly cache = new ChainCache()
  now = now
  #keys = 1
  /** Identities that were replaced at a handshake. */
  shortened = 0

  constructor() {
    this.alive = [{ identity: founder(), grant: founder().certificate, skew: 0 }]
  }

  #at(index: number): Member {
    return this.alive[index % this.alive.length]!
  }

  step(step: Step): void {
    switch (step.do) {
      case "invite": {
        const by = this.#at(step.by)
        if (by.identity.authority === undefined) return
        // Nobody hands on more than it holds.
        if (uncovered(by.identity.authority.grant, step.grant).length > 0) return
        const at = this.now + by.skew
        const identity = admit(by.identity, ++this.#keys, step.grant, at)
        this.alive.push({ identity, grant: step.grant, skew: step.skew })
        return
      }
      case "meet":
        this.meet(this.#at(step.pair[0]), this.#at(step.pair[1]))
        return
      case "end":
        this.#end(step.of % this.alive.length)
        return
      case "wait":
        this.now += step.hours * hour
        for (const [index, member] of this.alive.entries()) {
          // Cut in two, those that can sign for themselves live on in either half.
          const apart = step.apart && member.identity.authority !== undefined
          this.#renew(
            member,
            this.alive.filter((other, at) => other !== member && (!apart || at % 2 === index % 2))
          )
        }
        return
      case "root key": {
        const member = this.#at(step.of)
        const rootKey = step.isHere ? key(0) : undefined
        member.identity = Either.getOrThrow(makeIdentity({ ...member.identity, rootKey }))
        if (!step.isHere) return
        member.identity = Either.getOrThrow(renewSelf(member.identity, this.now + member.skew))
      }
    }
  }

  /** Without anybody who may sign, a mesh is over within a day. */
  #end(of: number): void {
    const others = this.alive.filter((_, index) => index !== of)
    if (others.every(({ identity }) => identity.authority === undefined)) return
    this.alive.splice(of, 1)
  }

  /** A handshake: `dialler` shows itself first. */
  meet(dialler: Member, listener: Member): void {
    if (dialler === listener) return
    const judge = (by: Member, shown: NodeIdentity) =>
      Either.getOrThrowWith(
        judgeMember(shown.chain, shown.peer, {
          identity: by.identity,
          now: this.now + by.skew,
          cache: this.cache,
          revocations: Revocations.none,
          isNameTaken: () => false
        }),
        (refused) => refused
      ).issued
    const take = (member: Member, issued: Uint8Array | undefined): void => {
      if (issued === undefined) return
      const better = Either.getOrThrow(
        acceptIssued(member.identity, issued, this.now + member.skew)
      )
      if (better === undefined) return
      member.identity = better
      this.shortened++
    }
    const welcome = judge(listener, dialler.identity)
    const accept = judge(dialler, listener.identity)
    take(dialler, welcome)
    take(listener, accept)
  }

  #renew(member: Member, others: ReadonlyArray<Member>): void {
    const at = this.now + member.skew
    const signers = {
      peers: others.map(({ identity }) => identity.peer),
      certificateOf: (peer: PeerKey) =>
        others.find(({ identity }) => identity.peer === peer)?.identity.certificate
    }
    for (const who of renewalOrder(member.identity, signers, at)) {
      const signer = others.find(({ identity }) => identity.peer === who)
      const renewed =
        signer === undefined
          ? renewSelf(member.identity, at)
          : Either.flatMap(
              issueRenewal(signer.identity, member.identity.certificate, this.now + signer.skew),
              (bytes) => acceptRenewal(member.identity, bytes, at)
            )
      if (Either.isRight(renewed)) {
        member.identity = renewed.right
        return
      }
    }
  }

  /** What must hold of everybody at any moment. */
  check(): void {
    for (const { identity, grant } of this.alive) {
      const { certificate, chain, delegations, peer, roots } = identity
      // By a clock that is right, by whoever has never met it.
      const verified = verifyChain(chain, {
        roots,
        now: this.now,
        peer,
        cache: this.cache
      })
      if (Either.isLeft(verified)) throw verified.left
      expect(chain.length).toBeLessThanOrEqual(maxChainBytes)
      expect(uncovered(grant, certificate)).toEqual([])
      expect(uncovered(certificate, grant)).toEqual([])
      if (grant.capabilities.includes("admit")) {
        expect(delegations.length).toBeGreaterThan(0)
        expect(delegations.length).toBeLessThanOrEqual(this.#keys)
      } else expect(delegations).toEqual([])
    }
  }

  /** Everybody meets everybody, until nothing changes any more. */
  settle(): void {
    for (let round = 0; ; round++) {
      const before = this.shortened
      for (const one of this.alive) for (const other of this.alive) this.meet(one, other)
      if (this.shortened === before) return
      // Each round brings everybody next to the nearest.
      expect(round).toBeLessThan(3)
    }
  }
}

const grants: ReadonlyArray<Grant> = [
  admin,
  { services: ["*"], capabilities: ["admit", "policy", "revoke"] },
  { services: ["shop-*", "payments"], capabilities: ["admit"] },
  { services: ["shop-*"], capabilities: [] }
]
const index = fc.nat({ max: 1_000 })
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant("invite" as const),
      by: index,
      grant: fc.constantFrom(...grants),
      skew: fc.integer({ min: -50_000, max: 50_000 })
    })
  },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant("meet" as const), pair: fc.tuple(index, index) })
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("end" as const), of: index }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("wait" as const),
      hours: fc.integer({ min: 1, max: 20 }),
      apart: fc.boolean()
    })
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("root key" as const),
      of: index,
      isHere: fc.boolean()
    })
  }
)

describe("a mesh without its root key", () => {
  it("lives for a year, and on when the key is back at a member for one start", () => {
    const history = new History()
    const invite = (by: number) => history.step({ do: "invite", by, grant: admin, skew: 0 })
    const wait = (hours: number) => {
      for (let passed = 0; passed < hours; passed += 20) {
        history.step({ do: "wait", hours: 20, apart: false })
      }
      history.check()
    }
    const days = () =>
      history.alive.map(({ identity }) =>
        Math.round((identity.authority!.notAfter - history.now) / (24 * hour))
      )
    history.step({ do: "root key", of: 0, isHere: false })
    invite(0)
    invite(1)
    expect(days()).toEqual([365, 365, 365])
    wait(350 * 24)
    expect(days()).toEqual([15, 15, 15])
    const bring = (of: number) => {
      history.step({ do: "root key", of, isHere: true })
      history.step({ do: "root key", of, isHere: false })
      wait(20)
    }
    // The first node may do more than it granted: the others cannot sign for that.
    bring(2)
    expect(days()).toEqual([14, 364, 364])
    bring(0)
    expect(days()).toEqual([364, 363, 363])
    wait(40 * 24)
  }, 60_000)
})

describe("any history of a mesh", () => {
  it("leaves every member believed, with its rights and no more, and able to invite if it may", () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 5, maxLength: 30 }), (steps) => {
        const history = new History()
        for (const one of steps) {
          history.step(one)
          history.check()
        }
        for (const { identity, grant, skew } of history.alive) {
          if (!grant.capabilities.includes("admit")) continue
          const narrow: Grant = { services: grant.services, capabilities: ["admit"] }
          const joined = admit(identity, 999, narrow, history.now + skew)
          expect(joined.certificate.services).toEqual(grant.services)
        }
      }),
      { seed: 16, numRuns: 200 }
    )
  }, 120_000)

  it("ends, when all have met, with everybody one step behind the nearest that holds its rights", () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 5, maxLength: 30 }), (steps) => {
        const history = new History()
        for (const one of steps) history.step(one)
        history.settle()
        history.check()
        for (const { identity } of history.alive) {
          const nearest = history.alive
            .filter(({ identity: { authority } }) =>
              authority === undefined
                ? false
                : uncovered(authority.grant, identity.certificate).length === 0
            )
            .map(({ identity: { authority } }) => authority!.delegations.length)
          const own = depthOf(identity.certificate)
          expect(own).toBeLessThanOrEqual(Math.min(own, ...nearest) + 1)
        }
      }),
      { seed: 17, numRuns: 150 }
    )
  }, 120_000)
})
