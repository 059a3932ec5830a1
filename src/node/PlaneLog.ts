/** Where the request plane's words go: the node's log. */
import { Effect, Runtime } from "effect"
import type { Log, LogLevel } from "../model/Log.ts"

const levels: Readonly<Record<LogLevel, (message: string) => Effect.Effect<void>>> = {
  debug: Effect.logDebug,
  info: Effect.logInfo,
  warning: Effect.logWarning,
  error: Effect.logError
}

/** A log that belongs to the calling effect's runtime; fields are annotations. */
export const makePlaneLog: Effect.Effect<Log> = Effect.map(Effect.runtime<never>(), (runtime) => {
  const runFork = Runtime.runFork(runtime)
  return (level, message, fields) => {
    const told = levels[level](message)
    runFork(fields === undefined ? told : Effect.annotateLogs(told, fields))
  }
})
