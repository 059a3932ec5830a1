import { describe, expect, it } from "vitest"
import { pushbackOf, withPreviousAttempts } from "./RetryPushback.ts"

const said = (...values: ReadonlyArray<string>) =>
  pushbackOf(values.flatMap((value) => ["Grpc-Retry-Pushback-Ms", value]))

describe("pushback", () => {
  it.each([
    ["0", 0],
    ["1500", 1_500],
    ["-1", "never"],
    ["soon", "never"],
    ["1.5", "never"],
    ["", "never"],
    [" 5", "never"],
    ["9999999999", "never"]
  ] as const)("%j is %j", (value, pushback) => {
    expect(said(value)).toBe(pushback)
  })

  it("is not there, or there twice", () => {
    expect(pushbackOf(["grpc-status", "14"])).toBeUndefined()
    expect(said("5", "5")).toBe("never")
  })
})

describe("earlier attempts", () => {
  it("are those of the client and those made here", () => {
    expect(withPreviousAttempts(["a", "b"], 1)).toEqual([
      "a",
      "b",
      "grpc-previous-rpc-attempts",
      "1"
    ])
    expect(withPreviousAttempts(["Grpc-Previous-Rpc-Attempts", "2", "a", "b"], 1)).toEqual([
      ...["a", "b", "grpc-previous-rpc-attempts", "3"]
    ])
    expect(withPreviousAttempts(["grpc-previous-rpc-attempts", "many"], 2)).toEqual([
      ...["grpc-previous-rpc-attempts", "2"]
    ])
  })
})
