/** Actors on two hosts, as examples/actors has them, on Deno: on Node it runs with all examples. */
import { join } from "node:path"
import { beforeAll, expect, it } from "vitest"
import { build, root } from "../fixtures/Mesh.ts"
import { run } from "../fixtures/Processes.ts"

const main = join(root, "examples", "actors", "main.ts")
const deno = join(root, "node_modules", ".bin", "deno")

beforeAll(build)

it("finds carts from both hosts, and moves them while they are called", async () => {
  const { code, stdout } = await run(deno, ["run", "-A", main])
  expect(stdout).toMatch(/^host-b has [1-9]\d* carts in memory, and [1-9]\d* shards$/m)
  expect(stdout).toContain("all carts are on host-a, and no call has failed")
  expect(stdout).toContain("the cart of user-0 has book, pen, cup")
  expect(code).toBe(0)
})
