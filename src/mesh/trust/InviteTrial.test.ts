import { Either } from "effect"
import { describe, expect, it } from "vitest"
import { NodeName } from "../../model/Names.ts"
import { enrol, foundMesh } from "./FoundMesh.ts"
import type { Grant } from "./Grant.ts"
import { createInvite } from "./Invite.ts"
import { tryInvite } from "./InviteTrial.ts"
import { certificateLifetime, delegationLifetime } from "./Issue.ts"
import { makeIdentity, type NodeIdentity } from "./NodeIdentity.ts"
import { renewSelf } from "./Renewal.ts"
import { maxDepth } from "./SignedChain.ts"
import { signingKeyFromSeed } from "./SigningKey.ts"

const now = 1_800_000_000_000
const hour = 3_600_000
const key = (n: number) => signingKeyFromSeed(new Uint8Array(32).fill(n))
const admin: Grant = { services: ["*"], capabilities: ["admit"] }
const plain: Grant = { services: ["shop-*"], capabilities: [] }
const first = Either.getOrThrow(
  foundMesh({
    rootKey: key(1),
    privateKey: key(2),
    meshName: "test",
    nodeName: NodeName.make("first"),
    now
  })
)
const member = (by: NodeIdentity, n: number, grant = admin): NodeIdentity =>
  Either.getOrThrow(enrol(by, { privateKey: key(n), name: NodeName.make(`n-${n}`), grant, now }))

/** What `invite` says: a token was made and tried out, or why not. */
const invite = (by: NodeIdentity, grant: Grant, at = now, ttl = hour) => {
  const bootstrap = [`/ip4/10.0.0.1/tcp/4001/p2p/${by.peer}`]
  const made = createInvite(by, { bootstrap, grant, ttl, now: at })
  const tried = Either.flatMap(made, (token) => tryInvite(by, token, at))
  return Either.isLeft(tried) ? tried.left : "ok"
}

describe("a token that is tried out", () => {
  it("passes where its maker may let somebody in", () => {
    expect(invite(first, admin)).toBe("ok")
    const second = member(Either.getOrThrow(makeIdentity({ ...first, rootKey: undefined })), 3)
    expect(invite(second, admin)).toBe("ok")
    expect(invite(second, plain)).toBe("ok")
    const later = now + 30 * certificateLifetime
    expect(invite(Either.getOrThrow(renewSelf(second, later)), admin, later)).toBe("ok")
  })

  it("is refused for depth, but not where it grants no admit", () => {
    let deepest = first
    for (let n = 0; n < maxDepth; n++) deepest = member(deepest, 100 + n)
    expect(invite(deepest, admin)).toMatchObject({
      code: "too_deep",
      message: expect.stringMatching(/^this node is 32 delegations from the root.*closer/)
    })
    expect(invite(deepest, plain)).toBe("ok")
  })

  it("is refused for bytes: of the certificate, of what it may sign, of the invite itself", () => {
    const wide = (count: number): Grant => ({
      services: Array.from({ length: count }, (_, n) => String(n).padStart(63, "x")),
      capabilities: ["admit"]
    })
    const second = member(member(first, 3, wide(64)), 4, wide(64))
    const tooLarge = {
      code: "too_large",
      message: expect.stringMatching(/16384 is the limit: grant fewer/)
    }
    expect(invite(second, wide(64))).toMatchObject(tooLarge)
    expect(invite(second, { ...wide(64), capabilities: [] })).toBe("ok")
    expect(invite(second, wide(10))).toBe("ok")
  })

  it.each<[string, NodeIdentity, number, string, RegExp]>([
    [
      "its maker's certificate has ended",
      member(first, 5),
      now + certificateLifetime + hour,
      "expired",
      /^nobody would believe this node: the certificate of n-5 expired/
    ],
    [
      "its maker's right is over",
      member(first, 5),
      now + delegationLifetime + hour,
      "exceeds_grant",
      /own right to admit ends/
    ],
    [
      "its maker's clock is behind",
      first,
      now - 24 * hour,
      "not_yet_valid",
      /one of the two clocks is wrong/
    ],
    ["its maker may not", member(first, 6, plain), now, "exceeds_grant", /capability admit/]
  ])("is not made when %s", (_, by, at, code, message) => {
    expect(invite(by, plain, at)).toMatchObject({
      code,
      message: expect.stringMatching(message)
    })
  })
})
