import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect } from "effect"
import { afterAll, describe, expect, it } from "vitest"
import { hostNodeName } from "../config/NodeConfig.ts"
import { initMesh } from "./InitMesh.ts"

const directory = mkdtempSync(join(tmpdir(), "skein-init-mesh-"))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

describe("initMesh", () => {
  it("makes a mesh and its first node, by the names given", async () => {
    const dataDir = join(directory, "named")
    const made = await Effect.runPromise(initMesh({ dataDir, mesh: "tour", name: "host-a" }))
    expect(made).toEqual({
      name: "host-a",
      peer: expect.stringMatching(/^12D3/),
      mesh: { id: expect.stringMatching(/^[0-9a-f]{32}$/), name: "tour" }
    })
  })

  it("has the names of skein init where none are given", async () => {
    const made = await Effect.runPromise(initMesh({ dataDir: join(directory, "unnamed") }))
    expect(made.name).toBe(hostNodeName())
    expect(made.mesh.name).toBe("skein")
  })

  it("refuses a directory that holds an identity", async () => {
    const dataDir = join(directory, "taken")
    await Effect.runPromise(initMesh({ dataDir }))
    const error = await Effect.runPromise(Effect.flip(initMesh({ dataDir })))
    expect(error._tag).toBe("StartError")
    expect(error.message).toContain(dataDir)
  })

  it("refuses what is no name before anything is made", async () => {
    const dataDir = join(directory, "odd")
    const error = await Effect.runPromise(Effect.flip(initMesh({ dataDir, name: "We b" })))
    expect(error.code).toBe("invalid_name")
    expect(error.message).toContain("We b")
    await Effect.runPromise(initMesh({ dataDir, name: "web" }))
  })
})
