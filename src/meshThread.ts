/**
 * What runs in the mesh thread of a program's node: a whole node but for the plane that carries the
 * program's calls, which is in the program's thread (node/MeshThread.ts starts this one). It ends when
 * it is told to, or with the program.
 */
import { parentPort, workerData } from "node:worker_threads"
import { Cause, Effect, Exit, Fiber, Logger, LogLevel } from "effect"
import { besideInput } from "./node/BesideIdentity.ts"
import type { MeshStart } from "./node/NodeMessages.ts"
import { ProgramPort } from "./node/ProgramPort.ts"
import type { StartError } from "./node/StartError.ts"
import { runNode } from "./node.ts"
import { collectAtRest } from "./request/RestCollection.ts"

const port = parentPort
if (port === null) throw new Error("this is the code of a thread; SkeinNode.layer starts it")

collectAtRest()

/** As node/MeshThread.ts has made it. */
const start: MeshStart = workerData
const program = new ProgramPort(port, start)

const node = Effect.gen(function* () {
  const running = yield* runNode({
    ...(yield* besideInput(start)),
    program: program.side,
    programs: start.programs,
    askActors: program.askActors,
    restarts: start.restarts,
    lock: program.lock,
    onReloaded: (config) => program.post({ type: "reloaded", config })
  })
  yield* program.serve(running)
  if (start.draining) yield* Effect.forkScoped(Effect.ignore(running.source.drain))
  const { addresses, admin, attach, listening, mesh, name, names, peer, proxy } = running
  program.post({
    type: "started",
    facts: {
      ...{ name, peer, mesh, listening, addresses, admin, proxy, names, attach },
      threads: running.threads,
      drainDeadline: running.drainDeadline()
    }
  })
  yield* running.ready
  program.post({ type: "met" })
  // One that has left still answers; one that cannot go on is begun anew.
  return yield* Effect.zipRight(running.stopped, Effect.never)
}).pipe(
  Effect.scoped,
  Logger.withMinimumLogLevel(
    LogLevel.allLevels.find(({ ordinal }) => ordinal >= start.logFrom) ?? LogLevel.None
  ),
  Effect.provide(Logger.replace(Logger.defaultLogger, program.log.logger))
)

const told = (cause: Cause.Cause<StartError>) => {
  const failure = Cause.failureOption(cause)
  if (failure._tag === "Some") {
    const { cause: below, code, message } = failure.value
    const text = below instanceof Error ? (below.stack ?? below.message) : below
    return { code, message, cause: text === undefined ? undefined : String(text) }
  }
  const message = `the node broke while it started: ${Cause.pretty(cause)}`
  return { code: "defect", message, cause: undefined }
}

const fiber = Effect.runFork(node)
program.onStop = () => void Effect.runFork(Fiber.interrupt(fiber))
fiber.addObserver((exit) => {
  if (Exit.isFailure(exit) && !Cause.isInterruptedOnly(exit.cause)) {
    program.post({ type: "failed", failure: told(exit.cause) })
  }
  program.post({ type: "ended" })
})
