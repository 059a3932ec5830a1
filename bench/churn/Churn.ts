/** Records that change in a mesh while something else is measured, by a process of their own. */
import { join } from "node:path"
import { Schema } from "effect"
import type { Host } from "../../test/fixtures/Mesh.ts"
import { freePort, start, until } from "../../test/fixtures/Processes.ts"
import { madeUpName } from "./MadeUpMembers.ts"

export const ChurnSettings = Schema.Struct({
  /** Of a node that holds the mesh's root key: it lets the made-up members in. */
  dataDir: Schema.String,
  /** The nodes whose catalogues are to change. */
  nodes: Schema.NonEmptyArray(
    Schema.Struct({ peer: Schema.String, addresses: Schema.Array(Schema.String) })
  ),
  members: Schema.Int.pipe(Schema.positive()),
  /** Where the program takes its orders, on 127.0.0.1. */
  port: Schema.Int.pipe(Schema.positive())
})
export type ChurnSettings = typeof ChurnSettings.Type

/** An order, one at a time. */
export const ChurnOrder = Schema.Union(
  /** Has so many changes signed and ready, so that this is not done while they are published. */
  Schema.Struct({ do: Schema.Literal("sign"), changes: Schema.Int.pipe(Schema.positive()) }),
  Schema.Struct({ do: Schema.Literal("publish"), perSecond: Schema.Positive }),
  Schema.Struct({ do: Schema.Literal("stop") })
)
export type ChurnOrder = typeof ChurnOrder.Type

export const ChurnReport = Schema.Struct({
  /** Since `publish`. */
  published: Schema.NonNegativeInt,
  /** From then until now, or until all that was signed was published. */
  seconds: Schema.NonNegative,
  /** Processor time that publishing took meanwhile, of one core. */
  cpuShare: Schema.NonNegative
})
export type ChurnReport = typeof ChurnReport.Type

/** Of the node's answers, what is needed here. */
const Status = Schema.Struct({ peer: Schema.String, addresses: Schema.Array(Schema.String) })
const Members = Schema.Array(
  Schema.Struct({
    node: Schema.String,
    state: Schema.String,
    record: Schema.NullOr(Schema.Struct({ version: Schema.Int }))
  })
)
export type Members = typeof Members.Type

const program = join(import.meta.dirname, "ChurnProgram.ts")
const encodeSettings = Schema.encodeSync(Schema.parseJson(ChurnSettings))
const encodeOrder = Schema.encodeSync(Schema.parseJson(ChurnOrder))
const decodeReport = Schema.decodeSync(Schema.parseJson(ChurnReport))
const decodeStatus = Schema.decodeUnknownSync(Status)
const decodeMembers = Schema.decodeUnknownSync(Members)

/** A few hundred: each then changes a few times a second, as fast as an owner would tell. */
const memberCount = 250

/** Signed beyond what a measurement should need, in seconds of it: programs start slowly at times. */
const reserve = 8

/** Nothing is on its way any more when catalogues stay as they are for so long, ms. */
const stillFor = 500
/** Nodes that have not come to rest by then are taken as they are, ms. */
const longestSettling = 30_000

export interface Found {
  /** Made-up members whose record is here, and who lives. */
  readonly known: number
  readonly alive: number
  /** Of all their versions: grows by one with each change that the node has taken in. */
  readonly versions: number
}

/** What a node says of the made-up members. */
export const countMadeUp = (members: Members): Found => {
  const found = members.filter(({ node, record }) => node.startsWith(madeUpName) && record !== null)
  return {
    known: found.length,
    alive: found.filter(({ state }) => state === "alive").length,
    versions: found.reduce((sum, { record }) => sum + (record?.version ?? 0), 0)
  }
}

export interface During {
  /** Changes per second that all nodes have taken in: what the slowest of them has. */
  readonly applied: number
  /** Changes per second that were published. */
  readonly published: number
  readonly cpuShare: number
}

export interface Churn {
  /** Changes `perSecond` from when they run until `work` is done, which takes some `seconds`. */
  during<A>(
    perSecond: number,
    seconds: number,
    work: () => Promise<A>
  ): Promise<readonly [A, During]>
  stop(): Promise<unknown>
}

/** Resolves once all made-up members are known to the nodes, the first of which founded the mesh. */
export const startChurn = async (nodes: ReadonlyArray<Host>): Promise<Churn> => {
  const [founder, ...others] = nodes
  if (founder === undefined) throw new Error("there is no node whose mesh could change")
  const port = await freePort()
  const read = async (node: Host) => decodeStatus(await node.api("status"))
  const settings = {
    dataDir: founder.dataDir,
    nodes: [await read(founder), ...(await Promise.all(others.map(read)))] as const,
    members: memberCount,
    port
  }
  const running = start(process.execPath, [program], {
    env: { CHURN: encodeSettings(settings) },
    what: "the program whose records change"
  })
  const look = () =>
    Promise.all(nodes.map(async (node) => countMadeUp(decodeMembers(await node.api("members")))))
  const order = async (body: ChurnOrder): Promise<ChurnReport> => {
    const answer = await fetch(`http://127.0.0.1:${port}/`, {
      method: "POST",
      body: encodeOrder(body)
    })
    const text = await answer.text()
    if (answer.ok) return decodeReport(text)
    throw new Error(`the program whose records change cannot ${body.do}: ${text}`)
  }
  const programs = [running, ...nodes.flatMap((node) => node.process ?? [])]
  await until(
    `${memberCount} made-up members known to ${nodes.length} nodes`,
    async () => {
      if (!running.output().includes("ready\n")) return undefined
      const found = await look()
      if (found.every(({ alive }) => alive === memberCount)) return true
      const each = found.map(({ known, alive }) => `${known} known, ${alive} alive`)
      throw new Error(each.join("; "))
    },
    60,
    programs
  )
  /** What is on its way, or waits in a node that does not keep up, would burden what comes next. */
  const settle = async (): Promise<void> => {
    const deadline = performance.now() + longestSettling
    let last = ""
    while (performance.now() < deadline) {
      const now = JSON.stringify(await look())
      if (now === last) return
      last = now
      await new Promise((wake) => setTimeout(wake, stillFor))
    }
  }
  return {
    during: async (perSecond, seconds, work) => {
      await order({ do: "sign", changes: Math.ceil(perSecond * (seconds + reserve)) })
      const before = await look()
      const began = performance.now()
      await order({ do: "publish", perSecond })
      let report: ChurnReport
      let found: { readonly done: Awaited<ReturnType<typeof work>>; readonly after: typeof before }
      let elapsed: number
      try {
        found = { done: await work(), after: await look() }
        elapsed = (performance.now() - began) / 1_000
      } finally {
        report = await order({ do: "stop" })
      }
      await settle()
      const each = found.after.map(({ versions }, i) => versions - (before[i]?.versions ?? 0))
      return [
        found.done,
        {
          // Work that took much longer than it was to outlasts what was signed for it.
          applied: Math.min(...each) / Math.min(elapsed, report.seconds),
          published: report.published / report.seconds,
          cpuShare: report.cpuShare
        }
      ]
    },
    stop: () => running.stop()
  }
}
