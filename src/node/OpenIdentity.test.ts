import { mkdtempSync, renameSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Either, Logger, TestClock } from "effect"
import { makeNodeConfig } from "../config/NodeConfig.ts"
import { makeMeshHost } from "../mesh/host/MeshHost.ts"
import { initMesh, loadIdentity, saveIdentity } from "../mesh/keys/DataDir.ts"
import { writeKeyFile } from "../mesh/keys/SigningKeyFile.ts"
import { makeAdmission } from "../mesh/trust/Admission.ts"
import { AdmittedPeers } from "../mesh/trust/AdmittedPeers.ts"
import { enrol, foundMesh } from "../mesh/trust/FoundMesh.ts"
import type { Grant } from "../mesh/trust/Grant.ts"
import { createInvite } from "../mesh/trust/Invite.ts"
import { delegationLifetime } from "../mesh/trust/Issue.ts"
import { makeIdentity, type NodeIdentity } from "../mesh/trust/NodeIdentity.ts"
import { signingKeyFromSeed } from "../mesh/trust/SigningKey.ts"
import { NodeName } from "../model/Names.ts"
import { openIdentity } from "./OpenIdentity.ts"

const start = 1_800_000_000_000
const day = 86_400_000
const key = (n: number) => signingKeyFromSeed(new Uint8Array(32).fill(n))
const plain: Grant = { services: ["*"], capabilities: [] }
const quiet = Logger.remove(Logger.defaultLogger)

const directory = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "skein-open-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true }))
)
const configOf = (dataDir: string) => makeNodeConfig({ node: { name: "host-a", dataDir } }).node
const init = (dataDir: string) =>
  initMesh({ dataDir, meshName: "test", nodeName: NodeName.make("host-a"), now: start })

/** A member that is up, and lets others in. */
const host = (identity: NodeIdentity) =>
  makeMeshHost({
    privateKey: identity.privateKey,
    mesh: identity.mesh,
    listen: ["/ip4/127.0.0.1/tcp/0"],
    encrypter: makeAdmission({
      identity: { current: identity },
      admitted: new AdmittedPeers(),
      now: Date.now
    })
  })
const tokenOf = (identity: NodeIdentity, addresses: ReadonlyArray<string>) =>
  Either.getOrThrow(
    createInvite(identity, {
      bootstrap: addresses.map((address) => `${address}/p2p/${identity.peer}`),
      grant: plain,
      ttl: day / 24,
      now: Date.now()
    })
  )

describe("a token given to a member", () => {
  /** Who was let in so long ago, by a member with a right to sign for so much longer. */
  const member = (away: number, right = delegationLifetime) =>
    Effect.gen(function* () {
      const dataDir = yield* directory
      const now = Date.now()
      const then = now - away
      const meshed = { rootKey: key(1), meshName: "test", privateKey: key(2) }
      const founder = Either.getOrThrow(
        foundMesh({
          ...meshed,
          nodeName: NodeName.make("first"),
          now: then + right - delegationLifetime
        })
      )
      const inviter = Either.getOrThrow(makeIdentity({ ...founder, rootKey: undefined }))
      const old = Either.getOrThrow(
        enrol(inviter, {
          privateKey: key(3),
          name: NodeName.make("host-a"),
          grant: plain,
          now: then
        })
      )
      yield* writeKeyFile(join(dataDir, "node.key"), old.privateKey)
      yield* saveIdentity(dataDir, old)
      const up = Either.getOrThrow(foundMesh({ ...meshed, nodeName: NodeName.make("first"), now }))
      const addresses = (yield* host(up)).addresses()
      return { dataDir, old, token: tokenOf(up, addresses) }
    })

  it.scopedLive("is not used while a member would renew its certificate", () =>
    Effect.gen(function* () {
      const { dataDir, old, token } = yield* member(20 * day)
      const opened = yield* openIdentity(configOf(dataDir), token)
      expect(opened.chain).toEqual(old.chain)
    }).pipe(Effect.provide(quiet))
  )

  it.scopedLive.each<readonly [string, number, number]>([
    ["longer than anybody renews", 40 * day, delegationLifetime],
    ["past the right of who had let it in", 3 * day, 2 * day]
  ])("lets it in again, with its own key, when it was away %s", ([, away, right]) =>
    Effect.gen(function* () {
      const { dataDir, old, token } = yield* member(away, right)
      const opened = yield* openIdentity(configOf(dataDir), token)
      expect(opened.peer).toBe(old.peer)
      expect(opened.certificate.notAfter).toBeGreaterThan(Date.now())
      const stored = yield* loadIdentity(dataDir)
      expect(stored.chain).toEqual(opened.chain)
      // The next start needs it no more.
      expect((yield* openIdentity(configOf(dataDir), undefined)).chain).toEqual(opened.chain)
    }).pipe(Effect.provide(quiet))
  )
})

describe("the root key, brought back", () => {
  it.scoped("renews the node's right to sign at that very start, for when it is gone again", () =>
    Effect.gen(function* () {
      const dataDir = yield* directory
      yield* init(dataDir)
      const later = start + 200 * day
      yield* TestClock.setTime(later)
      const opened = yield* openIdentity(configOf(dataDir), undefined)
      expect(opened.rootKey).toBeDefined()
      renameSync(join(dataDir, "root.key"), join(dataDir, "away"))
      const without = yield* loadIdentity(dataDir)
      expect(without.authority?.notAfter).toBe(later + delegationLifetime)
    }).pipe(Effect.provide(quiet))
  )

  it.scoped("brings a node that was let in by others next to the root", () =>
    Effect.gen(function* () {
      const dataDir = yield* directory
      const elsewhere = yield* directory
      let far = yield* init(elsewhere)
      for (let n = 10; n < 15; n++) {
        far = Either.getOrThrow(
          enrol(far, {
            privateKey: key(n),
            name: NodeName.make("host-a"),
            grant: { services: ["*"], capabilities: ["admit"] },
            now: start
          })
        )
      }
      yield* writeKeyFile(join(dataDir, "node.key"), far.privateKey)
      yield* saveIdentity(dataDir, far)
      renameSync(join(elsewhere, "root.key"), join(dataDir, "root.key"))
      yield* TestClock.setTime(start + 60_000)
      yield* openIdentity(configOf(dataDir), undefined)
      const stored = yield* loadIdentity(dataDir)
      expect(stored.delegations).toHaveLength(1)
      expect(stored.certificate).toMatchObject({ issuers: [], capabilities: ["admit"] })
    }).pipe(Effect.provide(quiet))
  )

  it.scoped("changes nothing at the starts of every day", () =>
    Effect.gen(function* () {
      const dataDir = yield* directory
      const first = yield* init(dataDir)
      yield* TestClock.setTime(start + day / 2)
      const opened = yield* openIdentity(configOf(dataDir), undefined)
      expect(opened.chain).toEqual(first.chain)
    }).pipe(Effect.provide(quiet))
  )
})
