import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { NodeName, type PeerKey, ServiceName } from "../../model/Names.ts"
import { InviteId, type TrustBody, trustName } from "../../schema/TrustSchema.ts"
import { describeRevocation, Revocations, type TrustStatement } from "./Revocations.ts"
import { peerKeyOf, signingKeyFromSeed } from "./SigningKey.ts"

const peer = (n: number): PeerKey =>
  peerKeyOf(signingKeyFromSeed(new Uint8Array(32).fill(n)).publicKey.raw)
const [founder, ops, admin, shop, newcomer] = [1, 2, 3, 4, 5].map(peer) as [
  PeerKey,
  PeerKey,
  PeerKey,
  PeerKey,
  PeerKey
]

const node = (target: PeerKey, ...stay: ReadonlyArray<PeerKey>): TrustBody => ({
  revoke: "node",
  peer: target,
  stay
})

/** Of a member that the founder let in, unless told otherwise. */
const says = (
  signer: PeerKey,
  body: TrustBody,
  epoch: number,
  more: Partial<TrustStatement> = {}
): TrustStatement => ({
  ...{ name: trustName(body), signer, issuers: [founder] },
  ...{ epoch, version: 0, body, why: undefined, signedAt: epoch, author: "somebody", ...more }
})
const takesBack = (signer: PeerKey, body: TrustBody, epoch: number) =>
  says(signer, body, epoch, { body: undefined })

const letIn = (who: PeerKey, ...issuers: ReadonlyArray<PeerKey>) => ({ peer: who, issuers })
const isOut = (revocations: Revocations, who: PeerKey, ...issuers: ReadonlyArray<PeerKey>) =>
  revocations.outBy(letIn(who, ...issuers)) !== undefined

describe("revocations", () => {
  it("throw out a node, and say why", () => {
    const body: TrustBody = {
      revoke: "node",
      peer: shop,
      called: NodeName.make("host-c"),
      stay: []
    }
    const sut = Revocations.of([
      says(ops, body, 1_800_000_000_000, { why: "its disk was stolen", author: "ops on host-b" })
    ])
    expect(isOut(sut, shop, founder)).toBe(true)
    expect(isOut(sut, admin, founder)).toBe(false)
    expect(sut.all.map(describeRevocation)).toEqual([
      "host-c was thrown out of the mesh by ops on host-b at 2027-01-15T08:00:00.000Z: its disk was stolen"
    ])
  })

  it("are told on one line, whatever their author wrote", () => {
    const why = "its disk\nwas stolen\r\u001b[2J"
    const [told] = Revocations.of([says(ops, node(shop), 1, { why })]).all.map(describeRevocation)
    expect(told).toMatch(/: its disk was stolen $/)
  })

  it("end what a revoked node has signed, but for those that stay", () => {
    const sut = Revocations.of([says(ops, node(shop, admin), 1)])
    expect(isOut(sut, newcomer, founder, shop)).toBe(true)
    expect(isOut(sut, admin, founder, shop)).toBe(false)
    // It may sign for itself, and whom it lets in is let in.
    expect(isOut(sut, admin, founder, shop, admin)).toBe(false)
    expect(isOut(sut, newcomer, founder, shop, admin)).toBe(false)
    // What it signs further down is no better.
    expect(isOut(sut, newcomer, founder, admin, shop)).toBe(true)
    // Signed for by somebody else since.
    expect(isOut(sut, newcomer, founder)).toBe(false)
  })

  it("are taken back by anybody else who may, and by nobody for itself", () => {
    const out = says(ops, node(shop), 1)
    expect(isOut(Revocations.of([out, takesBack(admin, node(shop), 2)]), shop)).toBe(false)
    expect(isOut(Revocations.of([out, takesBack(shop, node(shop), 2)]), shop)).toBe(true)
    expect(isOut(Revocations.of([out, says(shop, node(shop, newcomer), 2)]), newcomer, shop)).toBe(
      true
    )
  })

  it("of who was revoked count as far as they were made before", () => {
    const sut = Revocations.of([
      says(ops, node(shop), 1),
      says(admin, node(ops), 2),
      says(ops, node(newcomer), 3)
    ])
    expect(isOut(sut, shop)).toBe(true)
    expect(isOut(sut, ops)).toBe(true)
    expect(isOut(sut, newcomer)).toBe(false)
  })

  it("do not reach those on whose word their signer is here", () => {
    expect(Revocations.of([says(ops, node(founder), 1)])).toBe(Revocations.none)
  })

  it.each([
    ["afterwards", 2],
    ["dated back", 0]
  ])("are not escaped by throwing out who made them, %s", (_, at) => {
    const out = says(ops, node(shop), 1)
    // At the same distance both are out…
    const even = Revocations.of([out, says(shop, node(ops), at)])
    expect([isOut(even, shop), isOut(even, ops)]).toEqual([true, true])
    // …and otherwise the one nearer to the root is believed.
    const farther = says(shop, node(ops), at, { issuers: [founder, admin] })
    const sut = Revocations.of([out, farther])
    expect([isOut(sut, shop), isOut(sut, ops)]).toEqual([true, false])
  })

  it("of the root's own holder stand against all", () => {
    const sut = Revocations.of([
      says(admin, node(ops), 0),
      says(ops, node(admin), 1, { issuers: [] })
    ])
    expect([isOut(sut, admin), isOut(sut, ops)]).toEqual([true, false])
  })

  it("count under their own name only", () => {
    const other = trustName(node(admin))
    expect(Revocations.of([says(ops, node(shop), 1, { name: other })])).toBe(Revocations.none)
  })

  it("take single services, and invites", () => {
    const invite = InviteId.make("0".repeat(32))
    const sut = Revocations.of([
      says(ops, { revoke: "grant", peer: shop, service: "pay*" }, 1),
      says(ops, { revoke: "invite", invite }, 2)
    ])
    expect(sut.grant(shop, ServiceName.make("payments"))?.body.service).toBe("pay*")
    expect(sut.grant(shop, ServiceName.make("orders"))).toBeUndefined()
    expect(sut.grant(ops, ServiceName.make("payments"))).toBeUndefined()
    expect(sut.invite(invite)).toBeDefined()
    expect(isOut(sut, shop)).toBe(false)
  })

  it("are the same whatever the order in which they are heard", () => {
    const peers = [founder, ops, admin, shop, newcomer]
    const anyone = fc.constantFrom(...peers)
    const statement = fc
      .record({
        signer: anyone,
        target: anyone,
        stay: fc.subarray(peers),
        epoch: fc.nat(5),
        back: fc.boolean(),
        issuers: fc.subarray(peers)
      })
      .map(({ back, epoch, issuers, signer, stay, target }) => {
        const body = node(target, ...stay)
        return says(signer, body, epoch, { issuers, ...(back && { body: undefined }) })
      })
    // Each signer has one word under a name.
    const statements = fc.uniqueArray(statement, {
      selector: ({ name, signer }) => `${signer} ${name}`,
      maxLength: 12
    })
    fc.assert(
      fc.property(
        statements.chain((all) =>
          fc.tuple(fc.constant(all), fc.shuffledSubarray(all, { minLength: all.length }))
        ),
        ([all, shuffled]) => {
          expect(Revocations.of(shuffled).all).toEqual(Revocations.of(all).all)
        }
      )
    )
  })

  it("agree about whom they treat alike", () => {
    const [one, both] = [
      Revocations.of([says(ops, node(shop), 1)]),
      Revocations.of([
        says(ops, node(shop), 1),
        says(ops, { revoke: "grant", peer: admin, service: "*" }, 2)
      ])
    ]
    expect(one.agree(both, letIn(shop))).toBe(true)
    expect(one.agree(both, letIn(newcomer, shop))).toBe(true)
    expect(one.agree(both, letIn(admin))).toBe(false)
    expect(one.agree(Revocations.none, letIn(newcomer, shop))).toBe(false)
  })
})
