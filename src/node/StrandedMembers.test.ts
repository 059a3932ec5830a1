import { Either } from "effect"
import { beforeEach, describe, expect, it } from "vitest"
import { makeMembers } from "../../test/fixtures/Members.ts"
import { nodeOut, revoking } from "../../test/fixtures/Revoking.ts"
import { nodeEntry } from "../mesh/catalogue/RecordEntry.ts"
import { hearOfRoots, type NodeIdentity } from "../mesh/trust/NodeIdentity.ts"
import { acceptRenewal, issueRenewal } from "../mesh/trust/Renewal.ts"
import { Revocations } from "../mesh/trust/Revocations.ts"
import { finishRotation, rotateRoot } from "../mesh/trust/RootRotation.ts"
import { generateSigningKey } from "../mesh/trust/SigningKey.ts"
import type { PeerKey } from "../model/Names.ts"
import type { NodeRecord } from "../model/NodeRecord.ts"
import { StrandedMembers } from "./StrandedMembers.ts"

const now = 1_800_000_000_000
const right = <A, E>(either: Either.Either<A, E>) => Either.getOrThrow(either)
const [founder, moved, away, left] = makeMembers(4, now) as [
  NodeIdentity,
  NodeIdentity,
  NodeIdentity,
  NodeIdentity
]
const { identity: rotated, statement } = right(rotateRoot(founder, generateSigningKey(), now))
const over = right(finishRotation(rotated, { stay: [], kept: [] }, now)).identity
const told = { current: moved }
hearOfRoots(told, [statement])
const renewed = right(
  acceptRenewal(told.current, right(issueRenewal(rotated, moved.certificate, now)), now)
)
const entry = ({ name, peer }: NodeIdentity, state: NodeRecord["state"] = "serving") =>
  nodeEntry(
    {
      ...{ peer, name, addresses: [], services: [], epoch: 1, version: 1, signedAt: now, state },
      software: "skein/test"
    },
    [],
    new Uint8Array(1)
  )
const certificates = new Map(
  [founder, renewed, away, left].map(({ certificate, peer }) => [peer, certificate])
)

describe("who was away when the root was withdrawn", () => {
  let sut = new StrandedMembers()
  const seen = (change: Partial<Parameters<StrandedMembers["all"]>[0]> = {}) =>
    sut
      .all({ isHeld: () => false, revocations: Revocations.none, now, ...change })
      .map(({ record }) => record.name)

  beforeEach(() => {
    sut = new StrandedMembers()
    sut.note([entry(founder), entry(moved), entry(away), entry(left, "left")], {
      ...{ self: founder.peer, roots: over.roots, now },
      certificateOf: (peer: PeerKey) => certificates.get(peer)
    })
  })

  it("is remembered, and neither who moved, nor who left, nor this node itself", () => {
    expect(seen()).toEqual([away.name])
  })

  it("is not any more when it is back", () => {
    expect(seen({ isHeld: (peer) => peer === away.peer })).toEqual([])
    // For good: its next record is held or not.
    expect(seen()).toEqual([])
  })

  it("is out like any other", () => {
    expect(seen({ revocations: revoking(nodeOut(away.peer)) })).toEqual([])
  })

  it("is forgotten when somebody says so", () => {
    const day = 86_400_000
    expect(seen({ now: now + day })).toEqual([away.name])
    sut.forget([away.peer])
    expect(seen()).toEqual([])
  })

  it("is not shown for longer than its record would have been", () => {
    expect(seen({ now: now + 90 * 86_400_000 })).toEqual([])
  })
})
