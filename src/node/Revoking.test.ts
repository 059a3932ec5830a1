import { Either } from "effect"
import { describe, expect, it } from "vitest"
import { makeMembers } from "../../test/fixtures/Members.ts"
import { nodeOut, revoking } from "../../test/fixtures/Revoking.ts"
import { createInvite, parseInvite } from "../mesh/trust/Invite.ts"
import type { NodeIdentity } from "../mesh/trust/NodeIdentity.ts"
import { Revocations } from "../mesh/trust/Revocations.ts"
import { NodeName, type PeerKey } from "../model/Names.ts"
import { bodyOf, type Known, type RevokeSources, signedFor } from "./Revoking.ts"

const now = 1_800_000_000_000
const made = makeMembers(4, now)
const member = (index: number): NodeIdentity => made[index]!
const [founder, b, c, d] = [member(0), member(1), member(2), member(3)]

const known = ({ certificate }: NodeIdentity, ...issuers: ReadonlyArray<PeerKey>): Known => ({
  certificate: { peer: certificate.peer, name: certificate.name, issuers }
})
const resting = (one: NodeIdentity, ...issuers: ReadonlyArray<PeerKey>): NodeIdentity => ({
  ...one,
  certificate: { ...one.certificate, issuers }
})
const members = [
  known(founder),
  known(b, founder.peer),
  known(c, founder.peer, b.peer),
  // By its own hand.
  known(d, founder.peer, b.peer, d.peer)
]

const ask = (
  target: string,
  { withAdmitted = false, ...sources }: Partial<RevokeSources> & { withAdmitted?: boolean } = {}
) =>
  bodyOf(
    { target, withAdmitted },
    { self: founder, members, revocations: Revocations.none, now, ...sources }
  )
const codeOf = (...asked: Parameters<typeof ask>) =>
  Either.match(ask(...asked), { onLeft: ({ code }) => code, onRight: () => "fine" })

describe("what is to be revoked", () => {
  it("is a node by name or peer id, and those it has signed for stay", () => {
    const body = { revoke: "node", peer: b.peer, called: "host-1", stay: [c.peer, d.peer].sort() }
    expect(ask("host-1")).toEqual(Either.right(body))
    expect(ask(` ${b.peer}\n`)).toEqual(Either.right(body))
    expect(ask("host-1", { withAdmitted: true })).toEqual(Either.right({ ...body, stay: [] }))
    expect(signedFor(founder.peer, members)).toEqual([b.peer])
  })

  it("is one that nobody has met for long, by its peer id", () => {
    expect(ask(b.peer, { members: [] })).toEqual(Either.right(nodeOut(b.peer)))
  })

  it("is a service of a node, or several", () => {
    for (const service of ["payments", "shop-*", "*"]) {
      expect(ask(`host-1/${service}`)).toEqual(
        Either.right({ revoke: "grant", peer: b.peer, called: "host-1", service })
      )
    }
    expect(codeOf("host-1/Payments")).toBe("invalid")
    expect(codeOf("host-1/a/b")).toBe("invalid")
  })

  it("is an invite, by its token or its id", () => {
    const token = Either.getOrThrow(
      createInvite(founder, {
        bootstrap: [`/ip4/127.0.0.1/tcp/1/p2p/${founder.peer}`],
        grant: { services: ["*"], capabilities: [] },
        ttl: 60_000,
        now
      })
    )
    const { id } = Either.getOrThrow(parseInvite(token, now))
    expect(ask(token)).toEqual(Either.right({ revoke: "invite", invite: id }))
    expect(ask(id)).toEqual(Either.right({ revoke: "invite", invite: id }))
    expect(codeOf(token.slice(0, -4))).toBe("invalid")
  })

  it("is refused with what is wrong", () => {
    expect(codeOf("host-9")).toBe("not_there")
    expect([codeOf(""), codeOf(" "), codeOf("/web")]).toEqual(["invalid", "invalid", "invalid"])
    expect(codeOf("host-0")).toBe("itself")
    expect(codeOf("host-0", { self: resting(b, founder.peer) })).toBe("above")
    expect(
      codeOf("host-1", {
        members: [
          ...members,
          known({ ...d, certificate: { ...d.certificate, name: NodeName.make("host-1") } })
        ]
      })
    ).toBe("ambiguous")
    const crowd = makeMembers(600, now).map((one) => known(one, founder.peer, b.peer))
    expect(
      codeOf("host-1", {
        members: [
          known(b, founder.peer),
          ...crowd.filter(({ certificate }) => certificate.name !== "host-1")
        ]
      })
    ).toBe("too_many")
  })

  it("may be out already", () => {
    const revocations = revoking({
      ...nodeOut(b.peer),
      revoke: "node",
      peer: b.peer,
      called: NodeName.make("gone"),
      stay: []
    })
    expect(ask("gone", { members: [], revocations })).toMatchObject({ right: { peer: b.peer } })
  })
})
