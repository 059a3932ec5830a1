import { readFileSync } from "node:fs"
import { join } from "node:path"
import { expect, it } from "vitest"
import { codeName, type Http2Rule, http2Rules } from "./Http2Error.ts"

it("docs/http2.md lists every rule, with its code", () => {
  const text = readFileSync(join(import.meta.dirname, "../../../docs/http2.md"), "utf8")
  const listed = new Map(
    [...text.matchAll(/^\| `(\w+)` \| ([A-Z_]+) \|/gm)].map(([, rule, code]) => [rule, code])
  )
  expect([...listed.keys()].toSorted()).toEqual(Object.keys(http2Rules).toSorted())
  for (const [rule, code] of listed)
    expect(codeName(http2Rules[rule as Http2Rule]), rule).toBe(code) // all are rules, by the line above
})
