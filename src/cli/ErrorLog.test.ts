import { Cause, Effect, Logger } from "effect"
import { describe, expect, it } from "vitest"
import { tellErrors } from "./ErrorLog.ts"

const linesOf = (effect: Effect.Effect<void>): ReadonlyArray<string> => {
  const lines: Array<string> = []
  const logger = Logger.map(tellErrors(Logger.logfmtLogger), (line) => void lines.push(line))
  Effect.runSync(Effect.provide(effect, Logger.replace(Logger.defaultLogger, logger)))
  return lines
}

describe("what is logged with an error", () => {
  it("says which, and where it was", () => {
    const [line] = linesOf(Effect.logError("a listener failed", new TypeError("x is undefined")))
    expect(line).toMatch(
      / message="a listener failed" cause="TypeError: x is undefined\\n +at .*ErrorLog\.test/
    )
    expect(line).not.toContain("{}")
  })

  it("also beside a cause, and when it is all that is logged", () => {
    const [beside] = linesOf(
      Effect.logError("it broke", new Error("one"), Cause.die(new Error("two")))
    )
    expect(beside).toMatch(/message="it broke" cause=.*Error: two.*Error: one/)
    const [alone] = linesOf(Effect.logError(new Error("alone")))
    expect(alone).toMatch(/cause="Error: alone\\n/)
  })

  it("is as it was without one", () => {
    const [line] = linesOf(Effect.logInfo("up", { port: 1 }))
    expect(line).toMatch(/ message=up message="\{\\?"?port|message=up message=/)
    expect(line).not.toContain("cause")
    const [cause] = linesOf(Effect.logError("it broke", Cause.die(new Error("two"))))
    expect(cause).toMatch(/message="it broke" cause="Error: two\\n/)
  })
})
