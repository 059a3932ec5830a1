/**
 * What does a request wait for at an ordinary rate, and what while the mesh changes? An open loop, so
 * that pauses are not hidden.
 */
import { type Churn, startChurn } from "../churn/Churn.ts"
import { runOpenLoop } from "../load/OpenLoop.ts"
import type { LoopReport } from "../load/OpenLoopReport.ts"
import { type Pair, type PeerName, rowHead } from "../peers/Peer.ts"
import { pairTools, startField, wantedPeers } from "../peers/Peers.ts"
import { describeWays } from "../peers/Ways.ts"
import { type Bench, type BenchOptions, casesOf, type Question } from "../Question.ts"
import { figures, type Row } from "../Result.ts"
import { paths } from "../UpstreamPaths.ts"

interface Case {
  readonly name: string
  /** Requests per second. */
  readonly rate: number
  /** Records that change in the mesh per second, in further rows. */
  readonly changes?: number
  /** Left out of `--quick`, unless it is named. */
  readonly isLong?: boolean
}

/** Those with changes come last: the meshes are larger from then on. */
const cases: ReadonlyArray<Case> = [
  { name: "1000/s", rate: 1_000 },
  { name: "2000/s", rate: 2_000 },
  { name: "1000/s+churn100", rate: 1_000, changes: 100, isLong: true },
  { name: "1000/s+churn1000", rate: 1_000, changes: 1_000 }
]

/** Those that are asked for; and without that, in a hurry, the ones that say most. */
export const wantedCases = ({
  cases: asked,
  quick
}: Pick<BenchOptions, "cases" | "quick">): ReadonlyArray<Case> =>
  casesOf(cases, asked).filter(({ isLong }) => asked !== undefined || !quick || isLong !== true)

const peers: ReadonlyArray<PeerName> = ["direct", "skein", "haproxy", "nginx", "envoy", "node"]

/** Beside the changes: Skein, and of the others what says what the machine makes of them. */
const besideChurn: ReadonlyArray<PeerName> = ["direct", "skein", "haproxy"]

/** Before each measurement. */
const warmUpOf = ({ quick }: BenchOptions): number => (quick ? 0.5 : 1)

const load = ({ entry, host }: Pair, rate: number, seconds: number, options: BenchOptions) =>
  runOpenLoop({
    entry,
    host,
    rate,
    seconds,
    warmUpSeconds: warmUpOf(options),
    connections: 64,
    mix: [{ method: "GET", path: paths.small, bodyBytes: 0 }]
  })

const emptyRow = (name: string, pair: Pair, isChurned: boolean) => ({
  ...rowHead(name, isChurned ? { label: `${pair.label}, churn`, over: pair.label } : pair),
  rounds: {
    p50: figures(),
    p99: figures(),
    p999: figures(),
    late: figures(),
    ...(pair.name === "direct" ? {} : { added: figures() }),
    ...(isChurned ? { changes: figures() } : {})
  }
})

type Figures = ReturnType<typeof emptyRow>

interface Line {
  readonly pair: Pair
  readonly row: Figures
  /** Whose mesh changes meanwhile. */
  readonly churn: Churn | undefined
}

/** Each pair, and where records change, Skein's and HAProxy's a second time beside that. */
const linesOf = (
  { name, changes }: Case,
  pairs: ReadonlyArray<Pair>,
  churns: ReadonlyMap<Pair, Churn>
): ReadonlyArray<Line> => {
  const [any] = churns.values()
  return pairs.flatMap((pair): ReadonlyArray<Line> => {
    const quiet = { pair, row: emptyRow(name, pair, false), churn: undefined }
    if (changes === undefined) return [quiet]
    if (!besideChurn.includes(pair.name)) return []
    if (pair.name === "direct") return [quiet]
    const churn = churns.get(pair) ?? any
    return [quiet, { pair, row: emptyRow(name, pair, true), churn }]
  })
}

const measure = async ({ options, say }: Bench, one: Case, line: Line): Promise<LoopReport> => {
  const { pair, row, churn } = line
  const work = () => load(pair, one.rate, options.seconds, options)
  if (churn === undefined || one.changes === undefined) return work()
  const seconds = options.seconds + warmUpOf(options)
  const [found, { applied, published, cpuShare }] = await churn.during(one.changes, seconds, work)
  say(
    `${published.toFixed(0)} changes/s published, ${applied.toFixed(0)} applied; publishing took ${(cpuShare * 100).toFixed(0)} % of a core\n`
  )
  row.rounds.changes?.push(applied)
  return found
}

const runCase = async (
  bench: Bench,
  pairs: ReadonlyArray<Pair>,
  churns: ReadonlyMap<Pair, Churn>,
  one: Case
): Promise<ReadonlyArray<Row>> => {
  const { rounds, quick } = bench.options
  const lines = linesOf(one, pairs, churns)
  bench.say(`${one.name}: warming up`)
  for (const pair of new Set(lines.map(({ pair }) => pair))) {
    await load(pair, one.rate, quick ? 0.5 : 2, bench.options)
  }
  for (let round = 1; round <= rounds; round++) {
    let direct = 0
    for (const line of lines) {
      const { row, pair } = line
      bench.say(`${one.name}: round ${round} of ${rounds}, ${row.peer}`)
      const found = await measure(bench, one, line)
      row.errors += found.errors
      row.rounds.late.push(found.lateness)
      // Where nothing was answered there is nothing to tell of how long it took.
      if (found.p50 === 0) continue
      // Direct comes first in each round: it is what the others are held against.
      if (pair.name === "direct") direct = found.p50
      row.rounds.added?.push(found.p50 - direct)
      row.rounds.p50.push(found.p50)
      row.rounds.p99.push(found.p99)
      row.rounds.p999.push(found.p999)
    }
  }
  return lines.map(({ row }) => row)
}

/** Each of Skein's meshes gets made-up members of its own. */
const startChurns = async (
  { stack, say }: Bench,
  pairs: ReadonlyArray<Pair>
): Promise<ReadonlyMap<Pair, Churn>> => {
  const churns = new Map<Pair, Churn>()
  for (const pair of pairs) {
    if (pair.nodes === undefined) continue
    say(`making up members for ${pair.label}`)
    const churn = await startChurn(pair.nodes)
    stack.defer(async () => void (await churn.stop()))
    churns.set(pair, churn)
  }
  return churns
}

export const latency: Question = {
  name: "latency",
  asks: "What does a request wait for at 1,000 and 2,000 per second, and while the mesh changes (open loop)?",
  needs: pairTools,
  reference: "haproxy",
  cases: cases.map(({ name }) => name),
  defaults: { rounds: 5, seconds: 10 },
  quick: { rounds: 3, seconds: 2 },
  threads: "pairs",
  measures: [
    { key: "added", label: "p50 ms over direct", digits: 2, better: "lower", judged: false },
    { key: "p50", label: "p50 ms", digits: 2, better: "lower", judged: 0.1 },
    { key: "p99", label: "p99 ms", digits: 2, better: "lower", judged: 0.1 },
    { key: "p999", label: "p99.9 ms", digits: 2, better: "lower", judged: false },
    // Part of every figure to the left: where it is not small, the machine was busy elsewhere.
    { key: "late", label: "sent late ms", digits: 2, better: "lower", judged: false },
    // As both nodes tell; below what was published, they do not keep up.
    { key: "changes", label: "changes/s applied", digits: 0, better: "higher", judged: false }
  ],
  answer: async (bench) => {
    const { rounds, seconds } = bench.options
    const wanted = wantedPeers(peers, bench.options.peers, ["direct"])
    const asked = wantedCases(bench.options)
    const { pairs, absent } = await startField(bench, wanted)
    const rows: Array<Row> = []
    let churns: ReadonlyMap<Pair, Churn> = new Map()
    for (const one of asked) {
      if (one.changes !== undefined && churns.size === 0) churns = await startChurns(bench, pairs)
      rows.push(...(await runCase(bench, pairs, churns, one)))
    }
    return {
      method: `own open loop (latency from the scheduled moment), ${rounds} rounds of ${seconds} s each${describeWays(bench.options)}${churns.size === 0 ? "" : "; churn: so many records per second change of 250 made-up members, / own: over the same without"}`,
      rows,
      absent
    }
  }
}
