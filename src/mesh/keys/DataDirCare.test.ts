import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, Either } from "effect"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { NodeName } from "../../model/Names.ts"
import type { NodeIdentity } from "../trust/NodeIdentity.ts"
import { renewSelf } from "../trust/Renewal.ts"
import { identityPaths, initMesh, loadIdentity, saveIdentity } from "./DataDir.ts"
import { DataDirCare } from "./DataDirCare.ts"

const now = 1_800_000_000_000
const run = Effect.runPromise
let parent: string
let dataDir: string
let identity: NodeIdentity
let care: DataDirCare

const init = (dir: string) =>
  run(initMesh({ dataDir: dir, meshName: "test", nodeName: NodeName.make("host-a"), now }))
const mend = (current = identity) => care.mend(current, now)
const failure = async (): Promise<string> => (await run(Effect.flip(mend()))).message
const all = ["identity.cbor", "node.key", "root.key"]

beforeEach(async () => {
  parent = mkdtempSync(join(tmpdir(), "skein-care-"))
  dataDir = join(parent, "data")
  identity = await init(dataDir)
  care = new DataDirCare(dataDir)
})
afterEach(() => rmSync(parent, { recursive: true, force: true }))

describe("DataDirCare", () => {
  it("has nothing to do where nothing is missing, and writes nothing", async () => {
    const before = await run(care.look)
    expect(await run(mend())).toEqual([])
    expect(await run(care.look)).toBe(before)
  })

  it("makes a deleted directory again, private, with the identity that was in it", async () => {
    const before = await run(care.look)
    rmSync(dataDir, { recursive: true })
    expect(await run(care.look)).not.toBe(before)
    expect(await run(mend())).toEqual(["root.key", "node.key", "identity.cbor"])
    expect(readdirSync(dataDir).sort()).toEqual(all)
    expect(statSync(dataDir).mode & 0o777).toBe(0o700)
    for (const name of all) expect(statSync(join(dataDir, name)).mode & 0o777).toBe(0o600)
    expect(await run(loadIdentity(dataDir))).toMatchObject({ peer: identity.peer })
  })

  it("puts back a single file", async () => {
    const { identity: path, nodeKey } = identityPaths(dataDir)
    for (const [lost, name] of [
      [path, "identity.cbor"],
      [nodeKey, "node.key"]
    ] as const) {
      const content = readFileSync(lost)
      rmSync(lost)
      expect(await run(mend())).toEqual([name])
      expect(readFileSync(lost)).toEqual(content)
    }
  })

  it("puts a root key back only where it was lost with the rest, never where it was taken away", async () => {
    const { rootKey } = identityPaths(dataDir)
    renameSync(rootKey, join(parent, "safe"))
    expect(await run(mend())).toEqual([])
    expect(existsSync(rootKey)).toBe(false)
    rmSync(dataDir, { recursive: true })
    expect(await run(mend())).toEqual(["node.key", "identity.cbor"])
    expect(existsSync(rootKey)).toBe(false)
  })

  it("stores a certificate that was renewed while the disk was full, and keeps a newer one", async () => {
    const renewed = Either.getOrThrow(renewSelf(identity, now + 3_600_000))
    // It had not gone: nobody is to be asked who deleted it.
    expect(await run(mend(renewed))).toEqual([])
    expect(await run(mend(identity))).toEqual([])
    const { certificate } = await run(loadIdentity(dataDir))
    expect(certificate.notAfter).toBe(renewed.certificate.notAfter)
  })

  it("leaves a directory alone that holds the identity, or the key, of another", async () => {
    rmSync(dataDir, { recursive: true })
    const other = await init(dataDir)
    expect(await failure()).toMatch(/holds the key of another node/)
    rmSync(identityPaths(dataDir).identity)
    expect(await failure()).toMatch(/holds the key of another node/)
    await run(saveIdentity(dataDir, other))
    expect((await run(loadIdentity(dataDir))).peer).toBe(other.peer)
    rmSync(identityPaths(dataDir).nodeKey)
    expect(await failure()).toMatch(/damaged or not a file of this node/)
    writeFileSync(identityPaths(dataDir).identity, "nonsense")
    expect(await failure()).toMatch(/damaged/)
    expect(readFileSync(identityPaths(dataDir).identity, "utf8")).toBe("nonsense")
  })

  it("a renewal is not stored over the identity of another node", async () => {
    rmSync(dataDir, { recursive: true })
    const other = await init(dataDir)
    const renewed = Either.getOrThrow(renewSelf(identity, now + 3_600_000))
    const refused = await run(Effect.flip(saveIdentity(dataDir, renewed)))
    expect(refused.message).toMatch(/holds the key of another node/)
    expect((await run(loadIdentity(dataDir))).peer).toBe(other.peer)
  })

  it("sees at each look what is gone, and within six what was written to as it is", async () => {
    const { identity: path, nodeKey } = identityPaths(dataDir)
    // Long enough ago that the clock of the file system tells it from now.
    const past = new Date(now)
    for (const one of [path, nodeKey, dataDir]) utimesSync(one, past, past)
    const before = await run(care.look)
    rmSync(nodeKey)
    const without = await run(care.look)
    expect(without).not.toBe(before)
    expect(await run(care.look)).toBe(without)
    writeFileSync(path, readFileSync(path))
    const seen: Array<string> = []
    for (let look = 0; look < 6; look++) seen.push(await run(care.look))
    expect(seen.filter((one) => one !== without).length).toBeGreaterThan(0)
  })
})
