import { expect, test } from "vitest"
import { renderDiff } from "./SettingText.ts"

test("a difference is of what is said, and not of the order in which it is kept", () => {
  const held = {
    allow: [{ from: "orders", path: "/charge", methods: ["POST"] }],
    service: "payments"
  }
  const written = {
    service: "payments",
    allow: [{ from: "orders", methods: ["POST"], path: "/charge", port: 8081 }]
  }
  expect(renderDiff(held, held, false).every((line) => line.startsWith("  "))).toBe(true)
  expect(renderDiff(held, written, false)).toEqual([
    "  service: payments",
    "  allow:",
    "    - from: orders",
    "      methods:",
    "        - POST",
    "      path: /charge",
    "+     port: 8081"
  ])
  expect(renderDiff(null, { retry: "off" }, false)).toEqual(["+ retry: off"])
  expect(renderDiff({ retry: "off" }, null, false)).toEqual(["- retry: off"])
  // What is left out goes, wherever it stood.
  expect(renderDiff({ a: 1, b: 2 }, { b: 2 }, false)).toEqual(["  b: 2", "- a: 1"])
})
