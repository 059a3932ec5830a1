/** Runs the open loop in a process of its own, so that it shares no thread with the bench. */
import { join } from "node:path"
import { Schema } from "effect"
import { run } from "../../test/fixtures/Processes.ts"
import { LoopReport, LoopSettings } from "./OpenLoopReport.ts"

const program = join(import.meta.dirname, "OpenLoopProgram.ts")
const encode = Schema.encodeSync(Schema.parseJson(LoopSettings))
const decode = Schema.decodeSync(Schema.parseJson(LoopReport))

export const runOpenLoop = async (settings: LoopSettings): Promise<LoopReport> => {
  const { code, stdout, stderr } = await run(process.execPath, [program], {
    env: { OPEN_LOOP: encode(settings) }
  })
  if (code !== 0)
    throw new Error(`the open loop to ${settings.entry} ended with ${code}: ${stderr}`)
  return decode(stdout)
}
