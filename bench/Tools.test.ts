import { expect, test } from "vitest"
import { findTools, MissingTool, toolOf } from "./Tools.ts"

test("a missing tool says how to get it", () => {
  expect(new MissingTool(["wrk", "nginx"]).message).toContain("apt-get install wrk nginx-light")
  expect(new MissingTool(["serf"]).message).toContain("apt-get install serf")
  expect(new MissingTool(["haproxy"]).message).toContain("which is not installed")
})

test("what was not looked for cannot be used", () => {
  expect(() => toolOf(findTools([]), "wrk")).toThrow(MissingTool)
})
