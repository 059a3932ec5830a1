/** Many connections at once, held by a process of their own. */
import { join } from "node:path"
import { Schema } from "effect"
import { lost, start, until } from "../../test/fixtures/Processes.ts"

export const HolderSettings = Schema.Struct({
  /** host:port */
  entry: Schema.String,
  host: Schema.String,
  connections: Schema.Int.pipe(Schema.positive()),
  /** Of each request's head; 0: silent after the first answer. */
  pieces: Schema.NonNegativeInt,
  /** Between two pieces. */
  everyMs: Schema.Positive
})
export type HolderSettings = typeof HolderSettings.Type

export const HolderReport = Schema.Struct({
  open: Schema.Int,
  answered: Schema.NonNegativeInt,
  /** Answers other than 200, and connections that were closed on us. */
  errors: Schema.NonNegativeInt
})
export type HolderReport = typeof HolderReport.Type

const program = join(import.meta.dirname, "HolderProgram.ts")
const encode = Schema.encodeSync(Schema.parseJson(HolderSettings))
const decode = Schema.decodeSync(Schema.parseJson(HolderReport))

export interface Holder {
  /** Lets all go and says how they fared. */
  release(): Promise<HolderReport>
}

/** Resolves when all connections are open and have had an answer. */
export const holdConnections = async (settings: HolderSettings): Promise<Holder> => {
  const running = start(process.execPath, [program], {
    env: { HOLDER: encode(settings) },
    what: `the holder of ${settings.connections} connections to ${settings.entry}`
  })
  await until(
    `${settings.connections} connections to ${settings.entry}`,
    () => (running.output().includes("ready\n") ? true : undefined),
    60,
    [running]
  )
  return {
    release: async () => {
      await running.stop("SIGTERM")
      const report = running
        .output()
        .split("\n")
        .find((line) => line.startsWith("{"))
      if (report === undefined) throw lost(running)
      return decode(report)
    }
  }
}
