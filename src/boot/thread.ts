/** A request thread of a node that the command runs, with the code that others of them have compiled. */
import { workerData } from "node:worker_threads"
import type { PlaneSetup } from "../request/PlaneMessages.ts"
import { runProgram } from "./KeptCode.ts"
import { programs } from "./Programs.ts"

/** As RequestThreads.ts has made it. */
const { index }: PlaneSetup = workerData
// One for all: they run the same, and would be at it in the same moment.
runProgram(new URL(`./${programs.request}`, import.meta.url), { keeps: index === 0 })
