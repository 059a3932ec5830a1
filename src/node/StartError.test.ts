import { describe, expect, it } from "vitest"
import { ListenError } from "../request/listener/ListenError.ts"
import { StartError } from "./StartError.ts"

describe("StartError", () => {
  it("keeps code, message and cause of what failed", () => {
    const cause = new ListenError({
      code: "address_in_use",
      address: "127.0.0.1:80",
      message: "cannot listen on 127.0.0.1:80",
      cause: new Error("EADDRINUSE")
    })
    const error = StartError.from(cause)
    expect(error).toMatchObject({ _tag: "StartError", code: "address_in_use", cause })
    expect(error.message).toBe("cannot listen on 127.0.0.1:80")
  })

  it("is itself when it was one", () => {
    const error = new StartError({ code: "runtime_too_old", message: "m", cause: undefined })
    expect(StartError.from(error)).toBe(error)
  })

  it("has the tag for a code when there is no other", () => {
    expect(StartError.from({ _tag: "Odd", message: "m" }).code).toBe("Odd")
  })
})
