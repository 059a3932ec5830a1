import { describe, expect, it } from "vitest"
import manifest from "../../package.json" with { type: "json" }
import { leastNode, runtimeOf, sharesPorts } from "./Runtime.ts"

const versions = (others: object): NodeJS.ProcessVersions => ({ ...process.versions, ...others })

describe("the runtime", () => {
  it.each([
    [{ node: "20.20.2" }, "Node 20.20.2", false],
    [{ node: "22.0.0" }, "Node 22.0.0", true],
    [{ node: "100.1.0" }, "Node 100.1.0", true],
    [{ node: "20.0.0", deno: "2.9.6" }, "Deno 2.9.6", true]
  ])("of %o is %s, and can run a node: %s", (others, name, able) => {
    expect(runtimeOf(versions(others))).toEqual({ name, able })
  })

  it("can share ports, or is too old for that", () => {
    const nodes = ["22.0.0", "22.11.9", "22.12.0", "23.0.1", "23.1.0", "24.0.0", "100.0.0"]
    expect(nodes.map((node) => sharesPorts(versions({ node })))).toEqual([
      ...[false, false, true, false, true, true, true]
    ])
    expect(sharesPorts(versions({ node: "22.0.0", deno: "2.9.6" }))).toBe(true)
  })

  it("is the one the package promises", () => {
    expect(manifest.engines.node).toBe(`>=${leastNode}`)
  })
})
