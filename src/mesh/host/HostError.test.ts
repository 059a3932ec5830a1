import { Either, Schema } from "effect"
import { describe, expect, it } from "vitest"
import { reasonOf } from "./HostError.ts"

const Answer = Schema.Struct({ reachable: Schema.Boolean })

describe("reasonOf", () => {
  it("tells of an answer that does not decode in words, not as a Schema's tree", () => {
    const decoded = Schema.decodeUnknownEither(Answer)({ reachable: "yes" })
    expect(Either.isLeft(decoded) && reasonOf(decoded.left)).toBe(
      'reachable: "yes" is not true or false'
    )
  })

  it("tells an error and its causes in one line, each once", () => {
    const cause = new Error("connect ECONNREFUSED\n  at somewhere")
    expect(reasonOf(new Error("no link", { cause }))).toBe("no link: connect ECONNREFUSED")
    expect(reasonOf(new Error("no link", { cause: new Error("no link") }))).toBe("no link")
    expect(reasonOf("plain")).toBe("plain")
  })
})
