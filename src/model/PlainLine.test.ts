import { expect, it } from "vitest"
import { plainLine } from "./PlainLine.ts"

const evil = "why\n\u001b[2K\rFORGED\u0007\u2028\u202egnp.exe\u202c"

it("what others wrote is one line, and nothing to a terminal", () => {
  expect(plainLine(evil)).toBe("why  FORGED  gnp.exe")
  expect(plainLine("ünïcode stays 日本 🙂")).toBe("ünïcode stays 日本 🙂")
})
