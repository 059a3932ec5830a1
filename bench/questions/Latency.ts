/** What does a request wait for at an ordinary rate? An open loop, so that pauses are not hidden. */
import { runOpenLoop } from "../load/OpenLoop.ts"
import type { Pair, PeerName } from "../peers/Peer.ts"
import { pairTools, startField, wantedPeers } from "../peers/Peers.ts"
import { type Bench, casesOf, type Question } from "../Question.ts"
import { figures, type Row } from "../Result.ts"
import { paths } from "../Upstream.ts"

const cases = [
  { name: "1000/s", rate: 1_000 },
  { name: "2000/s", rate: 2_000 }
] as const

const peers: ReadonlyArray<PeerName> = ["direct", "skein", "haproxy", "nginx", "envoy", "node"]

const load = ({ entry, host }: Pair, rate: number, seconds: number) =>
  runOpenLoop({
    entry,
    host,
    rate,
    seconds,
    warmUpSeconds: 1,
    connections: 64,
    mix: [{ method: "GET", path: paths.small, bodyBytes: 0 }]
  })

const emptyRow = (name: string, peer: PeerName) => ({
  case: name,
  peer,
  rounds: {
    p50: figures(),
    p99: figures(),
    p999: figures(),
    late: figures(),
    ...(peer === "direct" ? {} : { added: figures() })
  },
  errors: 0
})

const runCase = async (
  bench: Bench,
  pairs: ReadonlyArray<Pair>,
  { name, rate }: (typeof cases)[number]
): Promise<ReadonlyArray<Row>> => {
  const { rounds, seconds } = bench.options
  bench.say(`${name}: warming up`)
  for (const pair of pairs) await load(pair, rate, 2)
  const rows = pairs.map((pair) => ({ pair, row: emptyRow(name, pair.name) }))
  for (let round = 1; round <= rounds; round++) {
    let direct = 0
    for (const { pair, row } of rows) {
      bench.say(`${name}: round ${round} of ${rounds}, ${pair.name}`)
      const found = await load(pair, rate, seconds)
      // Direct comes first in each round: it is what the others are held against.
      if (pair.name === "direct") direct = found.p50
      row.rounds.added?.push(found.p50 - direct)
      row.rounds.p50.push(found.p50)
      row.rounds.p99.push(found.p99)
      row.rounds.p999.push(found.p999)
      row.rounds.late.push(found.lateness)
      row.errors += found.errors
    }
  }
  return rows.map(({ row }) => row)
}

export const latency: Question = {
  name: "latency",
  asks: "What does a request wait for at 1,000 and 2,000 requests per second (open loop)?",
  needs: pairTools,
  reference: "haproxy",
  cases: cases.map(({ name }) => name),
  defaults: { rounds: 5, seconds: 10 },
  measures: [
    { key: "added", label: "p50 ms over direct", digits: 2, better: "lower", judged: false },
    { key: "p50", label: "p50 ms", digits: 2, better: "lower", judged: 0.1 },
    { key: "p99", label: "p99 ms", digits: 2, better: "lower", judged: 0.1 },
    { key: "p999", label: "p99.9 ms", digits: 2, better: "lower", judged: false },
    // Part of every figure to the left: where it is not small, the machine was busy elsewhere.
    { key: "late", label: "sent late ms", digits: 2, better: "lower", judged: false }
  ],
  answer: async (bench) => {
    const { rounds, seconds } = bench.options
    const wanted = wantedPeers(peers, bench.options.peers, ["direct"])
    const { pairs, absent } = await startField(bench, wanted)
    const rows: Array<Row> = []
    for (const one of casesOf(cases, bench.options.cases)) {
      rows.push(...(await runCase(bench, pairs, one)))
    }
    return {
      method: `own open loop (latency from the scheduled moment), ${rounds} rounds of ${seconds} s each`,
      rows,
      absent
    }
  }
}
