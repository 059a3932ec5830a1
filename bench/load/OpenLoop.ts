/** Runs the open loop in a process of its own, so that it shares no thread with the bench. */
import { join } from "node:path"
import { Schema } from "effect"
import { runWell } from "../../test/fixtures/Processes.ts"
import { LoopReport, LoopSettings } from "./OpenLoopReport.ts"

const program = join(import.meta.dirname, "OpenLoopProgram.ts")
const encode = Schema.encodeSync(Schema.parseJson(LoopSettings))
const decode = Schema.decodeSync(Schema.parseJson(LoopReport))

export const runOpenLoop = async (settings: LoopSettings): Promise<LoopReport> => {
  const { stdout } = await runWell(process.execPath, [program], {
    env: { OPEN_LOOP: encode(settings) },
    what: `the open loop to ${settings.entry}`
  })
  return decode(stdout)
}
