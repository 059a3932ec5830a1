/** One thread of a long run: takes ranges of inputs until there are no more. */
import { parentPort } from "node:worker_threads"
import { fuzz } from "./FuzzRun.ts"

export interface Range {
  readonly seed: number
  readonly from: number
  readonly to: number
}

if (parentPort === null) throw new Error("FuzzWorker.ts runs as a worker of main.ts")
const port = parentPort
// Most inputs are refused by an error whose origin nobody asks for; `--only` shows it.
Error.stackTraceLimit = 0
port.on("message", ({ seed, from, to }: Range) => port.postMessage(fuzz(seed, from, to)))
