/**
 * An invite token, from wherever it was said. It is a secret: what stands in a command line is in the list
 * of processes, so there are other ways, and what stood there is written over as soon as it is read.
 */
import { closeSync, openSync, readSync } from "node:fs"
import { Config, Effect, Option } from "effect"
import { fileReasonOf } from "../model/Reason.ts"
import { type CommandFailed, failCommand, wrongUsage } from "./CommandFailed.ts"

/** More than any token has. */
const maxBytes = 64 * 1024

const standardInput = 0

const codeOf = (cause: unknown): string =>
  cause instanceof Error && "code" in cause ? String(cause.code) : String(cause)

/** To the end of what there is, as far as a token can be long. */
const readAll = (file: number): string => {
  const bytes = Buffer.alloc(maxBytes)
  let size = 0
  while (size < maxBytes) {
    const more = readSome(file, bytes, size)
    if (more === 0) break
    size += more
  }
  return bytes.subarray(0, size).toString("utf8").trim()
}

/** A pipe that its other end has made non-blocking may have nothing yet. */
const readSome = (file: number, bytes: Buffer, at: number): number => {
  for (;;) {
    try {
      return readSync(file, bytes, at, maxBytes - at, null)
    } catch (cause) {
      if (codeOf(cause) !== "EAGAIN") throw cause
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10)
    }
  }
}

const readFrom = (path: string): Effect.Effect<string, CommandFailed> =>
  Effect.suspend(() => {
    const what = path === "-" ? "standard input" : path
    try {
      const file = path === "-" ? standardInput : openSync(path, "r")
      try {
        const text = readAll(file)
        if (text !== "") return Effect.succeed(text)
      } finally {
        if (file !== standardInput) closeSync(file)
      }
      return failCommand(`there is no token in ${what}`)
    } catch (cause) {
      return failCommand(`the token cannot be read from ${what}: ${fileReasonOf(cause)}`)
    }
  })

/** On Linux this writes over the arguments as others see them, as far as there is room. */
const hideArguments: Effect.Effect<void> = Effect.sync(() => {
  process.title = "skein"
})

/** Programs that this one starts need not know it. */
const takeFromEnvironment = Effect.map(
  Effect.orDie(Config.option(Config.nonEmptyString("SKEIN_TOKEN"))),
  (token) => {
    delete process.env["SKEIN_TOKEN"]
    return Option.map(token, (text) => text.trim())
  }
)

/** The token, if one was said: in the command line, in a file or on standard input, as SKEIN_TOKEN. */
export const joinToken = (choice: {
  readonly join: Option.Option<string>
  readonly tokenFile: Option.Option<string>
}): Effect.Effect<string | undefined, CommandFailed> =>
  Effect.gen(function* () {
    const environment = yield* takeFromEnvironment
    if (Option.isSome(choice.join) && Option.isSome(choice.tokenFile)) {
      return yield* wrongUsage("say the token once: in the command line or with --token-file")
    }
    if (Option.isSome(choice.tokenFile)) return yield* readFrom(choice.tokenFile.value)
    if (Option.isNone(choice.join)) return Option.getOrUndefined(environment)
    yield* hideArguments
    return choice.join.value
  })
