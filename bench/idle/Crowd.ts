/** Many nodes that have nothing to do, kept and watched by a program of their own. */
import { mkdirSync } from "node:fs"
import { join } from "node:path"
import { Schema } from "effect"
import { lost, start, until } from "../../test/fixtures/Processes.ts"
import type { Network } from "./Network.ts"

export const products = ["skein", "serf"] as const
export type Product = (typeof products)[number]

const Count = Schema.Int.pipe(Schema.nonNegative())

export const CrowdSettings = Schema.Struct({
  product: Schema.Literal(...products),
  nodes: Schema.Int.pipe(Schema.greaterThanOrEqualTo(3)),
  /** Request threads of a Skein node. */
  threads: Schema.Int.pipe(Schema.positive()),
  /** Run Skein from dist/ instead of src/. */
  built: Schema.Boolean,
  /** Path of `serf`. */
  serf: Schema.String,
  /** How often, and for how many seconds, the nodes are watched at rest. */
  rounds: Schema.Int.pipe(Schema.positive()),
  seconds: Schema.Positive,
  /** Between the last one's arrival, as all know of it, and the first look, in seconds. */
  settle: Schema.NonNegative,
  /** How many nodes are killed at the end, one after the other. */
  kills: Count,
  /** Loopback carries what these nodes say, and nothing else. */
  ownNetwork: Schema.Boolean
})
export type CrowdSettings = typeof CrowdSettings.Type

/** Of a node, in the mean over all: what it took while nobody looked. */
export const Window = Schema.Struct({
  /** Of one core. */
  cpuPercent: Schema.NonNegative,
  /** In the median over all, at the end. */
  residentBytes: Schema.NonNegative,
  /** Sent; as many were received. Null: loopback was shared with others. */
  bytesPerSecond: Schema.NullOr(Schema.NonNegative)
})
export type Window = typeof Window.Type

const Seconds = Schema.NullOr(Schema.NonNegative)

/** Since a node was killed; null: not within the time that was given. */
export const KillReport = Schema.Struct({
  /** Until the first of the others suspected it. */
  suspected: Seconds,
  /** Until the first took it for dead. */
  failed: Seconds,
  /** Until all that were watched did. */
  known: Seconds
})
export type KillReport = typeof KillReport.Type

export const CrowdReport = Schema.Struct({
  windows: Schema.Array(Window),
  /** Members that each node called alive after the last window, itself among them. */
  seen: Schema.Array(Count),
  kills: Schema.Array(KillReport)
})
export type CrowdReport = typeof CrowdReport.Type

const program = join(import.meta.dirname, "CrowdProgram.ts")
const encode = Schema.encodeSync(Schema.parseJson(CrowdSettings))
const decode = Schema.decodeSync(Schema.parseJson(CrowdReport))

/** How long nodes are given to take a killed one for dead, and to rest before the next, in seconds. */
export const patience = { kill: 60, between: 5, whole: 120 } as const

/** Seconds beyond which nodes will not come up any more, and beyond which no report will come. */
export const limits = ({ nodes, rounds, seconds, settle, kills }: CrowdSettings) => ({
  ready: patience.whole + settle + 10 * nodes,
  report: 60 + rounds * seconds + kills * (patience.kill + patience.between)
})

export interface Crowd {
  /** Resolves once all nodes know all, and have had time to settle. */
  ready(): Promise<void>
  /** Watches them, then kills some. Once. */
  watch(): Promise<CrowdReport>
  /** Ends them all. */
  stop(): Promise<unknown>
}

/** They begin at once; the directory holds all they write. */
export const startCrowd = (settings: CrowdSettings, network: Network, directory: string): Crowd => {
  mkdirSync(directory, { recursive: true })
  const [command, ...args] = [...network.prefix, process.execPath, program]
  const what = `the program with ${settings.nodes} nodes of ${settings.product}`
  const running = start(command ?? process.execPath, args, {
    // Whatever is made in the temporary directory goes with this one.
    env: { CROWD: encode(settings), TMPDIR: directory },
    what
  })
  const limit = limits(settings)
  const report = () =>
    running
      .output()
      .split("\n")
      .slice(0, -1)
      .find((line) => line.startsWith("{"))
  return {
    ready: async () => {
      const said = () => (running.output().includes("ready\n") ? true : undefined)
      await until(`${what} ready`, said, limit.ready, [running])
    },
    watch: async () => {
      running.child.kill("SIGUSR2")
      await until(`a report of ${what}`, report, limit.report, [running])
      const line = report()
      if (line === undefined) throw lost(running)
      return decode(line)
    },
    stop: () => running.stop("SIGTERM")
  }
}
