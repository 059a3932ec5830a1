import {
  chmodSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect } from "effect"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { NodeName } from "../../model/Names.ts"
import { everything, uncovered } from "../trust/Grant.ts"
import { certificateLifetime } from "../trust/Issue.ts"
import { renewSelf } from "../trust/Renewal.ts"
import { encodePem, generateSigningKey, meshIdOf, peerKeyOf } from "../trust/SigningKey.ts"
import {
  hasIdentity,
  identityPaths,
  initMesh,
  loadIdentity,
  loadOrCreateNodeKey,
  saveIdentity
} from "./DataDir.ts"

const now = 1_800_000_000_000
const nodeName = NodeName.make("host-a")
let parent: string
let dataDir: string
beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), "skein-datadir-"))
  dataDir = join(parent, "nested", "host-a")
})
afterEach(() => rmSync(parent, { recursive: true, force: true }))

const init = (dir = dataDir) => initMesh({ dataDir: dir, meshName: "test", nodeName, now })
const run = Effect.runPromise
const failure = <A, E>(effect: Effect.Effect<A, E>) => run(Effect.flip(Effect.asVoid(effect)))
const mode = (path: string) => statSync(path).mode & 0o777

describe("a data directory", () => {
  it("holds a new mesh, for its owner only", async () => {
    const identity = await run(init())
    // The key of a further root is there only while one is rotated.
    const { nextRootKey: _, ...paths } = identityPaths(dataDir)
    expect(mode(dataDir)).toBe(0o700)
    for (const path of Object.values(paths)) expect(mode(path)).toBe(0o600)
    expect(readdirSync(dataDir).sort()).toEqual(["identity.cbor", "node.key", "root.key"])
    expect(readFileSync(paths.nodeKey, "utf8")).toMatch(/^-----BEGIN PRIVATE KEY-----/)

    const loaded = await run(loadIdentity(dataDir))
    expect(loaded).toMatchObject({ name: "host-a", meshName: "test", mesh: identity.mesh })
    expect(loaded.chain).toEqual(identity.chain)
    expect(loaded.authority?.notAfter).toBe(Number.POSITIVE_INFINITY)
  })

  it("goes on by its delegation when the root key is taken away", async () => {
    await run(init())
    rmSync(identityPaths(dataDir).rootKey)
    const loaded = await run(loadIdentity(dataDir))
    expect(loaded.rootKey).toBeUndefined()
    expect(loaded.authority?.key).toBe(loaded.privateKey)
    expect(uncovered(loaded.authority!.grant, everything)).toEqual([])
  })

  it("keeps what was renewed, and loads what has expired", async () => {
    const identity = await run(init())
    const renewed = await run(renewSelf(identity, now + 1_000))
    await run(saveIdentity(dataDir, renewed))
    const loaded = await run(loadIdentity(dataDir))
    expect(loaded.certificate.notAfter).toBe(now + 1_000 + certificateLifetime)
    expect(readdirSync(dataDir)).not.toContain("identity.cbor.new")
  })

  it("says what to do when nothing is there", async () => {
    expect(await run(hasIdentity(dataDir))).toBe(false)
    expect(await failure(loadIdentity(dataDir))).toMatchObject({
      code: "no_identity",
      message: expect.stringMatching(/skein init .*skein join TOKEN/)
    })
  })

  it("is never initialised twice", async () => {
    const identity = await run(init())
    expect(await failure(init())).toMatchObject({ code: "already_initialised" })
    expect((await run(loadIdentity(dataDir))).mesh).toBe(identity.mesh)
  })

  it("uses keys that are there already: an init that was killed, or a root key made elsewhere", async () => {
    const key = await run(loadOrCreateNodeKey(dataDir))
    const rootKey = generateSigningKey()
    writeFileSync(identityPaths(dataDir).rootKey, encodePem(rootKey), { mode: 0o600 })
    const identity = await run(init())
    expect(identity.peer).toBe(peerKeyOf(key.publicKey.raw))
    expect(identity.mesh).toBe(meshIdOf(rootKey.publicKey.raw))
    expect((await run(loadOrCreateNodeKey(dataDir))).equals(key)).toBe(true)
  })

  it("refuses mesh names that cannot be one", async () => {
    const named = initMesh({ dataDir, meshName: "a b", nodeName, now })
    expect(await failure(named)).toMatchObject({ code: "invalid_name" })
    expect(await run(hasIdentity(dataDir))).toBe(false)
  })

  it("refuses a key that others can read, and says how to mend it", async () => {
    await run(init())
    const { nodeKey } = identityPaths(dataDir)
    chmodSync(nodeKey, 0o640)
    expect(await failure(loadIdentity(dataDir))).toMatchObject({
      code: "too_open",
      path: nodeKey,
      message: expect.stringContaining(`chmod 600 ${nodeKey}`)
    })
  })

  it.each(["rootKey", "nodeKey", "identity"] as const)("names a damaged %s", async (which) => {
    await run(init())
    const path = identityPaths(dataDir)[which]
    for (const damage of [
      (bytes: Buffer) => bytes.subarray(0, bytes.length / 2),
      () => Buffer.from("nonsense"),
      () => Buffer.alloc(0),
      () => Buffer.alloc(100_000)
    ]) {
      const whole = readFileSync(path)
      writeFileSync(path, damage(whole))
      expect(await failure(loadIdentity(dataDir))).toMatchObject({ code: "corrupted", path })
      writeFileSync(path, whole)
    }
    await run(loadIdentity(dataDir))
  })

  it("notices keys that belong to another node or mesh", async () => {
    await run(init())
    const paths = identityPaths(dataDir)
    const other = join(parent, "other")
    await run(init(other))
    writeFileSync(paths.rootKey, readFileSync(identityPaths(other).rootKey))
    expect(await failure(loadIdentity(dataDir))).toMatchObject({
      code: "corrupted",
      message: expect.stringMatching(/the root key [0-9a-f]{32} is none of mesh/)
    })
    rmSync(paths.rootKey)
    writeFileSync(paths.nodeKey, readFileSync(identityPaths(other).nodeKey))
    expect(await failure(loadIdentity(dataDir))).toMatchObject({ code: "corrupted" })
    rmSync(paths.nodeKey)
    expect(await failure(loadIdentity(dataDir))).toMatchObject({
      code: "corrupted",
      path: paths.nodeKey,
      message: expect.stringMatching(/is missing/)
    })
  })

  it("says which path it cannot use", async () => {
    const file = join(parent, "file")
    writeFileSync(file, "")
    const inside = join(file, "host-a")
    expect(await failure(init(inside))).toMatchObject({ code: "inaccessible" })
    expect(await failure(loadOrCreateNodeKey(inside))).toMatchObject({
      code: "inaccessible",
      path: inside
    })
  })
})
