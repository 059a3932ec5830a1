import { readFileSync } from "node:fs"
import { join } from "node:path"
import { expect, it } from "vitest"
import { faultKinds } from "../../model/Fault.ts"
import { codeName, type Http2Rule, http2Rules } from "./Http2Error.ts"

const text = readFileSync(join(import.meta.dirname, "../../../docs/http2.md"), "utf8")

it("docs/http2.md lists every fault, with its status of gRPC", () => {
  const listed = new Map(
    [...text.matchAll(/^\| `(\w+)` \| (\d+) [A-Z_]+ \|$/gm)].map(([, code = "", status]) => [
      code,
      Number(status)
    ])
  )
  // Nobody is there to be told of the last one.
  const { client_gone: _, ...told } = faultKinds
  expect(Object.fromEntries(listed)).toEqual(
    Object.fromEntries(Object.entries(told).map(([code, { grpc }]) => [code, grpc]))
  )
})

it("docs/http2.md lists every rule, with its code", () => {
  const listed = new Map(
    [...text.matchAll(/^\| `(\w+)` \| ([A-Z_]+) \|/gm)].map(([, rule, code]) => [rule, code])
  )
  expect([...listed.keys()].toSorted()).toEqual(Object.keys(http2Rules).toSorted())
  for (const [rule, code] of listed)
    expect(codeName(http2Rules[rule as Http2Rule]), rule).toBe(code) // all are rules, by the line above
})
