import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { makeNodeConfig } from "../config/NodeConfig.ts"
import { initMesh } from "../mesh/keys/DataDir.ts"
import { NodeName } from "../model/Names.ts"
import { besideInput } from "./BesideIdentity.ts"

const inDirectory = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "skein-beside-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true }))
)

const start = (dataDir: string, token: string | undefined) =>
  besideInput({
    config: makeNodeConfig({ node: { dataDir } }),
    ...{ configPath: undefined, descriptors: undefined, overrides: undefined },
    beside: "unnamed",
    join: token
  })

it.scoped("takes an empty token for none", () =>
  Effect.gen(function* () {
    const dataDir = yield* inDirectory
    const failure = yield* Effect.flip(start(dataDir, ""))
    expect(failure).toMatchObject({ code: "no_identity" })
    yield* initMesh({ dataDir, meshName: "tour", nodeName: NodeName.make("host-a-1"), now: 0 })
    const input = yield* start(dataDir, " ")
    expect(input.join).toBeUndefined()
    expect(input.config.node.name).toBe("host-a-1")
  })
)
