/** What the mesh thread has logged, in the log of the program. */
import { Cause, Effect, LogLevel, Runtime } from "effect"
import type { ToldLog } from "./NodeMessages.ts"

/** A cause from another thread, where it has become text: stack and all, as it was printed there. */
class DistantCause extends Error {
  constructor(text: string) {
    const [first = ""] = text.split("\n")
    const [, name = "Error", message = first] = /^([\w$]+): (.*)$/.exec(first) ?? []
    super(message)
    this.name = name
    this.stack = text
  }
}

const levelOf = (tag: string): LogLevel.LogLevel =>
  LogLevel.allLevels.find(({ _tag }) => _tag === tag) ?? LogLevel.Info

/** Logs with the loggers of the calling effect. */
export const makeToldLog: Effect.Effect<(told: ToldLog) => void> = Effect.map(
  Effect.runtime<never>(),
  (runtime) => {
    const runFork = Runtime.runFork(runtime)
    return ({ annotations, cause, level, messages }) => {
      const parts =
        cause === undefined ? messages : [...messages, Cause.die(new DistantCause(cause))]
      runFork(Effect.annotateLogs(Effect.logWithLevel(levelOf(level), ...parts), annotations))
    }
  }
)
