/** Memory with cells crosses to a thread on either runtime, and is read while that thread is stalled. */
import { join } from "node:path"
import { describe, expect, it } from "vitest"
import { root } from "../fixtures/Mesh.ts"
import { run } from "../fixtures/Processes.ts"

const programPath = join(root, "test", "fixtures", "CountingProgram.ts")

describe("a thread's cells", () => {
  it.each([
    ["node", []],
    ["deno", ["run", "-A"]]
  ])("on %s", async (runtime, options) => {
    const { code, stdout, stderr } = await run(join(root, "node_modules", ".bin", runtime), [
      ...options,
      programPath
    ])
    expect(stderr).toBe("")
    expect(JSON.parse(stdout)).toEqual({ before: 1_000, stalled: 1_007, after: 1_007 })
    expect(code).toBe(0)
  })
})
