/**
 * A mesh that is upgraded node by node: newer nodes sign and say more than older ones know. `later`
 * makes everything that this process encodes say more, as a later version would.
 */
import { yamux } from "@chainsafe/libp2p-yamux"
import { decode } from "cborg"
import { Effect, Either } from "effect"
import { createLibp2p, type Libp2p } from "libp2p"
import { afterEach, describe, expect, it, vi } from "vitest"
import { NodeName, ServiceName } from "../../model/Names.ts"
import { socketTransport } from "../host/SocketTransport.ts"
import { makeAdmission } from "./Admission.ts"
import type { Refusal } from "./AdmissionEncrypter.ts"
import { AdmittedPeers } from "./AdmittedPeers.ts"
import { verifyChain } from "./Certificate.ts"
import { enrol, foundMesh } from "./FoundMesh.ts"
import { type Grant, grantsCapability, grantsService } from "./Grant.ts"
import { createInvite, parseInvite } from "./Invite.ts"
import { claimInvite, verifyClaim } from "./InviteClaim.ts"
import { decodeToken, encodeToken } from "./InviteToken.ts"
import { certificateLifetime, decodeIssued, type Issued } from "./Issue.ts"
import { joinMesh } from "./Join.ts"
import { makeIdentity, type NodeIdentity } from "./NodeIdentity.ts"
import { acceptRenewal, issueNearer, issueRenewal, renewSelf } from "./Renewal.ts"
import { encodeChain, signStatement } from "./SignedChain.ts"
import { peerKeyOf, seedLength, signingKeyFromSeed } from "./SigningKey.ts"

/** Of the fields that everything has besides, while it is on. */
const later = vi.hoisted(() => ({ fields: {} as Readonly<Record<string, unknown>> }))
vi.mock(import("./Cbor.ts"), async (original) => {
  const real = await original()
  const isRecord = (value: unknown): value is object =>
    typeof value === "object" && Object.getPrototypeOf(value) === Object.prototype
  return {
    ...real,
    encodeCbor: (value) =>
      real.encodeCbor(
        Array.isArray(value) || !isRecord(value) ? value : { ...value, ...later.fields }
      )
  }
})
afterEach(() => {
  later.fields = {}
})

/** As a later version does it. */
const asLater = <A>(make: () => A, fields: Readonly<Record<string, unknown>> = more): A => {
  later.fields = fields
  try {
    return make()
  } finally {
    later.fields = {}
  }
}
const more = { power: { watts: 400, source: "sun" }, seen: [1, null, "two"] }

const start = 1_800_000_000_000
const hour = 3_600_000
const key = (n: number) => signingKeyFromSeed(new Uint8Array(32).fill(n))
const right = <A, E>(made: Either.Either<A, E>): A => Either.getOrThrow(made)
const codeOf = <A>(made: Either.Either<A, { readonly code: string }>) =>
  Either.isLeft(made) ? made.left.code : "ok"

const first = right(
  foundMesh({
    ...{ rootKey: key(1), privateKey: key(2), meshName: "test", now: start },
    nodeName: NodeName.make("first")
  })
)
const { roots } = first
const member = (by: NodeIdentity, n: number, grant: Grant, now = start): NodeIdentity =>
  right(enrol(by, { privateKey: key(n), name: NodeName.make(`node-${n}`), grant, now }))
const withoutRootKey = (identity: NodeIdentity): NodeIdentity =>
  right(makeIdentity({ ...identity, rootKey: undefined }))

/** A capability, and a form of pattern, that this version does not know. */
const gateway: Grant = { services: ["shop-*", "team/pay"], capabilities: ["admit", "gateway"] }
const admin: Grant = { services: ["*"], capabilities: ["admit"] }
const plain: Grant = { services: ["shop-*"], capabilities: [] }

/** What a chain's leaf says, all of it. */
const saidIn = (chain: Uint8Array): Record<string, unknown> => {
  const [, , , leaf] = decode(chain) as [number, Uint8Array, Array<Uint8Array>, Uint8Array]
  return decode((decode(leaf) as [Uint8Array, Uint8Array])[0])
}

const invite = (by: NodeIdentity, grant: Grant, bootstrap: ReadonlyArray<string>) =>
  right(createInvite(by, { ...{ bootstrap, grant, ttl: hour, now: start } }))
const somewhere = `/ip4/10.0.0.1/tcp/4001/p2p/${first.peer}`

describe("what a later version adds to what it signs", () => {
  const admits = asLater(() => member(first, 3, admin))
  const token = asLater(() => invite(admits, plain, [somewhere]))

  it("is in the bytes, is ignored in reading them, and is shown as it was signed", () => {
    expect(saidIn(admits.chain)).toMatchObject(more)
    const read = right(verifyChain(admits.chain, { roots, now: start, peer: admits.peer }))
    expect(read).toMatchObject(admin)
    expect(Object.keys(read)).not.toContain("power")
    // Under a delegation that says more, an older node signs what it knows.
    const under = member(admits, 4, plain)
    expect(saidIn(under.chain)).not.toHaveProperty("power")
    expect(right(verifyChain(under.chain, { roots, now: start })).issuers).toEqual([admits.peer])
  })

  it("keeps nobody from joining, whichever side is the newer", () => {
    const read = right(parseInvite(token, start))
    expect(saidIn(read.chain)).toMatchObject(more)
    expect(read).toMatchObject({ bootstrap: [somewhere], grant: plain })
    const peer = peerKeyOf(key(5).publicKey.raw)
    const name = NodeName.make("joiner")
    const claim = claimInvite(read, peer, name)
    expect(codeOf(verifyClaim(claim, { roots, now: start, peer, name }))).toBe("ok")
  })

  it("is in addresses, too: those of a form that is not known are passed over", () => {
    const body = right(decodeToken(token))
    const [, mesh, delegations] = decode(body.subarray(seedLength)) as [
      number,
      Uint8Array,
      Array<Uint8Array>
    ]
    const leading = (bootstrap: ReadonlyArray<string>) => {
      const said = { ...saidIn(body.slice(seedLength)), bootstrap }
      const leaf = signStatement(admits.privateKey, "invite", admits.mesh, said)
      const chain = encodeChain(admits.mesh, delegations, leaf)
      expect(Buffer.from(mesh).toString("hex")).toBe(admits.mesh)
      return parseInvite(encodeToken(Buffer.concat([body.subarray(0, seedLength), chain])), start)
    }
    expect(right(leading(["quic://10.0.0.1:4001", somewhere])).bootstrap).toEqual([somewhere])
    expect(codeOf(leading(["quic://10.0.0.1:4001"]))).toBe("too_new")
  })

  it.each(["certificate", "delegation", "invite"])(
    "is refused where it must be understood: in a %s",
    (kind) => {
      const fields = { onlyFrom: ["10.0.0.0/8"], critical: ["onlyFrom"] }
      if (kind === "invite") {
        const narrow = asLater(() => invite(admits, plain, [somewhere]), fields)
        expect(codeOf(parseInvite(narrow, start))).toBe("too_new")
        return
      }
      // The member itself is of the later version: it reads its own.
      const authority = first.authority!
      const statement = {
        ...{ peer: peerKeyOf(key(6).publicKey.raw), notBefore: start, notAfter: start + hour },
        ...{ ...admin, name: "node-6" }
      }
      const signed = (what: "certificate" | "delegation", extra: object, by = authority.key) =>
        signStatement(by, what, first.mesh, { ...statement, ...extra })
      const chain =
        kind === "certificate"
          ? encodeChain(first.mesh, [], signed("certificate", fields))
          : encodeChain(
              first.mesh,
              [signed("delegation", fields)],
              signed("certificate", {}, key(6))
            )
      const read = verifyChain(chain, { roots, now: start })
      expect(codeOf(read)).toBe("too_new")
      expect(Either.isLeft(read) && read.left.message).toContain('"onlyFrom"')
      // And what it may name, this version understands.
      const known = signed("certificate", { critical: ["services", "notAfter"] })
      expect(codeOf(verifyChain(encodeChain(first.mesh, [], known), { roots, now: start }))).toBe(
        "ok"
      )
    }
  )
})

describe("a right that only a later version knows", () => {
  const newer = member(first, 3, gateway)

  it("is held by nobody here, and keeps nobody from the others", () => {
    const read = right(verifyChain(newer.chain, { roots, now: start }))
    expect(read).toMatchObject(gateway)
    expect(grantsCapability(read, "admit")).toBe(true)
    expect(grantsCapability(read, "policy")).toBe(false)
    expect(grantsCapability(read, "revoke")).toBe(false)
    expect(grantsService(read, ServiceName.make("shop-cart"))).toBe(true)
    for (const name of ["team", "pay", "team-pay"]) {
      expect(grantsService(read, ServiceName.make(name))).toBe(false)
    }
  })

  it("is handed on by whoever holds it, and by nobody else", () => {
    expect(member(newer, 4, gateway).certificate.capabilities).toEqual(["admit", "gateway"])
    const older = member(first, 5, admin)
    const beyond = { ...plain, capabilities: ["gateway"] }
    const asked = { privateKey: key(6), name: NodeName.make("x"), grant: beyond, now: start }
    expect(codeOf(enrol(older, asked))).toBe("exceeds_grant")
    // One that signs all the same is not believed, whoever reads it.
    const lawless = { ...older, authority: { ...older.authority!, grant: first.authority!.grant } }
    expect(codeOf(enrol(lawless, asked))).toBe("exceeds_grant")
    // Nor does the root's node let anybody ask for it here.
    const options = { bootstrap: [somewhere], grant: beyond, ttl: hour, now: start }
    expect(codeOf(createInvite(first, options))).toBe("malformed")
  })

  it("is given by an older node to who was invited by a newer one, if both hold it", () => {
    const peer = peerKeyOf(key(7).publicKey.raw)
    const name = NodeName.make("joiner")
    const leaf = {
      ...{ ...gateway, root: roots.founder, meshName: "test", bootstrap: [somewhere] },
      ...{ holder: key(77).publicKey.raw, notBefore: start, notAfter: start + hour }
    }
    const signed = signStatement(newer.privateKey, "invite", newer.mesh, leaf)
    const chain = encodeChain(newer.mesh, newer.delegations, signed)
    const token = encodeToken(Buffer.concat([new Uint8Array(seedLength).fill(77), chain]))
    const claim = claimInvite(right(parseInvite(token, start)), peer, name)
    const { grant } = right(verifyClaim(claim, { roots, now: start, peer, name }))
    expect(grant).toEqual(gateway)
    const asked = { privateKey: key(7), name, grant, now: start }
    expect(codeOf(enrol(withoutRootKey(newer), asked))).toBe("ok")
    expect(codeOf(enrol(member(first, 5, admin), asked))).toBe("exceeds_grant")
  })

  describe("stays with its holder when an older node renews", () => {
    const soon = start + certificateLifetime / 2
    const renewed = (by: NodeIdentity): Either.Either<Issued, { readonly code: string }> =>
      Either.flatMap(issueRenewal(by, newer.certificate, soon), decodeIssued)

    it("with the root key, or holding it itself", () => {
      for (const by of [first, member(first, 4, { ...gateway, services: ["*"] })]) {
        const issued = right(issueRenewal(by, newer.certificate, soon))
        const after = right(acceptRenewal(newer, issued, soon))
        expect(after.certificate).toMatchObject(gateway)
        expect(after.certificate.notAfter).toBeGreaterThan(newer.certificate.notAfter)
      }
      expect(right(renewSelf(withoutRootKey(newer), soon)).certificate).toMatchObject(gateway)
    })

    it("and is not lost to one that does not hold it", () => {
      const older = member(first, 5, admin)
      expect(codeOf(renewed(older))).toBe("exceeds_grant")
      // Nor by way of a shorter path.
      const far = member(member(first, 8, gateway), 9, gateway)
      expect(issueNearer(older, far.certificate, soon)).toBeUndefined()
      const nearer = right(decodeIssued(issueNearer(first, far.certificate, soon)!))
      expect(saidIn(nearer.chain)).toMatchObject(gateway)
    })

    it("and is not had by who only says so", () => {
      // Signed by a member that may admit, and holds no more than that.
      const older = member(first, 5, admin)
      const said = { ...saidIn(newer.chain), peer: newer.peer }
      const leaf = signStatement(older.privateKey, "certificate", older.mesh, said)
      const forged = encodeChain(older.mesh, older.delegations, leaf)
      // Else whoever holds the root key would sign for it in good faith.
      expect(codeOf(verifyChain(forged, { roots, now: soon, expiredGrace: hour }))).toBe(
        "exceeds_grant"
      )
    })
  })
})

describe("nodes of two versions", () => {
  const running: Array<Libp2p> = []
  afterEach(async () => {
    await Promise.all(running.splice(0).map((node) => node.stop()))
  })

  const launch = async (identity: NodeIdentity) => {
    const [cell, admitted] = [{ current: identity }, new AdmittedPeers()]
    const refusals: Array<Refusal> = []
    const libp2p = await createLibp2p({
      privateKey: identity.privateKey,
      addresses: { listen: ["/ip4/127.0.0.1/tcp/0"] },
      transports: [socketTransport],
      connectionEncrypters: [
        makeAdmission({
          ...{ identity: cell, admitted, now: () => start },
          onRefused: (refusal) => refusals.push(refusal)
        })
      ],
      streamMuxers: [yamux()],
      connectionGater: { denyDialMultiaddr: () => false },
      connectionMonitor: { enabled: false }
    })
    running.push(libp2p)
    return { libp2p, cell, admitted, refusals, address: libp2p.getMultiaddrs()[0]! }
  }

  it("meet, whoever calls, join, and renew each other, with more in every word", async () => {
    const newer = asLater(() => member(first, 3, { ...gateway, services: ["*", "team/pay"] }))
    // Its certificate is over, and the newer one renews it on the spot.
    const slept = member(newer, 4, gateway, start - 2 * certificateLifetime)
    later.fields = more
    const a = await launch(newer)
    const b = await launch(slept)
    await b.libp2p.dial(a.address)
    expect(b.cell.current.certificate.notAfter).toBeGreaterThan(start)
    expect(b.cell.current.certificate).toMatchObject(gateway)
    await b.libp2p.hangUp(a.libp2p.peerId)
    await a.libp2p.dial(b.address)
    expect(a.admitted.get(slept.peer)).toMatchObject(gateway)
    const token = invite(newer, plain, [b.address.toString()])
    const joined = await Effect.runPromise(
      joinMesh({
        ...{ invite: right(parseInvite(token, start)), privateKey: key(11), now: () => start },
        ...{ name: NodeName.make("joined"), transports: [socketTransport] }
      })
    )
    expect(saidIn(joined.chain)).toMatchObject({ ...plain, ...more })
    expect([...a.refusals, ...b.refusals]).toEqual([])
  })
})
