/**
 * Starts many nodes of one product, in a process of its own so that they can have a network of their
 * own. Settings come as JSON in CROWD; says `ready` when all know all and have settled; told so by
 * SIGUSR2, watches them in silence and then kills some; writes its report as a line of JSON, and ends
 * with all nodes on SIGTERM, or when whoever started it is gone.
 */
import { readFileSync } from "node:fs"
import { Schema } from "effect"
import { describeEnd } from "../../test/fixtures/ChildEnd.ts"
import { endedUnasked, stopAll, until } from "../../test/fixtures/Processes.ts"
import { CrowdReport, CrowdSettings, type KillReport, patience, type Window } from "./Crowd.ts"
import { parseLoopback } from "./Network.ts"
import { type Nodes, type Sample, windowOf } from "./Nodes.ts"
import { startSerfNodes } from "./SerfNodes.ts"
import { startSkeinNodes } from "./SkeinNodes.ts"

const settings = Schema.decodeSync(Schema.parseJson(CrowdSettings))(process.env["CROWD"] ?? "")
const encode = Schema.encodeSync(Schema.parseJson(CrowdReport))

/** How long nodes are given to go, ms. */
const endWithin = 10_000

const pause = (seconds: number) => new Promise((wake) => setTimeout(wake, seconds * 1_000))

const sample = ({ trees }: Nodes): Sample => {
  const bytes = settings.ownNetwork
    ? parseLoopback(readFileSync("/proc/net/dev", "utf8"))
    : undefined
  return {
    network: bytes === undefined ? undefined : { at: performance.now(), bytes },
    nodes: trees.map((tree) => ({
      cpuMicros: tree.cpuMicros(),
      at: performance.now(),
      residentBytes: tree.residentBytes()
    }))
  }
}

let starting = true

const startNodes = async (): Promise<Nodes> => {
  try {
    return await (settings.product === "skein" ? startSkeinNodes : startSerfNodes)(settings)
  } finally {
    starting = false
  }
}

const work = async (): Promise<void> => {
  const nodes = await startNodes()
  await until(
    `${settings.nodes} nodes of ${settings.product} know each other`,
    async () => {
      const seen = await nodes.seen()
      if (seen.every((count) => count === settings.nodes)) return true
      throw new Error(`they call alive: ${seen.join(" ")}`)
    },
    patience.whole
  )
  await pause(settings.settle)
  const told = new Promise<void>((resolve) => process.once("SIGUSR2", () => resolve()))
  process.stdout.write("ready\n")
  await told
  const windows: Array<Window> = []
  for (let round = 0; round < settings.rounds; round++) {
    const before = sample(nodes)
    await pause(settings.seconds)
    windows.push(windowOf(before, sample(nodes)))
  }
  const seen = await nodes.seen()
  const kills: Array<KillReport> = []
  for (let at = 1; at <= settings.kills; at++) {
    if (at > 1) await pause(patience.between)
    kills.push(await nodes.kill(settings.nodes - at, patience.kill))
  }
  process.stdout.write(`${encode({ windows, seen, kills })}\n`)
}

const parent = process.ppid
const end = Promise.withResolvers<number>()
for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) {
  process.on(signal, () => end.resolve(0))
}
// Who was killed cannot say so.
setInterval(() => process.ppid === parent || end.resolve(1), 1_000)

work().catch((cause: unknown) => {
  console.error(cause instanceof Error ? cause.message : cause)
  // A node that is gone shows as something else that could not be done.
  for (const ended of endedUnasked().slice(-3)) console.error(`before that ${describeEnd(ended)}`)
  end.resolve(1)
})

const code = await end.promise
// Until nothing is left that could start one more.
const deadline = performance.now() + endWithin
while (starting && performance.now() < deadline) {
  await stopAll()
  await pause(0.02)
}
await stopAll()
process.exit(code)
