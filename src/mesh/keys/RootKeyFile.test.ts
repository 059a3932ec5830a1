import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { NodeName } from "../../model/Names.ts"
import { finishRotation, rotateRoot } from "../trust/RootRotation.ts"
import { generateSigningKey } from "../trust/SigningKey.ts"
import { identityPaths, initMesh, loadIdentity, saveIdentity } from "./DataDir.ts"
import {
  exportRootKey,
  importRootKey,
  removeRootKey,
  settleRootKey,
  stageRootKey,
  writeSealed
} from "./RootKeyFile.ts"

const directory = mkdtempSync(join(tmpdir(), "skein-root-"))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

const passphrase = "correct horse battery"
const init = (name: string) =>
  initMesh({
    ...{ dataDir: join(directory, name), meshName: name, nodeName: NodeName.make(name) },
    now: 1_800_000_000_000
  })

it.effect(
  "a root key leaves a data directory under a passphrase, and comes back into that of its mesh",
  () =>
    Effect.gen(function* () {
      const [one, other] = [yield* init("one"), yield* init("other")]
      const dataDir = join(directory, "one")
      const path = join(directory, "sealed")
      const { meshName, text } = yield* exportRootKey(dataDir, passphrase)
      expect(meshName).toBe("one")
      yield* writeSealed(path, text, passphrase)
      expect(statSync(path).mode & 0o777).toBe(0o600)
      const again = yield* Effect.flip(writeSealed(path, "another", passphrase))
      expect(again.message).toContain("is there already")
      expect(readFileSync(path, "utf8")).toBe(text)
      yield* removeRootKey(dataDir)
      expect(existsSync(identityPaths(dataDir).rootKey)).toBe(false)
      // The node goes on by its delegation.
      expect((yield* loadIdentity(dataDir)).authority?.delegations).toHaveLength(1)
      expect((yield* Effect.flip(exportRootKey(dataDir, passphrase))).message).toContain(
        "no root key"
      )

      const sealed = readFileSync(path, "utf8")
      const wrong = yield* Effect.flip(importRootKey(join(directory, "other"), sealed, passphrase))
      expect(wrong.message).toContain("belongs to mesh other")
      expect((yield* loadIdentity(join(directory, "other"))).rootKey?.raw).toEqual(
        other.rootKey?.raw
      )

      expect(yield* importRootKey(dataDir, sealed, passphrase)).toBe("one")
      expect((yield* loadIdentity(dataDir)).rootKey?.raw).toEqual(one.rootKey?.raw)
      expect(statSync(identityPaths(dataDir).rootKey).mode & 0o777).toBe(0o600)
    })
)

it.effect(
  "a rotation that ends at any step leaves a key that may sign, and the newest there is",
  () =>
    Effect.gen(function* () {
      const dataDir = join(directory, "rotating")
      const before = yield* init("rotating")
      const older = (yield* exportRootKey(dataDir, passphrase)).text
      const key = generateSigningKey()
      const holds = Effect.map(loadIdentity(dataDir), ({ authority, rootKey, roots }) => ({
        key: rootKey?.raw,
        inForce: roots.inForce.length,
        isNewest: authority?.root === roots.newest.id
      }))
      yield* stageRootKey(dataDir, key)
      expect(yield* holds).toEqual({ key: before.rootKey?.raw, inForce: 1, isNewest: true })
      const rotated = yield* rotateRoot(before, key, 1_800_000_000_000)
      yield* saveIdentity(dataDir, rotated.identity)
      expect(yield* holds).toEqual({ key: key.raw, inForce: 2, isNewest: true })
      yield* settleRootKey(dataDir)
      yield* settleRootKey(dataDir)
      expect(yield* holds).toEqual({ key: key.raw, inForce: 2, isNewest: true })
      expect(existsSync(identityPaths(dataDir).nextRootKey)).toBe(false)

      // The old one does not take the place of the new one, of which there may be no other copy.
      const kept = yield* Effect.flip(importRootKey(dataDir, older, passphrase))
      expect(kept.message).toContain("it would be lost")
      expect(yield* holds).toEqual({ key: key.raw, inForce: 2, isNewest: true })

      // It may come back until it is withdrawn, and signs nothing then.
      const sealed = (yield* exportRootKey(join(directory, "one"), passphrase)).text
      expect((yield* Effect.flip(importRootKey(dataDir, sealed, passphrase))).message).toContain(
        "has no such root"
      )
      const over = { stay: [], kept: [] }
      const finished = yield* finishRotation(rotated.identity, over, 1_800_000_000_001)
      yield* saveIdentity(dataDir, finished.identity)
      expect(yield* holds).toEqual({ key: key.raw, inForce: 1, isNewest: true })
      expect((yield* loadIdentity(dataDir)).mesh).toBe(before.mesh)
    })
)
