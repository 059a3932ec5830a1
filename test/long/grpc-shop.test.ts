/** examples/grpc with all its languages, of which the test command has time for one. */
import { join } from "node:path"
import { describe, expect, it } from "vitest"
import { build, root } from "../fixtures/Mesh.ts"
import { run } from "../fixtures/Processes.ts"

describe("the shop in four languages", () => {
  it("runs by names, with a trace of all hops", async () => {
    await build()
    const example = join(root, "examples", "main.ts")
    const { end, stdout } = await run(process.execPath, [example, "grpc", "--once"])
    expect(end.code, `${stdout}\n${end.output}`).toBe(0)
    expect(stdout).toContain(
      "√ every program has answered, the last by a stream: TypeScript, Python, Go, Java"
    )
  })
})
