import { Effect, Logger, LogLevel } from "effect"
import { expect, it } from "vitest"
import { StorageTrouble } from "./StorageTrouble.ts"

const setUp = () => {
  const lines: Array<string> = []
  const logger = Logger.make(({ logLevel, message }) => {
    if (LogLevel.greaterThanEqual(logLevel, LogLevel.Info)) lines.push(String(message))
  })
  const trouble = new StorageTrouble("/data")
  const run = (effect: Effect.Effect<void>) =>
    Effect.runSync(Effect.provide(effect, Logger.replace(Logger.defaultLogger, logger)))
  return { lines, run, trouble }
}

it("tells once that something is wrong, whatever else is, and once that nothing is", () => {
  const { lines, run, trouble } = setUp()
  run(trouble.failed("catalogue", "catalogue.bin: full"))
  run(trouble.failed("catalogue", "catalogue.bin: full"))
  run(trouble.failed("epoch", "catalogue.epoch: full"))
  expect(lines).toEqual([
    "catalogue.bin: full. The node serves on and tries again every few seconds"
  ])
  expect(trouble.problem).toBe("catalogue.bin: full")
  run(trouble.done("catalogue"))
  expect(lines).toHaveLength(1)
  expect(trouble.problem).toBe("catalogue.epoch: full")
  run(trouble.done("epoch"))
  run(trouble.done("epoch"))
  expect(lines.slice(1)).toEqual(["the data directory /data is in order again"])
  expect(trouble.problem).toBeUndefined()
})

it("tells what is wrong with the directory itself, each thing once", () => {
  const { lines, run, trouble } = setUp()
  run(trouble.failed("catalogue", "catalogue.bin: gone"))
  run(trouble.failed("directory", "not mounted"))
  run(trouble.failed("directory", "not mounted"))
  run(trouble.failed("directory", "another node's"))
  expect(lines).toHaveLength(3)
  expect(trouble.problem).toBe("another node's")
})
