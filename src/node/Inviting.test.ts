import { Either } from "effect"
import { describe, expect, it } from "vitest"
import { enrol, foundMesh } from "../mesh/trust/FoundMesh.ts"
import type { Grant } from "../mesh/trust/Grant.ts"
import { createInvite, maxBootstrap } from "../mesh/trust/Invite.ts"
import { tryInvite } from "../mesh/trust/InviteTrial.ts"
import type { NodeIdentity } from "../mesh/trust/NodeIdentity.ts"
import { maxDepth } from "../mesh/trust/SignedChain.ts"
import { signingKeyFromSeed } from "../mesh/trust/SigningKey.ts"
import { NodeName } from "../model/Names.ts"
import type { AddressReport } from "./AnnouncedAddresses.ts"
import {
  admittersOf,
  bootstrapOf,
  type Host,
  mendOf,
  ownAddresses,
  timeOfOthers,
  warningsOf
} from "./Inviting.ts"

const now = 1_800_000_000_000
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
const host = ({ certificate }: NodeIdentity, address: string | undefined = "/ip4/10.0.0.1/tcp/1") =>
  ({ certificate, address }) satisfies Host
const names = (hosts: ReadonlyArray<Host>) => hosts.map(({ certificate }) => certificate.name)

const one = member(first, 10)
const two = member(one, 11)
const narrow = member(first, 12, { services: ["shop-*"], capabilities: ["admit"] })
const guest = member(first, 13, plain)
let deepest = two
for (let n = 100; deepest.delegations.length < maxDepth; n++) deepest = member(deepest, n)

describe("whom a token leads to", () => {
  const all = [deepest, guest, two, narrow, one].map((identity) => host(identity))

  it("members that may grant as much, nearest to the root first", () => {
    expect(names(admittersOf(admin, all))).toEqual(["n-10", "n-11"])
    expect(names(admittersOf(plain, all))).toEqual(["n-12", "n-10", "n-11", deepest.name])
    expect(names(admittersOf({ ...plain, capabilities: ["revoke"] }, all))).toEqual([])
  })

  it("its maker first, then theirs, as many as a token holds", () => {
    const own = Array.from({ length: 9 }, (_, n) => `/ip4/10.0.0.9/tcp/${n + 1}`)
    const others = [host(one), { ...host(two), address: undefined }, host(narrow)]
    expect(bootstrapOf(first.peer, own.slice(0, 1), others)).toEqual([
      `/ip4/10.0.0.9/tcp/1/p2p/${first.peer}`,
      `/ip4/10.0.0.1/tcp/1/p2p/${one.peer}`,
      `/ip4/10.0.0.1/tcp/1/p2p/${narrow.peer}`
    ])
    const many = Array.from({ length: 20 }, () => host(one))
    const full = bootstrapOf(first.peer, own, many)
    expect(full).toHaveLength(maxBootstrap)
    expect(full.filter((address) => address.endsWith(first.peer))).toHaveLength(maxBootstrap / 2)
  })
})

describe("which of its own addresses a node puts into a token", () => {
  const report = (address: string, state: AddressReport["state"], checkedAt?: number) =>
    ({ address, state, checkedAt, by: [] }) satisfies AddressReport
  const untried = report("/ip4/10.0.0.1/tcp/1", "untried")
  const missedOnce = report("/ip4/10.0.0.2/tcp/1", "untried", now)
  const unreached = report("/ip4/10.0.0.3/tcp/1", "unreached", now)
  const reached = report("/ip4/10.0.0.4/tcp/1", "reached", now)
  const all = [untried, missedOnce, unreached, reached]

  it("those that are proven, and no others; of what was written down in vain it is told", () => {
    expect(ownAddresses(all, true, false)).toEqual({
      carried: [reached.address],
      warnings: [
        "no member reaches this node at /ip4/10.0.0.2/tcp/1, /ip4/10.0.0.3/tcp/1, and the token does not lead there"
      ]
    })
    expect(ownAddresses(all, false, true)).toEqual({ carried: [reached.address], warnings: [] })
  })

  it("while nothing is proven, what nobody has tried yet, and says so", () => {
    expect(ownAddresses([untried], true, false)).toEqual({
      carried: [untried.address],
      warnings: [
        "no member has said yet whether it reaches this node at /ip4/10.0.0.1/tcp/1; the token leads there all the same"
      ]
    })
    const mixed = ownAddresses([untried, unreached], true, true)
    expect(mixed.carried).toEqual([untried.address])
    expect(mixed.warnings).toHaveLength(2)
  })

  it("of loopback it is only told when there is nothing else", () => {
    const local = report("/ip4/127.0.0.1/tcp/1", "untried")
    expect(ownAddresses([local], true, false)).toEqual({ carried: [local.address], warnings: [] })
    const p2p = `/p2p/${first.peer}`
    const loopback = ["/ip4/127.0.0.1/tcp/1", "/ip6/::1/tcp/1"].map((one) => `${one}${p2p}`)
    expect(warningsOf(loopback)).toEqual([expect.stringMatching(/on this host, and on no other/)])
    expect(warningsOf([...loopback, `/dns4/a.example/tcp/1${p2p}`])).toEqual([])
  })

  it("none when members got nowhere and others let in as well; all when nobody else does", () => {
    expect(ownAddresses([missedOnce, unreached], false, true)).toEqual({
      carried: [],
      warnings: [expect.stringMatching(/the token does not lead there$/)]
    })
    expect(ownAddresses([missedOnce, unreached], true, false)).toEqual({
      carried: [missedOnce.address, unreached.address],
      warnings: [expect.stringMatching(/the token leads nowhere else: see node\.announce/)]
    })
    expect(ownAddresses([], true, false)).toEqual({ carried: [], warnings: [] })
  })
})

describe("the time that counts for a token", () => {
  const minute = 60_000
  const clocks = (aheadMs: number | null, agreeing = 3, measured = 3) => ({
    aheadMs,
    agreeing,
    measured
  })

  it("is that of the others where most of them agree, else one's own", () => {
    expect(timeOfOthers(clocks(40 * minute), now)).toBe(now - 40 * minute)
    expect(timeOfOthers(clocks(-40 * minute), now)).toBe(now + 40 * minute)
    expect(timeOfOthers(clocks(null, 0, 0), now)).toBe(now)
    expect(timeOfOthers(clocks(40 * minute, 1, 1), now)).toBe(now)
    expect(timeOfOthers(clocks(40 * minute, 2, 4), now)).toBe(now)
  })

  it.each([
    [40, "not_yet_valid"],
    [-90, "expired"],
    [2, "ok"],
    [-2, "ok"]
  ])("a token by a clock %i min ahead is %s", (ahead, expected) => {
    const wrong = now + ahead * minute
    const options = { bootstrap: [`/ip4/10.0.0.1/tcp/1/p2p/${one.peer}`], grant: plain }
    const old = Either.getOrThrow(
      enrol(first, {
        privateKey: key(50),
        name: NodeName.make("old"),
        grant: admin,
        now: now - 100 * minute
      })
    )
    const token = Either.getOrThrow(createInvite(old, { ...options, ttl: 60 * minute, now: wrong }))
    expect(Either.isRight(tryInvite(old, token, wrong))).toBe(true)
    const judged = tryInvite(old, token, timeOfOthers(clocks(ahead * minute), wrong))
    expect(Either.isRight(judged) ? "ok" : judged.left.code).toBe(expected)
  })
})

describe("what to do about an invite that cannot be", () => {
  const near = [host(one), host(two)]
  it.each<[string, ReadonlyArray<Host>, RegExp]>([
    ["too_deep", near, /^Invite on n-10 or n-11, or with --capabilities none/],
    ["too_deep", [], /^With --capabilities none .* root\.key/],
    ["too_large", near, /^Grant fewer services .* invite on n-10 or n-11\.$/],
    ["too_large", [], /shop-\*/],
    ["expired", near, /^Invite on n-10 or n-11\. Put root\.key/],
    ["not_yet_valid", [], /time synchronisation/],
    ["exceeds_grant", near, /^Invite on n-10 or n-11, or grant less/],
    ["exceeds_grant", [], /skein status/]
  ])("%s", (code, admitters, mend) => {
    expect(mendOf(code, admitters)).toMatch(mend)
  })
})
