import { expect, it } from "vitest"
import { plainLine } from "./PlainLine.ts"
import { renderPairs, renderTable } from "./Table.ts"

const evil = "why\n\u001b[2K\rFORGED\u0007\u2028\u202egnp.exe\u202c"

it("what others wrote is one line, and nothing to a terminal", () => {
  expect(plainLine(evil)).toBe("why  FORGED  gnp.exe")
  expect(plainLine("ünïcode stays 日本 🙂")).toBe("ünïcode stays 日本 🙂")
})

it("tables and pairs hold nothing else", () => {
  const options = { colour: false, empty: "" }
  const table = renderTable([{ title: "WHY", cell: () => evil }], [1], options)
  expect(table).toBe("WHY\nwhy  FORGED  gnp.exe\n")
  expect(renderPairs([["why", evil]], options)).toBe("why  why  FORGED  gnp.exe\n")
})
