/**
 * Does a node grow? Mixed load for a long time, while endpoints come and go by reload and a peer
 * leaves, dies and returns; memory and handles at the end against minute 5.
 */
import { join } from "node:path"
import { type Host, TestMesh } from "../../test/fixtures/Mesh.ts"
import { until } from "../../test/fixtures/Processes.ts"
import { runOpenLoop } from "../load/OpenLoop.ts"
import { answers, treeOf } from "../peers/Peer.ts"
import { builtProgram, runtimeOf } from "../peers/SkeinPair.ts"
import { describeThreads } from "../peers/Ways.ts"
import type { Bench, Question } from "../Question.ts"
import { figures, type Row } from "../Result.ts"
import { toolOf } from "../Tools.ts"
import { startUpstream, type Upstream } from "../Upstream.ts"
import { paths } from "../UpstreamPaths.ts"

const service = "bench"
/** Per second. */
const rate = 300
/** Compilers and caches have settled by then. */
const settledAfter = 5

const mix = [
  { method: "GET", path: paths.small, bodyBytes: 0 },
  { method: "GET", path: paths.kib16, bodyBytes: 0 },
  { method: "POST", path: paths.small, bodyBytes: 1_024 },
  { method: "GET", path: paths.small, bodyBytes: 0 },
  { method: "POST", path: paths.small, bodyBytes: 65_536 }
] as const

/** host-a calls; host-b and host-c offer. */
interface Field {
  readonly mesh: TestMesh
  readonly a: Host
  readonly b: Host
  readonly c: Host
  readonly upstreams: readonly [Upstream, Upstream]
}

const offer = (upstreams: ReadonlyArray<Upstream>) => [
  { name: service, addresses: upstreams.map(({ address }) => address) }
]

const startMesh = async ({ stack, tools, directory, options }: Bench): Promise<Field> => {
  const nginx = toolOf(tools, "nginx")
  const upstreams = [
    await startUpstream(nginx, join(directory, "upstream-1")),
    await startUpstream(nginx, join(directory, "upstream-2"))
  ] as const
  stack.defer(async () => void (await Promise.all(upstreams.map((it) => it.stop()))))
  const mesh = new TestMesh()
  stack.defer(() => mesh.stop())
  const shipped = {
    runtime: runtimeOf(options.threads?.[0]),
    ...(options.built ? { program: builtProgram() } : {})
  }
  const a = await mesh.first("host-a", shipped)
  const b = await mesh.join("host-b", { ...shipped, services: offer(upstreams) })
  const c = await mesh.join("host-c", { ...shipped, services: offer(upstreams) })
  const programs = [a.process, b.process, c.process].filter((it) => it !== undefined)
  await answers("the mesh", a.proxy, `${service}.mesh`, programs)
  return { mesh, a, b, c, upstreams }
}

/** host-b offers the first upstream alone, then both again. */
const churnEndpoints = async ({ b, upstreams }: Field, step: number): Promise<void> => {
  b.options = {
    ...b.options,
    services: offer(step % 2 === 0 ? upstreams.slice(0, 1) : upstreams)
  }
  b.writeConfig()
  b.process?.child.kill("SIGHUP")
}

/** host-c goes, by turns with and without a word, and comes back. */
const churnPeer = async ({ c }: Field, step: number): Promise<void> => {
  await (step % 2 === 0 ? c.stop() : c.kill())
  await c.up()
  await until("host-c serves again", async () => ((await c.api("status")) ? true : undefined))
}

const emptyRow = (host: string) => ({
  case: host,
  peer: "skein",
  rounds: { memory: figures(), handles: figures(), grown: figures(), more: figures() },
  errors: 0
})

/** Of all minutes the last, and what grew in them since the settled one (counted from 0). */
export const conclude = (row: ReturnType<typeof emptyRow>, settled: number): Row => {
  const { memory, handles } = row.rounds
  const last = memory.length - 1
  const from = Math.min(settled, last)
  return {
    ...row,
    rounds: {
      memory: memory.slice(last),
      handles: handles.slice(last),
      grown: [(memory[last] ?? 0) - (memory[from] ?? 0)],
      more: [(handles[last] ?? 0) - (handles[from] ?? 0)]
    }
  }
}

export const soak: Question = {
  name: "soak",
  asks: "Does a node grow under mixed load for 30 minutes, with endpoints and peers coming and going?",
  needs: ["nginx"],
  cases: ["host-a", "host-b"],
  defaults: { rounds: 1, seconds: 1 },
  threads: "node",
  measures: [
    { key: "memory", label: "MB at the end", digits: 0, better: "lower", judged: 0.15 },
    { key: "grown", label: "MB since settled", digits: 1, better: "lower", judged: false },
    { key: "handles", label: "handles at the end", digits: 0, better: "lower", judged: 0.15 },
    { key: "more", label: "since settled", digits: 0, better: "lower", judged: false }
  ],
  answer: async (bench) => {
    const { minutes, quick, threads } = bench.options
    const field = await startMesh(bench)
    const { a, b } = field
    const rows = [a, b].map((host) => {
      if (host.process === undefined) throw new Error(`${host.name} does not run`)
      return { tree: treeOf(host.process), row: emptyRow(host.name) }
    })
    const entry = { entry: a.proxy, host: `${service}.mesh` }
    const seconds = quick ? 10 : 60
    let requests = 0
    for (let minute = 1; minute <= minutes; minute++) {
      // Load and churn run beside each other; the minute is over when both are.
      const [report] = await Promise.all([
        runOpenLoop({ ...entry, rate, seconds, warmUpSeconds: 0, connections: 64, mix }),
        churnEndpoints(field, minute).then(() => churnPeer(field, minute))
      ])
      requests += report.requests
      for (const { tree, row } of rows) {
        row.rounds.memory.push(tree.residentBytes() / 1e6)
        row.rounds.handles.push(tree.handles())
        const at = row.rounds.memory.length - 1
        bench.say(
          `minute ${minute}, ${row.case}: ${row.rounds.memory[at]?.toFixed(0)} MB, ${row.rounds.handles[at]} handles`
        )
      }
      bench.say(`minute ${minute}: p99 ${report.p99.toFixed(1)} ms, ${report.errors} failed`)
      const [caller] = rows
      if (caller !== undefined) caller.row.errors += report.errors
    }
    const settled = Math.min(settledAfter, Math.ceil(minutes / 2))
    return {
      method: `${requests} requests in ${minutes} rounds of ${seconds} s, settled after ${settled}; each with a reload of host-b's endpoints and a restart of host-c, every other one by SIGKILL${describeThreads(threads)}`,
      rows: rows.map(({ row }) => conclude(row, settled - 1)),
      absent: []
    }
  }
}
