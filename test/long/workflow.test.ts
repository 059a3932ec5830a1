/** A checkout that survives its host, as examples/workflow has it, on Deno: on Node it runs with all examples. */
import { join } from "node:path"
import { beforeAll, expect, it } from "vitest"
import { build, root } from "../fixtures/Mesh.ts"
import { run } from "../fixtures/Processes.ts"

const deno = join(root, "node_modules", ".bin", "deno")

beforeAll(build)

it("goes on at the other host when the one that it is on is lost", async () => {
  const main = join(root, "examples", "main.ts")
  const { code, stdout } = await run(deno, ["run", "-A", main, "workflow", "--once"])
  expect(stdout).not.toContain("×")
  expect(stdout).toContain("everything was done once, though the charge was asked for twice")
  expect(code).toBe(0)
})
