import { Effect, HashMap, Logger, LogLevel } from "effect"
import { expect, it } from "vitest"
import { makePlaneLog } from "./PlaneLog.ts"

it("tells the node's log at the same level, with the fields as annotations", async () => {
  const told: Array<unknown> = []
  const logger = Logger.make(({ annotations, logLevel, message }) =>
    told.push([logLevel.label, String(message), Object.fromEntries(HashMap.entries(annotations))])
  )
  const log = await Effect.runPromise(
    makePlaneLog.pipe(
      Effect.annotateLogs({ part: "listener" }),
      Effect.provide(Logger.replace(Logger.defaultLogger, logger)),
      Logger.withMinimumLogLevel(LogLevel.Debug)
    )
  )
  log("debug", "looked")
  log("info", "opened", { port: 80 })
  log("warning", "reset", { code: "upstream_reset", service: undefined })
  log("error", "failed")
  expect(told).toEqual([
    ["DEBUG", "looked", { part: "listener" }],
    ["INFO", "opened", { part: "listener", port: 80 }],
    ["WARN", "reset", { part: "listener", code: "upstream_reset", service: undefined }],
    ["ERROR", "failed", { part: "listener" }]
  ])
})
