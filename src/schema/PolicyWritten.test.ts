import { Either, Schema } from "effect"
import { expect, test } from "vitest"
import { explainInLine } from "./ExplainIssue.ts"
import { maxWrittenPolicy, PolicyWritten } from "./PolicyWritten.ts"

const read = (value: unknown) =>
  Either.mapLeft(
    Schema.decodeUnknownEither(PolicyWritten)(value, { errors: "all", onExcessProperty: "error" }),
    ({ issue }) => explainInLine(issue)
  )

test("it stays as it is written", () => {
  const written = { timeout: { request: "2s" }, retry: { attempts: 3 } }
  expect(read(written)).toEqual(Either.right(written))
  expect(read({})).toEqual(Either.right({}))
})

test.each([
  [{ retires: "off" }, "retires: unknown key retires; did you mean retry?"],
  [{ timeout: { request: "2sec" } }, /^timeout\.request: "2sec" is not a duration/],
  [{ timeout: { request: "1s", perTry: "2s" } }, /^timeout\.perTry: 2s is not shorter/],
  [{ retry: { attempts: 11 } }, /^retry\.attempts: /],
  [{ retry: { methods: ["A".repeat(maxWrittenPolicy)] } }, /bytes long as JSON/]
])("%j is refused in the words of any policy", (written, message) => {
  expect(Either.getOrThrow(Either.flip(read(written)))).toMatch(message)
})
