import { describe, expect, it } from "vitest"
import { fileReasonOf, reasonOf } from "./Reason.ts"

describe("reasonOf", () => {
  it("tells an error and its causes in one line, each once", () => {
    const cause = new Error("connect ECONNREFUSED\n  at somewhere")
    expect(reasonOf(new Error("no link", { cause }))).toBe("no link: connect ECONNREFUSED")
    expect(reasonOf(new Error("no link", { cause: new Error("no link") }))).toBe("no link")
  })

  it("tells the first of several attempts", () => {
    const all = new AggregateError([new Error("refused"), new Error("no route")], "all failed")
    expect(reasonOf(all)).toBe("all failed: refused")
  })

  it("has the name of an error that says nothing, and the text of what is none", () => {
    expect(reasonOf(new TypeError())).toBe("TypeError")
    expect(reasonOf("plain")).toBe("plain")
  })

  it("of a file that cannot be read says so in words", () => {
    const failed = (code: string) => Object.assign(new Error(`${code}: open 'x'`), { code })
    expect(fileReasonOf(failed("ENOENT"))).toBe("there is no such file")
    expect(fileReasonOf(failed("EIO"))).toBe("EIO: open 'x'")
    expect(fileReasonOf(7)).toBe("7")
  })

  it("asks what each error says", () => {
    const error = new Error("outer", { cause: new Error("inner") })
    expect(reasonOf(error, ({ message }) => message.toUpperCase())).toBe("OUTER: INNER")
  })
})
