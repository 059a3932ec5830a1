/** A data directory whose disk is full, read-only or gone: a node serves on, and recovers. */
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { Effect, Exit, Scope } from "effect"
import { afterAll, afterEach, beforeEach, describe, expect, it } from "vitest"
import { initMesh, loadIdentity, saveIdentity } from "../../src/mesh/keys/DataDir.ts"
import { lockDataDir, lockHolder, renewLock } from "../../src/mesh/keys/DataDirLock.ts"
import { NodeName } from "../../src/model/Names.ts"
import { type App, httpApp } from "../fixtures/Apps.ts"
import { Disk } from "../fixtures/Disk.ts"
import { type Host, skein, TestMesh } from "../fixtures/Mesh.ts"
import { run, stopAll, until } from "../fixtures/Processes.ts"
import { program } from "../fixtures/Programs.ts"

let disk: Disk
beforeEach(() => {
  disk = new Disk()
})
afterEach(() => disk.remove())
afterAll(stopAll)

const done = Effect.runPromise
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
      const scope = await done(Scope.make())
      await done(Scope.extend(lock, scope))
      expect(await done(Effect.flip(Effect.scoped(lock)))).toMatchObject({ code: "locked" })
      expect(await done(Effect.flip(renewLock(disk.path, now)))).toMatchObject({
        code: "inaccessible"
      })
      expect(existsSync(path())).toBe(false)
      mends()
      await done(renewLock(disk.path, now))
      expect(await done(lockHolder(disk.path))).toBe(process.pid)
      await done(Scope.close(scope, Exit.void))
      expect(existsSync(path())).toBe(false)
    }
  )

  it("of a killed process, on a full disk, keeps nobody from starting", async () => {
    writeFileSync(path(), JSON.stringify({ pid: 2 ** 22 + 1, started: "" }))
    disk.fill()
    await done(Effect.scoped(lock))
  })

  it("of a killed process is no obstacle on a read-only disk", async () => {
    writeFileSync(path(), JSON.stringify({ pid: 2 ** 22 + 1, started: "" }))
    disk.readOnly(true)
    await done(Effect.scoped(lock))
  })

  it("of a living process is respected on a disk that cannot be written", async () => {
    writeFileSync(path(), JSON.stringify({ pid: process.ppid, started: "" }))
    disk.readOnly(true)
    expect(await done(Effect.flip(Effect.scoped(lock)))).toMatchObject({
      code: "locked",
      message: expect.stringContaining(`pid ${process.ppid}`)
    })
  })

  it("is let go of on a disk that became read-only, and taken over from there", async () => {
    const scope = await done(Scope.make())
    await done(Scope.extend(lock, scope))
    disk.readOnly(true)
    await done(Scope.close(scope, Exit.void))
    expect(JSON.parse(readFileSync(path(), "utf8"))).toMatchObject({ pid: process.pid })
    disk.readOnly(false)
    await done(Effect.scoped(lock))
  })

  it("that another process has taken meanwhile is not written again", async () => {
    const scope = await done(Scope.make())
    await done(Scope.extend(lock, scope))
    writeFileSync(path(), JSON.stringify({ pid: process.ppid, started: "" }))
    expect(await done(Effect.flip(renewLock(disk.path, now)))).toMatchObject({ code: "locked" })
    await done(Scope.close(scope, Exit.void))
    expect(existsSync(path())).toBe(true)
  })
})

it("what cannot be written leaves no half of it behind, and the old one is whole", async () => {
  const nodeName = NodeName.make("host-a")
  const identity = await done(initMesh({ dataDir: disk.path, meshName: "m", nodeName, now }))
  disk.fill()
  const large = { ...identity, delegations: [new Uint8Array(32_768)] }
  const failed = await done(Effect.flip(saveIdentity(disk.path, large)))
  expect(failed.message).toMatch(/ENOSPC.*free space/)
  expect(existsSync(join(disk.path, "identity.cbor.new"))).toBe(false)
  expect((await done(loadIdentity(disk.path))).peer).toBe(identity.peer)
})

describe("a running node", () => {
  const mesh = new TestMesh()
  let app: App
  afterAll(async () => {
    await mesh.stop()
    await app.close()
  })

  const doctor = (host: Host) => skein("doctor", "--admin", host.admin)
  const served = async (host: Host): Promise<boolean> => {
    const { stdout } = await run(program("curl"), [
      "-sS",
      "-o",
      "/dev/null",
      "-w",
      "%{http_code}",
      "-x",
      host.proxy,
      "http://web.mesh/"
    ])
    return stdout === "200"
  }
  /** How often its log says so. */
  const said = (host: Host, pattern: RegExp): number =>
    host.process?.output().match(new RegExp(pattern, "g"))?.length ?? 0
  const files = [
    "catalogue.bin",
    "catalogue.epoch",
    "identity.cbor",
    "lock",
    "node.key",
    "root.key"
  ]
  const has = (directory: string): boolean =>
    files.every((name) => existsSync(join(directory, name)))
  /** Another node comes and goes, so that there is something to store. */
  const change = async (name: string) => {
    const other = await mesh.join(name)
    await other.stop()
  }

  it("serves on, says once what cannot be stored, and stores it when it can", async () => {
    app = await httpApp("web", (_, response) => response.end("ok"))
    const host = await mesh.first("host-a", {
      dataDir: disk.path,
      services: [{ name: "web", address: app.address }]
    })
    await until("all files", () => (has(disk.path) ? true : undefined))
    const key = readFileSync(join(disk.path, "node.key"), "utf8")

    // Full.
    disk.fill()
    await change("host-b")
    await until("the log", () => (said(host, /cannot be written/) > 0 ? true : undefined))
    expect(await served(host)).toBe(true)
    const full = await doctor(host)
    expect(full.stdout).toMatch(/× data directory: .* no space left/)
    expect(full.stdout).toMatch(/‼ storage: .*catalogue\.bin cannot be written/)
    // Killed on a full disk, it starts again: the lock is stale and no new one can be written.
    await host.kill()
    await host.up()
    expect(await served(host)).toBe(true)
    expect(said(host, /lock .* cannot be written \(ENOSPC\)/)).toBe(1)
    disk.free()
    await until("the lock", () => (has(disk.path) ? true : undefined))
    await until("in order", async () =>
      (await doctor(host)).stdout.includes("× data") ? undefined : true
    )

    // Deleted.
    for (const name of readdirSync(disk.path)) rmSync(join(disk.path, name))
    await until("all files again", () =>
      has(disk.path) && existsSync(join(disk.path, "admin.sock")) ? true : undefined
    )
    expect(readFileSync(join(disk.path, "node.key"), "utf8")).toBe(key)
    expect(statSync(join(disk.path, "node.key")).mode & 0o777).toBe(0o600)
    expect(said(host, /had gone from the data directory/)).toBe(1)

    // Read-only: it serves on, ends with 0, and starts again.
    disk.readOnly(true)
    expect((await doctor(host)).stdout).toMatch(/× data directory: .* EROFS/)
    expect(await served(host)).toBe(true)
    expect(await host.stop()).toBe(0)
    await host.up()
    expect(await served(host)).toBe(true)
    disk.readOnly(false)

    // Its volume goes away: no key is written where it does not belong.
    disk.unmount()
    await until("the log", () => (said(host, /not on the file system/) > 0 ? true : undefined))
    expect((await doctor(host)).stdout).toMatch(/‼ storage: .*mount its volume again/)
    expect(readdirSync(disk.path).filter((name) => !name.startsWith("catalogue."))).toEqual([])
    // It can be told what to do all the same.
    expect((await skein("reload", "--data-dir", host.dataDir)).code).toBe(0)
    expect(await served(host)).toBe(true)
    expect(said(host, /not on the file system/)).toBe(1)
  })

  it("whose directory is deleted makes it again, with the identity it has", async () => {
    const [host] = mesh.hosts.slice(-1)
    if (host === undefined) throw new Error("there is no host")
    await host.up()
    const identity = readFileSync(join(host.dataDir, "identity.cbor"))
    rmSync(host.dataDir, { recursive: true })
    const gone = await doctor(host)
    expect(gone.stdout).not.toContain("skein init")
    await until("the directory", () =>
      existsSync(join(host.dataDir, "catalogue.bin")) && existsSync(join(host.dataDir, "lock"))
        ? true
        : undefined
    )
    expect(readFileSync(join(host.dataDir, "identity.cbor"))).toEqual(identity)
    expect(statSync(host.dataDir).mode & 0o777).toBe(0o700)
    // The root key was never here.
    expect(existsSync(join(host.dataDir, "root.key"))).toBe(false)
    await host.kill()
    await host.up()
  })

  it("that is lost with its directory comes back at once, under its name", async () => {
    const [first, host] = [mesh.hosts[0], mesh.hosts.at(-1)]
    if (first === undefined || host === undefined) throw new Error("there is no host")
    // Before: the others must not have missed it yet when it comes back.
    const token = await first.invite()
    await host.kill()
    rmSync(host.dataDir, { recursive: true })
    await host.up("--join", token)
    expect(said(host, /another node of the mesh is called host-b/)).toBe(1)
  })
})
