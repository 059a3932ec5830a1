import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Either, Layer, Logger, TestClock } from "effect"
import { Supervisor } from "../mesh/actor/Supervisor.ts"
import { MeshRpcError } from "../mesh/host/MeshRpc.ts"
import type { MeshRpcClient } from "../mesh/host/MeshRpcClients.ts"
import { loadIdentity, saveIdentity } from "../mesh/keys/DataDir.ts"
import { writeKeyFile } from "../mesh/keys/SigningKeyFile.ts"
import type { VerifiedCertificate } from "../mesh/trust/Certificate.ts"
import { enrol, foundMesh } from "../mesh/trust/FoundMesh.ts"
import type { Grant } from "../mesh/trust/Grant.ts"
import { certificateLifetime, delegationLifetime } from "../mesh/trust/Issue.ts"
import type { IdentityCell, NodeIdentity } from "../mesh/trust/NodeIdentity.ts"
import { issueRenewal, renewSelf } from "../mesh/trust/Renewal.ts"
import { signingKeyFromSeed } from "../mesh/trust/SigningKey.ts"
import { NodeName } from "../model/Names.ts"
import { keepCertificate } from "./CertificateRenewal.ts"

const start = 1_800_000_000_000
const hour = 3_600_000
const key = (n: number) => signingKeyFromSeed(new Uint8Array(32).fill(n))
const founder = Either.getOrThrow(
  foundMesh({
    rootKey: key(1),
    privateKey: key(2),
    meshName: "test",
    nodeName: NodeName.make("first"),
    now: start
  })
)
const member = (capabilities: Grant["capabilities"]): NodeIdentity =>
  Either.getOrThrow(
    enrol(founder, {
      privateKey: key(3),
      name: NodeName.make("second"),
      grant: { services: ["*"], capabilities },
      now: start
    })
  )

interface Options {
  readonly identity: NodeIdentity
  /** Wall clock at which the node starts; default: that of the certificate. */
  readonly at?: number
  /** What the peers answer, in order. */
  readonly peers?: ReadonlyArray<() => Effect.Effect<Uint8Array, MeshRpcError>>
  /** What they have shown, in the same order. */
  readonly certificates?: ReadonlyArray<VerifiedCertificate | undefined>
  /** Times that signing the record anew dies of a bug. */
  readonly bugs?: number
}

const keep = ({ identity, at = start, peers = [], certificates = [], bugs = 0 }: Options) =>
  Effect.gen(function* () {
    const dataDir = yield* Effect.acquireRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "skein-renewal-"))),
      (path) => Effect.sync(() => rmSync(path, { recursive: true }))
    )
    yield* writeKeyFile(join(dataDir, "node.key"), identity.privateKey)
    yield* saveIdentity(dataDir, identity)
    yield* TestClock.setTime(at)
    const cell: IdentityCell = { current: identity }
    const seen = { asked: 0, resigned: 0 }
    const warnings: Array<string> = []
    const logger = Logger.make(({ logLevel, message }) => {
      if (logLevel.label === "WARN") warnings.push(String(message))
    })
    const renewal = yield* keepCertificate({
      dataDir,
      identity: cell,
      signers: () => ({
        peers: peers.map((_, index) => `peer-${index}` as NodeIdentity["peer"]), // never read
        certificateOf: (peer) => certificates[Number(peer.slice(5))]
      }),
      client: (peer) => {
        const answer = peers[Number(peer.slice(5))]!
        // Only this question is ever asked here.
        return Effect.succeed({
          RenewCertificate: () =>
            Effect.suspend(() => {
              seen.asked++
              return answer()
            })
        } as Partial<MeshRpcClient> as MeshRpcClient)
      },
      onRenewed: Effect.sync(() => {
        if (++seen.resigned <= bugs) throw new Error("a bug")
      })
    }).pipe(
      Effect.provide(
        yield* Layer.build(
          Layer.merge(Supervisor.layer(), Logger.replace(Logger.defaultLogger, logger))
        )
      )
    )
    return { cell, renewal, seen, warnings, dataDir }
  })

const refuses = () => new MeshRpcError({ code: "refused", message: "may not sign" })
const signs = (identity: NodeIdentity) => () =>
  Effect.flatMap(TestClock.currentTimeMillis, (now) =>
    Either.getOrThrow(
      Either.map(issueRenewal(founder, identity.certificate, now), (it) => Effect.succeed(it))
    )
  )

describe("keepCertificate", () => {
  it.scoped("goes on after a bug in what follows a renewal", () =>
    Effect.gen(function* () {
      const { cell, seen } = yield* keep({ identity: founder, bugs: 2 })
      yield* TestClock.adjust(3 * 24 * hour)
      expect(seen.resigned).toBeGreaterThan(3)
      expect(cell.current.certificate.notAfter).toBeGreaterThan(start + 3 * 24 * hour)
    })
  )

  it.scoped("renews at once what a clock signed that was ahead, when the clock is set right", () =>
    Effect.gen(function* () {
      const ahead = Either.getOrThrow(renewSelf(founder, start + 25 * hour))
      const { cell, renewal, seen } = yield* keep({ identity: ahead, at: start + 25 * hour })
      yield* TestClock.adjust("1 minute")
      expect(cell.current).toBe(ahead)
      yield* TestClock.setTime(start)
      renewal.clockSet()
      yield* TestClock.adjust(1)
      expect(cell.current.certificate.notAfter).toBeLessThanOrEqual(start + certificateLifetime + 1)
      expect(seen.resigned).toBe(1)
    })
  )

  it.scoped("renews by its own hand at half life, stores it and has the record signed anew", () =>
    Effect.gen(function* () {
      const { cell, renewal, seen, dataDir } = yield* keep({ identity: founder })
      yield* TestClock.adjust(9 * hour)
      expect(cell.current).toBe(founder)
      const due = renewal.nextAt() ?? 0
      expect(due).toBeGreaterThan(start + 9 * hour)
      expect(due).toBeLessThan(start + 15 * hour)
      yield* TestClock.setTime(due)
      expect(cell.current.certificate.notAfter).toBe(due + certificateLifetime)
      expect(seen.resigned).toBe(1)
      expect(renewal.problem()).toBeUndefined()
      const stored = yield* loadIdentity(dataDir)
      expect(stored.certificate.notAfter).toBe(due + certificateLifetime)
      yield* TestClock.adjust(7 * 24 * hour)
      expect(seen.resigned).toBeGreaterThan(10)
      expect(seen.resigned).toBeLessThan(20)
    })
  )

  it.scoped("asks one member after the other, and no more once it is renewed", () =>
    Effect.gen(function* () {
      const identity = member([])
      const peers = [refuses, () => Effect.succeed(new Uint8Array(3)), signs(identity), refuses]
      const { cell, renewal, seen } = yield* keep({ identity, peers })
      yield* TestClock.adjust(16 * hour)
      expect(seen).toEqual({ asked: 3, resigned: 1 })
      expect(cell.current.certificate.notAfter).toBeGreaterThan(identity.certificate.notAfter)
      expect(renewal.problem()).toBeUndefined()
    })
  )

  it.scoped("tries every minute while nobody can, and says why", () =>
    Effect.gen(function* () {
      const identity = member([])
      let able = false
      const peers = [() => (able ? signs(identity)() : refuses()), refuses]
      const { cell, renewal, seen } = yield* keep({ identity, peers })
      yield* TestClock.adjust(1)
      yield* TestClock.setTime(renewal.nextAt() ?? 0)
      expect(seen.asked).toBe(2)
      expect(renewal.problem()).toBe("may not sign")
      yield* TestClock.adjust("10 minutes")
      expect(seen.asked).toBe(22)
      able = true
      yield* TestClock.adjust("1 minute")
      expect(renewal.problem()).toBeUndefined()
      expect(cell.current).not.toBe(identity)
    })
  )

  it.scoped("says so when nobody is there to ask", () =>
    Effect.gen(function* () {
      const { renewal } = yield* keep({ identity: member([]) })
      yield* TestClock.adjust(16 * hour)
      expect(renewal.problem()).toContain("no other member is connected")
    })
  )

  it.scoped("outlives a bug in what it calls", () =>
    Effect.gen(function* () {
      const identity = member([])
      let broken = true
      const { cell, renewal } = yield* keep({
        identity,
        peers: [() => (broken ? Effect.die("bug") : signs(identity)())]
      })
      yield* TestClock.adjust(16 * hour)
      expect(renewal.problem()).toContain("bug")
      broken = false
      yield* TestClock.adjust("1 minute")
      expect(cell.current).not.toBe(identity)
    })
  )

  it.scoped("has no problem any more when a handshake has renewed the certificate", () =>
    Effect.gen(function* () {
      const { cell, renewal } = yield* keep({ identity: member([]) })
      yield* TestClock.adjust(16 * hour)
      expect(renewal.problem()).toBeDefined()
      cell.current = member([])
      expect(renewal.problem()).toBeUndefined()
    })
  )

  it.scoped("signs itself as long as its right to sign lasts, without asking", () =>
    Effect.gen(function* () {
      const identity = member(["admit"])
      const { cell, seen } = yield* keep({ identity, peers: [signs(identity)] })
      yield* TestClock.adjust(16 * hour)
      expect(seen).toEqual({ asked: 0, resigned: 1 })
      expect(cell.current.authority?.notAfter).toBe(start + delegationLifetime)
    })
  )

  it.scoped("asks one that is nearer to the root first, and then has a shorter path", () =>
    Effect.gen(function* () {
      const admin: Grant = { services: ["*"], capabilities: ["admit"] }
      const row: Array<NodeIdentity> = []
      for (let n = 10; n < 15; n++) {
        row.push(
          Either.getOrThrow(
            enrol(row.at(-1) ?? founder, {
              privateKey: key(n),
              name: NodeName.make(`node-${n}`),
              grant: admin,
              now: start
            })
          )
        )
      }
      const [near, , , neighbour, identity] = row
      const by = (signer: NodeIdentity) => () =>
        Effect.map(TestClock.currentTimeMillis, (now) =>
          Either.getOrThrow(issueRenewal(signer, identity!.certificate, now))
        )
      const { cell, seen } = yield* keep({
        identity: identity!,
        peers: [by(neighbour!), refuses, by(near!)],
        certificates: [neighbour!, row[1]!, near!].map(({ certificate }) => certificate)
      })
      expect(cell.current.delegations).toHaveLength(5)
      yield* TestClock.adjust(16 * hour)
      expect(seen).toEqual({ asked: 1, resigned: 1 })
      expect(cell.current.delegations).toHaveLength(2)
      // From then on its own hand will do, twice when chance has it.
      yield* TestClock.adjust(16 * hour)
      expect(seen.asked).toBe(1)
      expect(seen.resigned).toBeGreaterThan(1)
    })
  )

  it.scoped("asks others for a longer right to sign in the second half of its life", () =>
    Effect.gen(function* () {
      const at = start + delegationLifetime / 2
      const identity = Either.getOrThrow(renewSelf(member(["admit"]), at))
      const { cell, seen } = yield* keep({ identity, at, peers: [signs(identity)] })
      yield* TestClock.adjust(16 * hour)
      expect(seen).toEqual({ asked: 1, resigned: 1 })
      expect(cell.current.authority?.notAfter).toBeGreaterThan(start + delegationLifetime)
    })
  )

  it.scoped("says with each renewal when its right to sign ends, in the last 30 days of it", () =>
    Effect.gen(function* () {
      const at = start + delegationLifetime - 31 * 24 * hour
      const identity = Either.getOrThrow(renewSelf(member(["admit"]), at))
      const { seen, warnings } = yield* keep({ identity, at })
      // One renewal is due after 9.6 to 14.4 h, two after 19.2 h at the earliest.
      yield* TestClock.adjust(19 * hour)
      expect([seen.resigned, warnings]).toEqual([1, []])
      yield* TestClock.adjust(48 * hour)
      expect(warnings.length).toBeGreaterThan(1)
      expect(warnings.length).toBeLessThan(seen.resigned)
      expect(warnings[0]).toMatch(
        /^this node's right to admit .* ends in 29 d \d+ h; put root\.key/
      )
    })
  )

  it.scoped("does not sign over and over when its right to sign is about to end", () =>
    Effect.gen(function* () {
      const at = start + delegationLifetime - 24 * hour
      const identity = Either.getOrThrow(renewSelf(member(["admit"]), at))
      const { cell, renewal, seen } = yield* keep({ identity, at })
      yield* TestClock.adjust(16 * hour)
      expect(cell.current).toBe(identity)
      expect(seen.resigned).toBe(0)
      expect(renewal.problem()).toContain("own right to sign")
    })
  )
})
