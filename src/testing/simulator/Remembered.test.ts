import { expect, test } from "vitest"
import { Remembered } from "./Remembered.ts"

test("keeps what was asked for last, up to its weight", () => {
  const held = new Remembered<string>(10)
  held.set(1, "a", 4)
  held.set(2, "b", 4)
  expect(held.get(1)).toBe("a")
  held.set(3, "c", 4)
  expect([held.get(1), held.get(2), held.get(3)]).toEqual(["a", undefined, "c"])
  held.set(3, "another", 6)
  expect([held.get(1), held.get(3), held.size]).toEqual(["a", "another", 2])
  held.set(4, "too heavy to be kept", 11)
  expect(held.size).toBe(0)
})
