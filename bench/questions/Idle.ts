/** What does a node cost that has nothing to do, and does that grow with the mesh? */
import { join } from "node:path"
import { type CrowdReport, type Product, products, startCrowd } from "../idle/Crowd.ts"
import { findNetwork, type Network } from "../idle/Network.ts"
import { describeThreads } from "../peers/Ways.ts"
import { type Bench, casesOf, type Question } from "../Question.ts"
import { figures, type Row } from "../Result.ts"
import { median } from "../Statistics.ts"
import { toolOf } from "../Tools.ts"

/** In seconds: what a join leaves behind has been done by then, and compilers have become quiet. */
const settle = 20

const usualNodes = [3, 16, 30]

const caseOf = (nodes: number) => ({ name: `nodes-${nodes}`, nodes })

const emptyRow = (name: string, product: Product) => ({
  case: name,
  peer: product,
  rounds: {
    cpu: figures(),
    memory: figures(),
    grown: figures(),
    bytes: figures(),
    seen: figures(),
    suspected: figures(),
    failed: figures(),
    known: figures()
  },
  errors: 0
})

const isKnown = (value: number | null): value is number => value !== null

/** Errors are nodes that do not see all others, and kills that somebody has not seen. */
export const rowOf = (
  name: string,
  product: Product,
  nodes: number,
  { windows, seen, kills }: CrowdReport
): Row => {
  const row = emptyRow(name, product)
  row.rounds.cpu.push(...windows.map(({ cpuPercent }) => cpuPercent))
  row.rounds.memory.push(...windows.map(({ residentBytes }) => residentBytes / 1e6))
  row.rounds.bytes.push(
    ...windows.flatMap(({ bytesPerSecond: bytes }) => (isKnown(bytes) ? [bytes / 1_000] : []))
  )
  row.rounds.seen.push(Math.min(...seen))
  for (const key of ["suspected", "failed", "known"] as const) {
    row.rounds[key].push(...kills.map((kill) => kill[key]).filter(isKnown))
  }
  const blind = seen.filter((count) => count !== nodes).length
  const unseen = kills.filter(({ known }) => known === null).length
  return { ...row, errors: blind + unseen }
}

/** Memory over that of the same product's first row, which has the fewest nodes. */
export const withGrowth = (rows: ReadonlyArray<Row>): ReadonlyArray<Row> =>
  rows.map((row) => {
    const first = rows.find(({ peer }) => peer === row.peer)?.rounds["memory"] ?? []
    const grown = median(row.rounds["memory"] ?? []) / median(first)
    return { ...row, rounds: { ...row.rounds, grown: Number.isFinite(grown) ? [grown] : [] } }
  })

/** As many as rounds, but two stay. */
export const killsOf = (nodes: number, rounds: number): number => Math.min(rounds, nodes - 2)

const measure = async (
  { options, tools, directory, stack, say }: Bench,
  network: Network,
  { name, nodes }: ReturnType<typeof caseOf>
): Promise<ReadonlyArray<Row>> => {
  const { rounds, seconds, threads, built } = options
  say(`${name}: starting them`)
  const crowds = products.map((product) => {
    const settings = {
      product,
      nodes,
      threads: threads?.[0] ?? 1,
      built,
      serf: toolOf(tools, "serf"),
      rounds,
      seconds,
      settle,
      kills: killsOf(nodes, rounds),
      ownNetwork: network.own
    }
    const crowd = startCrowd(settings, network, join(directory, name, product))
    stack.defer(async () => void (await crowd.stop()))
    return { product, crowd }
  })
  await Promise.all(crowds.map(({ crowd }) => crowd.ready()))
  say(`${name}: ${rounds} rounds of ${seconds} s, then the kills`)
  // The same seconds for both: what else the machine does then, it does to both.
  const reports = await Promise.all(
    crowds.map(async ({ product, crowd }) => rowOf(name, product, nodes, await crowd.watch()))
  )
  await Promise.all(crowds.map(({ crowd }) => crowd.stop()))
  return reports
}

export const idle: Question = {
  name: "idle",
  asks: "What does a node at rest cost among 3, 16 and 30, and how soon is one missed that is killed?",
  needs: ["serf"],
  reference: "serf",
  cases: usualNodes.map((nodes) => caseOf(nodes).name),
  defaults: { rounds: 3, seconds: 20, nodes: usualNodes },
  quick: { rounds: 1, seconds: 10, nodes: [3, 16] },
  threads: "node",
  measures: [
    { key: "cpu", label: "% of a core", digits: 2, better: "lower", judged: 0.15 },
    { key: "memory", label: "MB", digits: 0, better: "lower", judged: 0.1 },
    { key: "grown", label: "MB / fewest", digits: 2, better: "lower", judged: false },
    { key: "bytes", label: "kB/s sent", digits: 2, better: "lower", judged: 0.15 },
    { key: "seen", label: "members seen", digits: 0, better: "higher", judged: false },
    { key: "suspected", label: "suspected s", digits: 1, better: "lower", judged: false },
    { key: "failed", label: "dead s", digits: 1, better: "lower", judged: false },
    { key: "known", label: "to all s", digits: 1, better: "lower", judged: false }
  ],
  answer: async (bench) => {
    const { nodes, cases, rounds, seconds, threads } = bench.options
    const network = await findNetwork()
    const rows: Array<Row> = []
    // Upwards, whatever the order in which they were said: growth is over the fewest.
    const all = [...nodes].sort((a, b) => a - b).map(caseOf)
    for (const one of casesOf(all, cases)) rows.push(...(await measure(bench, network, one)))
    const own = network.own ? "" : `; no kB/s, for want of a network namespace: ${network.why}`
    return {
      method: `per node; nodes of both products at rest side by side, watched for ${seconds} s, ${rounds} rounds, ${settle} s after all knew all; then some killed, one after the other${describeThreads(threads ?? [1])}${own}`,
      rows: withGrowth(rows),
      absent: []
    }
  }
}
