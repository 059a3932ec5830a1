import { Cause, Effect, HashMap, Logger } from "effect"
import { expect, it } from "vitest"
import { MeshLog } from "./MeshLog.ts"
import type { ToldLog } from "./NodeMessages.ts"
import { makeToldLog } from "./ToldLog.ts"

const crossing = () => {
  const crossed: Array<ToldLog> = []
  const log = new MeshLog((message) => crossed.push(structuredClone(message)))
  const run = <A, E>(effect: Effect.Effect<A, E>) =>
    Effect.runSync(Effect.provide(effect, Logger.replace(Logger.defaultLogger, log.logger)))
  return { crossed, log, run }
}

it("crosses with level, annotations and the text of its cause", () => {
  const { crossed, run } = crossing()
  run(
    Effect.logError("it broke", Cause.fail(new Error("as asked"))).pipe(
      Effect.annotateLogs({ peer: "host-b", port: 7, odd: { why: 1 } })
    )
  )
  const lines: Array<unknown> = []
  const logger = Logger.make(({ annotations, cause, logLevel, message }) => {
    const fields = Object.fromEntries(HashMap.toEntries(annotations))
    lines.push([logLevel.label, message, fields, Cause.pretty(cause)])
  })
  const tell = makeToldLog.pipe(
    Effect.map((told) => crossed.forEach(told)),
    Effect.provide(Logger.replace(Logger.defaultLogger, logger))
  )
  Effect.runSync(tell)
  expect(lines).toEqual([
    [
      "ERROR",
      ["it broke"],
      { peer: "host-b", port: 7, odd: '{"why":1}' },
      expect.stringMatching(/^Error: as asked\n +at /)
    ]
  ])
})

it("has a bound for a program that does not take it, and says what was lost", () => {
  const { crossed, log, run } = crossing()
  for (let i = 0; i < 1_030; i++) run(Effect.logInfo(`line ${i}`))
  expect(crossed.length).toBe(1_024)
  log.taken(1_024)
  run(Effect.logInfo("afterwards"))
  expect(crossed.slice(-2).map(({ level, messages }) => [level, ...messages])).toEqual([
    ["Warning", "6 messages of the mesh thread's log were lost: the program did not take them"],
    ["Info", "afterwards"]
  ])
})
