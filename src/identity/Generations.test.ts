/** Meshes that outlive whoever founded them: each member invited by the one before, which then is gone. */
import { Either } from "effect"
import { describe, expect, it } from "vitest"
import { NodeName, type PeerKey } from "../model/Names.ts"
import { judgeJoiner } from "./AdmissionJudge.ts"
import { verifyChain } from "./Certificate.ts"
import { foundMesh } from "./FoundMesh.ts"
import type { Grant } from "./Grant.ts"
import { claimInvite, createInvite, parseInvite } from "./Invite.ts"
import { decodeIssued } from "./Issue.ts"
import { makeIdentity, type NodeIdentity } from "./NodeIdentity.ts"
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
      isRevoked: () => false,
      isNameTaken: () => false
    })
  )
  const parts = Either.getOrThrow(decodeIssued(issued ?? new Uint8Array()))
  return Either.getOrThrow(
    makeIdentity({
      privateKey,
      rootPublicKey: by.rootPublicKey,
      meshName: by.meshName,
      ...parts
    })
  )
}

describe("generations of invites, each inviter gone", () => {
  it("twenty: the last one admits like the first, and its certificate is of bounded size", () => {
    const root = founder().rootPublicKey
    let last = founder()
    for (let n = 2; n <= 21; n++) last = admit(last, n)
    expect(last.delegations).toHaveLength(20)
    const plain = admit(last, 22, { services: ["shop-*"], capabilities: [] })
    for (const { chain, peer } of [last, plain]) {
      expect(Either.isRight(verifyChain(chain, { root, now, peer }))).toBe(true)
      expect(chain.length).toBeLessThan(maxChainBytes)
    }
  })
})
