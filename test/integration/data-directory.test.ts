/** A data directory whose disk is full, read-only or gone: a node serves on, and recovers. */
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { Effect, Exit, Scope } from "effect"
import { afterAll, afterEach, beforeEach, describe, expect, it } from "vitest"
import { initMesh, loadIdentity, saveIdentity } from "../../src/identity/DataDir.ts"
import { lockDataDir, lockHolder, renewLock } from "../../src/identity/DataDirLock.ts"
import { NodeName } from "../../src/model/Names.ts"
import { Disk } from "../fixtures/Disk.ts"
import { stopAll } from "../fixtures/Processes.ts"

let disk: Disk
beforeEach(() => {
  disk = new Disk()
})
afterEach(() => disk.remove())
afterAll(stopAll)

const run = Effect.runPromise
const now = Date.now()

describe("the lock", () => {
  const lock = Effect.suspend(() => lockDataDir(disk.path, now))
  const path = () => join(disk.path, "lock")

  it.each<[string, () => void, () => void]>([
    ["full", () => disk.fill(), () => disk.free()],
    ["read-only", () => disk.readOnly(true), () => disk.readOnly(false)]
  ])(
    "is held without a file on a %s disk, and written once that is mended",
    async (_, breaks, mends) => {
      breaks()
      const scope = await run(Scope.make())
      await run(Scope.extend(lock, scope))
      expect(await run(Effect.flip(Effect.scoped(lock)))).toMatchObject({ code: "locked" })
      expect(await run(Effect.flip(renewLock(disk.path, now)))).toMatchObject({
        code: "inaccessible"
      })
      expect(existsSync(path())).toBe(false)
      mends()
      await run(renewLock(disk.path, now))
      expect(await run(lockHolder(disk.path))).toBe(process.pid)
      await run(Scope.close(scope, Exit.void))
      expect(existsSync(path())).toBe(false)
    }
  )

  it("of a killed process, on a full disk, keeps nobody from starting", async () => {
    writeFileSync(path(), JSON.stringify({ pid: 2 ** 22 + 1, started: "" }))
    disk.fill()
    await run(Effect.scoped(lock))
  })

  it("of a killed process is no obstacle on a read-only disk", async () => {
    writeFileSync(path(), JSON.stringify({ pid: 2 ** 22 + 1, started: "" }))
    disk.readOnly(true)
    await run(Effect.scoped(lock))
  })

  it("of a living process is respected on a disk that cannot be written", async () => {
    writeFileSync(path(), JSON.stringify({ pid: process.ppid, started: "" }))
    disk.readOnly(true)
    expect(await run(Effect.flip(Effect.scoped(lock)))).toMatchObject({
      code: "locked",
      message: expect.stringContaining(`pid ${process.ppid}`)
    })
  })

  it("is let go of on a disk that became read-only, and taken over from there", async () => {
    const scope = await run(Scope.make())
    await run(Scope.extend(lock, scope))
    disk.readOnly(true)
    await run(Scope.close(scope, Exit.void))
    expect(JSON.parse(readFileSync(path(), "utf8"))).toMatchObject({ pid: process.pid })
    disk.readOnly(false)
    await run(Effect.scoped(lock))
  })

  it("that another process has taken meanwhile is not written again", async () => {
    const scope = await run(Scope.make())
    await run(Scope.extend(lock, scope))
    writeFileSync(path(), JSON.stringify({ pid: process.ppid, started: "" }))
    expect(await run(Effect.flip(renewLock(disk.path, now)))).toMatchObject({ code: "locked" })
    await run(Scope.close(scope, Exit.void))
    expect(existsSync(path())).toBe(true)
  })
})

it("what cannot be written leaves no half of it behind, and the old one is whole", async () => {
  const nodeName = NodeName.make("host-a")
  const identity = await run(initMesh({ dataDir: disk.path, meshName: "m", nodeName, now }))
  disk.fill()
  const large = { ...identity, delegations: [new Uint8Array(32_768)] }
  const failed = await run(Effect.flip(saveIdentity(disk.path, large)))
  expect(failed.message).toMatch(/ENOSPC.*free space/)
  expect(existsSync(join(disk.path, "identity.cbor.new"))).toBe(false)
  expect((await run(loadIdentity(disk.path))).peer).toBe(identity.peer)
})
