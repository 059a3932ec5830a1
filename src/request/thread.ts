/**
 * What runs in a request thread: a request plane, and nothing else. It is told by message what it
 * has to know, and ends when it is told to, or with the process.
 */
import { parentPort, workerData } from "node:worker_threads"
import { LoopTicker } from "./LoopTicker.ts"
import type { FromPlane, PlaneSetup, ToPlane } from "./PlaneMessages.ts"
import { RequestPlane } from "./RequestPlane.ts"
import { collectAtRest } from "./RestCollection.ts"

const port = parentPort
if (port === null) throw new Error("this is the code of a thread; `skein up` starts it")

collectAtRest()

/** As RequestThreads.ts has made it. */
const setup: PlaneSetup = workerData
const ticker = new LoopTicker()
const post = (message: FromPlane): void => port.postMessage(message)

const plane = new RequestPlane(setup, {
  ticker,
  post,
  onStopped: () => {
    ticker.stop()
    port.close()
  }
})

ticker.onDefect = plane.onDefect

// Whoever loses its connection comes again at once: not to the port of a thread that is about to end.
process.once("uncaughtExceptionMonitor", () => plane.refuseConnections())

port.on("message", (message: ToPlane) => plane.receive(message))
