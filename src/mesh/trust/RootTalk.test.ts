import { yamux } from "@chainsafe/libp2p-yamux"
import { Effect, Either } from "effect"
import { createLibp2p, type Libp2p } from "libp2p"
import { afterEach, describe, expect, it, vi } from "vitest"
import { NodeName } from "../../model/Names.ts"
import { socketTransport } from "../host/SocketTransport.ts"
import { makeAdmission } from "./Admission.ts"
import type { Refusal } from "./AdmissionEncrypter.ts"
import { AdmittedPeers } from "./AdmittedPeers.ts"
import { enrol, foundMesh } from "./FoundMesh.ts"
import type { Grant } from "./Grant.ts"
import { createInvite, parseInvite } from "./Invite.ts"
import { joinMesh } from "./Join.ts"
import type { IdentityCell, NodeIdentity } from "./NodeIdentity.ts"
import { rootIdOf } from "./Root.ts"
import { finishRotation, rotateRoot } from "./RootRotation.ts"
import { memberMark } from "./RootStatement.ts"
import { signingKeyFromSeed } from "./SigningKey.ts"

const now = 1_800_000_000_000
const key = (n: number) => signingKeyFromSeed(new Uint8Array(32).fill(n))
const right = <A, E>(either: Either.Either<A, E>) => Either.getOrThrow(either)
const plain: Grant = { services: ["shop-*"], capabilities: [] }
const admin: Grant = { services: ["*"], capabilities: ["admit"] }
const founder = right(
  foundMesh({
    ...{ rootKey: key(1), privateKey: key(2), meshName: "test", now },
    nodeName: NodeName.make("first")
  })
)
const member = (by: NodeIdentity, n: number, grant = plain) =>
  right(enrol(by, { privateKey: key(n), name: NodeName.make(`node-${n}`), grant, now }))
const rotated = right(rotateRoot(founder, key(9), now)).identity
const finished = (...stay: ReadonlyArray<NodeIdentity>) =>
  right(
    finishRotation(
      rotated,
      { stay: stay.map(({ certificate }) => memberMark(certificate)), kept: [] },
      now
    )
  ).identity
const newRoot = rootIdOf(key(9).publicKey.raw)

const running: Array<Libp2p> = []
afterEach(async () => {
  await Promise.all(running.splice(0).map((node) => node.stop()))
})

const launch = async (identity: NodeIdentity) => {
  const cell: IdentityCell = { current: identity }
  const refusals: Array<Refusal> = []
  const heard: Array<number> = []
  const libp2p = await createLibp2p({
    privateKey: identity.privateKey,
    addresses: { listen: ["/ip4/127.0.0.1/tcp/0"] },
    transports: [socketTransport],
    connectionEncrypters: [
      makeAdmission({
        identity: cell,
        admitted: new AdmittedPeers(),
        now: () => now,
        onRefused: (refusal) => refusals.push(refusal),
        onRoots: () => heard.push(cell.current.roots.all.length)
      })
    ],
    streamMuxers: [yamux()],
    connectionGater: { denyDialMultiaddr: () => false },
    connectionMonitor: { enabled: false }
  })
  running.push(libp2p)
  const address = libp2p.getMultiaddrs()[0]!
  return { address, cell, heard, libp2p, refusals }
}
type TestNode = Awaited<ReturnType<typeof launch>>

const meet = (a: TestNode, b: TestNode, direction: "inbound" | "outbound") =>
  direction === "inbound" ? b.libp2p.dial(a.address) : a.libp2p.dial(b.address)
const eventually = (condition: () => void) => vi.waitFor(condition, { timeout: 2_000, interval: 5 })
const directions = ["inbound", "outbound"] as const

describe("two nodes that meet during or after a rotation", () => {
  it.each(directions)("tell each other of it first, and one moves the other (%s)", async (way) => {
    const a = await launch(rotated)
    const b = await launch(member(founder, 3, admin))
    await meet(a, b, way)
    await eventually(() => expect(b.cell.current.certificate.root).toBe(newRoot))
    expect(b.cell.current.authority).toMatchObject({ root: newRoot, depth: 1 })
    expect([a.heard, b.heard]).toEqual([[], [2]])
    expect([...a.refusals, ...b.refusals]).toEqual([])
  })

  it.each(directions)(
    "let back in who was away through all of it and stays, with a new certificate (%s)",
    async (way) => {
      const away = member(founder, 3)
      const a = await launch(finished(away))
      const b = await launch(away)
      await meet(a, b, way)
      await eventually(() => expect(b.cell.current.certificate.root).toBe(newRoot))
      expect(b.cell.current.roots.inForce.map(({ id }) => id)).toEqual([newRoot])
      expect([...a.refusals, ...b.refusals]).toEqual([])
    }
  )

  it.each(directions)(
    "refuse who is under the old root alone, and tell it why (%s)",
    async (way) => {
      const a = await launch(finished(member(founder, 4)))
      const b = await launch(member(founder, 3))
      await expect(meet(a, b, way)).rejects.toThrow(/root_withdrawn|not one of those/)
      await eventually(() => {
        expect(a.refusals[0]).toMatchObject({ code: "root_withdrawn", by: "us" })
        expect(b.refusals[0]).toMatchObject({ code: "root_withdrawn", by: "peer" })
      })
      expect(b.cell.current.roots.whyWithdrawn(b.cell.current.certificate.root)).toContain(newRoot)
    }
  )

  it("who cannot sign refuses who stays, who then asks another", async () => {
    const away = member(founder, 3)
    const end = finished(away)
    const rightful = right(
      enrol(end, { ...{ privateKey: key(5), grant: plain, now }, name: NodeName.make("c") })
    )
    const [a, c, b] = [await launch(end), await launch(rightful), await launch(away)]
    await expect(meet(c, b, "inbound")).rejects.toThrow(/root_withdrawn/)
    expect(c.refusals[0]?.message).toContain("does not hold the capability admit")
    await meet(a, b, "inbound")
    await meet(c, b, "inbound")
    expect(c.refusals).toHaveLength(1)
  })

  it("take no root from who does not hold one's key", async () => {
    const thief = right(
      foundMesh({
        ...{ rootKey: key(70), privateKey: key(71), meshName: "test", now },
        nodeName: NodeName.make("thief")
      })
    )
    const own = right(rotateRoot(thief, key(72), now)).identity
    const a = await launch(founder)
    const b = await launch({ ...own, mesh: founder.mesh })
    await expect(meet(a, b, "inbound")).rejects.toThrow()
    expect(a.cell.current.roots).toBe(founder.roots)
    expect(a.heard).toEqual([])
  })
})

describe("joining after a rotation", () => {
  const join = (token: string, n: number) =>
    Effect.runPromise(
      Effect.either(
        joinMesh({
          ...{ invite: right(parseInvite(token, now)), privateKey: key(n), now: () => now },
          ...{ name: NodeName.make(`node-${n}`), transports: [socketTransport] }
        })
      )
    )
  const tokenOf = (by: NodeIdentity, at: TestNode) =>
    right(
      createInvite(by, {
        ...{ grant: plain, ttl: 60_000, now },
        bootstrap: [`${at.address}/p2p/${at.cell.current.peer}`.replace(/(\/p2p\/[^/]+)\1/, "$1")]
      })
    )

  it("goes by a token of the new root, and the newcomer knows all that led to it", async () => {
    for (const identity of [rotated, finished()]) {
      const a = await launch(identity)
      const joined = right(await join(tokenOf(identity, a), 30))
      expect(joined.certificate.root).toBe(newRoot)
      expect(joined).toMatchObject({ mesh: founder.mesh })
      expect(joined.roots.digest()).toEqual(identity.roots.digest())
      expect(joined.roots.founder).toEqual(key(1).publicKey.raw)
      expect(a.refusals).toEqual([])
    }
  })

  it("goes by a token of the old root until that is withdrawn, and then not, and says why", async () => {
    const during = await launch(rotated)
    const joined = right(await join(tokenOf(founder, during), 31))
    expect(joined.certificate.root).toBe(newRoot)
    const after = await launch(finished())
    const refused = await join(tokenOf(founder, after), 32)
    expect(Either.isLeft(refused) && refused.left.attempts).toMatchObject([
      { code: "root_withdrawn" }
    ])
    expect(Either.isLeft(refused) && refused.left.message).toContain("new token")
  })
})
