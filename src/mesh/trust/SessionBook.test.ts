import { describe, expect, it } from "vitest"
import { nodeOut, revoking } from "../../../test/fixtures/Revoking.ts"
import { MeshId, NodeName, PeerKey, ServiceName } from "../../model/Names.ts"
import { maySpeakFor, type Session } from "../../model/Session.ts"
import { RootId } from "../../schema/TrustSchema.ts"
import { alice, bob } from "../../testing/LinkTestPair.ts"
import { freshSecret } from "../../testing/SessionHosts.ts"
import { defaultSkew, type VerifiedCertificate } from "./Certificate.ts"
import { resumptionLife, SessionBook, sessionLife, sessionRenewal } from "./SessionBook.ts"
import { sessionOf } from "./SessionSecret.ts"

const day = 24 * 3_600_000

const certificateOf = (
  peer: PeerKey,
  change: Partial<VerifiedCertificate> = {}
): VerifiedCertificate => ({
  peer,
  name: NodeName.make(`host-${peer.at(-1)?.toLowerCase()}`),
  mesh: MeshId.make("00112233445566778899aabbccddeeff"),
  root: RootId.make("00112233445566778899aabbccddeeff"),
  services: ["web", "shop-*"],
  capabilities: [],
  notBefore: 0,
  notAfter: day,
  issuers: [],
  signerNotAfter: Number.POSITIVE_INFINITY,
  fingerprint: "0".repeat(32),
  ...change
})

const make = (limit?: number) => {
  const clock = { now: 1_000 }
  const made: Array<Session> = []
  const ended: Array<readonly [PeerKey, string]> = []
  const book = new SessionBook({
    now: () => clock.now,
    onSession: (session) => made.push(session),
    onEnd: (peer, reason) => ended.push([peer, reason]),
    limit
  })
  return { book, clock, made, ended }
}

describe("a session that two nodes agreed on", () => {
  it("says whose it is, what the certificate grants, and for how long", () => {
    const { book, made } = make()
    const secret = freshSecret()
    book.made(certificateOf(bob), secret)
    expect(made).toEqual([
      {
        ...secret,
        peer: bob,
        peerName: "host-o",
        until: 1_000 + sessionLife,
        facts: { services: ["web", "shop-*"], speaks: [] }
      }
    ])
    expect(book.all()).toEqual(made)
    expect(book.certificateOf(bob)).toEqual(certificateOf(bob))
  })

  it("says what was taken from the peer since it was granted", () => {
    const made: Array<Session> = []
    const grant = { revoke: "grant", peer: bob, service: "shop-cart" } as const
    const sut = new SessionBook({
      ...{ now: () => 1_000, onSession: (session) => made.push(session), onEnd: () => undefined },
      revocations: { current: revoking(grant) }
    })
    sut.made(certificateOf(bob), freshSecret())
    const [session] = made
    expect(session?.facts.withheld).toEqual(["shop-cart"])
    const may = (service: string) => maySpeakFor(session!.facts, ServiceName.make(service))
    expect([may("shop-orders"), may("shop-cart"), may("web")]).toEqual([true, false, true])
  })

  it("is none with somebody who was thrown out", () => {
    const made: Array<Session> = []
    const sut = new SessionBook({
      now: () => 1_000,
      onSession: (session) => made.push(session),
      onEnd: () => undefined,
      revocations: { current: revoking(nodeOut(bob)) }
    })
    sut.made(certificateOf(bob), freshSecret())
    sut.made(certificateOf(alice, { issuers: [bob] }), freshSecret())
    expect(made).toEqual([])
    sut.made(certificateOf(alice), freshSecret())
    expect(made.map(({ peer }) => peer)).toEqual([alice])
  })

  it("lasts no longer than the certificate, with what clocks may differ", () => {
    const { book, made } = make()
    book.made(certificateOf(bob, { notAfter: 60_000 }), freshSecret())
    expect(made[0]?.until).toBe(60_000 + defaultSkew)
  })

  it("takes the place of the one before, which is not ended: links of it go on", () => {
    const { book, ended, made } = make()
    book.made(certificateOf(bob), freshSecret())
    book.made(certificateOf(bob), freshSecret())
    expect(made).toHaveLength(2)
    expect(book.all()).toEqual([made[1]])
    expect(ended).toEqual([])
  })

  it("is due for another after its time, and anew from the next on", () => {
    const { book, clock } = make()
    expect(book.isDue(bob)).toBe(false)
    book.made(certificateOf(bob), freshSecret())
    clock.now += sessionRenewal - 1
    expect(book.isDue(bob)).toBe(false)
    clock.now += 1
    expect(book.isDue(bob)).toBe(true)
    book.made(certificateOf(bob), freshSecret())
    expect(book.isDue(bob)).toBe(false)
  })

  it("is due while there is an hour left", () => {
    expect(sessionLife - sessionRenewal).toBeGreaterThanOrEqual(3_600_000)
  })
})

describe("a session ends", () => {
  it("once, with the reason, and only where there was one", () => {
    const { book, ended } = make()
    book.made(certificateOf(bob), freshSecret())
    book.end(bob, "it has left the mesh")
    book.end(bob, "again")
    book.end(alice, "never there")
    expect(ended).toEqual([[bob, "it has left the mesh"]])
    expect([book.all(), book.certificateOf(bob), book.isDue(bob)]).toEqual([[], undefined, false])
  })

  it("with its certificate, unless the peer has shown a newer one", () => {
    const { book, clock, ended } = make()
    book.made(certificateOf(alice), freshSecret())
    book.made(certificateOf(bob), freshSecret())
    book.refresh(certificateOf(alice, { notAfter: 2 * day }))
    clock.now = day + defaultSkew
    expect(book.endExpired()).toEqual([])
    clock.now++
    expect(book.endExpired().map(({ peer }) => peer)).toEqual([bob])
    expect(ended).toEqual([[bob, "the certificate of host-o has ended and was not renewed"]])
    expect(book.all().map(({ peer }) => peer)).toEqual([alice])
    clock.now += day
    expect(book.endExpired().map(({ peer }) => peer)).toEqual([alice])
    expect(book.endExpired()).toEqual([])
  })

  it("not sooner because of an older certificate that comes late", () => {
    const { book } = make()
    book.made(certificateOf(bob, { notAfter: 2 * day }), freshSecret())
    book.refresh(certificateOf(bob, { notAfter: day }))
    expect(book.certificateOf(bob)?.notAfter).toBe(2 * day)
    book.refresh(certificateOf(alice)) // of whom there is no session
    expect(book.certificateOf(alice)).toBeUndefined()
  })

  it("when there is no room: the one that was made first, counted from its newest", () => {
    const { book, ended } = make(2)
    const carol = PeerKey.make("12D3KooWCaroCaroCaroCaroCaroCaroCaroCaroCaroCaroCaro")
    book.made(certificateOf(alice), freshSecret())
    book.made(certificateOf(bob), freshSecret())
    book.made(certificateOf(alice), freshSecret())
    expect(ended).toEqual([])
    book.made(certificateOf(carol), freshSecret())
    expect(ended).toEqual([[bob, "there are too many peers"]])
    expect(book.all().map(({ peer }) => peer)).toEqual([alice, carol])
  })
})

describe("what a connection is resumed by", () => {
  const agreed = (n: number) => sessionOf(Buffer.alloc(32, n), Buffer.alloc(32, n + 1))

  it("is offered once, taken until it has served, and known by its id alone", () => {
    const { book } = make()
    const { resumption } = agreed(1)
    book.made(certificateOf(bob), agreed(1))
    expect(book.resumable(bob)).toEqual({ ...resumption, certificate: certificateOf(bob) })
    expect(book.resumable(alice)).toBeUndefined()
    book.offered(resumption.id)
    expect(book.resumable(bob)).toBeUndefined()
    expect(book.redeemable(resumption.id)?.secret).toEqual(resumption.secret)
    book.spend(resumption.id)
    expect(book.redeemable(resumption.id)).toBeUndefined()
    expect(book.redeemable("0".repeat(32))).toBeUndefined()
    book.spend(resumption.id)
    book.made(certificateOf(bob), agreed(2))
    expect(book.resumable(bob)?.id).toBe(agreed(2).resumption.id)
  })

  it("is the newest, and the one before is taken as well: two may have called each other", () => {
    const { book } = make()
    for (const n of [1, 2, 3]) book.made(certificateOf(bob), agreed(n))
    const taken = [1, 2, 3].map((n) => book.redeemable(agreed(n).resumption.id) !== undefined)
    expect(taken).toEqual([false, true, true])
    expect(book.resumable(bob)?.id).toBe(agreed(3).resumption.id)
  })

  it("is none where a session was agreed on by what has none", () => {
    const { book } = make()
    book.made(certificateOf(bob), freshSecret())
    expect(book.resumable(bob)).toBeUndefined()
  })

  it("is over in an hour, and while the clock says that it is yet to be made", () => {
    const { book, clock } = make()
    book.made(certificateOf(bob), agreed(1))
    const { id } = agreed(1).resumption
    clock.now += resumptionLife - 1
    expect(book.redeemable(id)).toBeDefined()
    clock.now += 1
    expect([book.redeemable(id), book.resumable(bob)]).toEqual([undefined, undefined])
    clock.now = 999
    expect(book.redeemable(id)).toBeUndefined()
  })

  it("says what the peer has shown last", () => {
    const { book } = make()
    book.made(certificateOf(bob), agreed(1))
    const newer = certificateOf(bob, { notAfter: 2 * day, services: [] })
    book.refresh(newer)
    expect(book.resumable(bob)?.certificate).toEqual(newer)
  })

  it("ends with the session: when the peer is out, gone, or one too many", () => {
    const { book } = make(1)
    const { id } = agreed(1).resumption
    book.made(certificateOf(bob), agreed(1))
    book.end(bob, "it has left the mesh")
    expect(book.redeemable(id)).toBeUndefined()
    book.made(certificateOf(bob), agreed(1))
    book.made(certificateOf(alice), agreed(2))
    expect([book.redeemable(id), book.resumable(bob)]).toEqual([undefined, undefined])
    expect(book.resumable(alice)).toBeDefined()
  })

  it("is nothing to a node that is out itself", () => {
    let out = false
    const sut = new SessionBook({
      ...{ now: () => 1_000, onSession: () => undefined, onEnd: () => undefined },
      isOut: () => out
    })
    sut.made(certificateOf(bob), agreed(1))
    out = true
    expect(sut.resumable(bob)).toBeUndefined()
    expect(sut.redeemable(agreed(1).resumption.id)).toBeUndefined()
  })
})
