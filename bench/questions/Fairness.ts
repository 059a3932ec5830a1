/**
 * What do small requests wait for beside a large upload? An open loop of them alone, and the same
 * beside curl, which sends one gibibyte after the other through the same two proxies.
 */
import { describeEnd } from "../../test/fixtures/ChildEnd.ts"
import { uploadAgainAndAgain } from "../load/Curl.ts"
import { runOpenLoop } from "../load/OpenLoop.ts"
import { type Pair, type PeerName, rowHead } from "../peers/Peer.ts"
import { pairTools, startField, wantedPeers } from "../peers/Peers.ts"
import { describeWays } from "../peers/Ways.ts"
import { type Bench, casesOf, type Question } from "../Question.ts"
import { figures, type Row } from "../Result.ts"
import { toolOf } from "../Tools.ts"
import { paths } from "../UpstreamPaths.ts"

const MiB = 1024 ** 2

const cases = [
  { name: "20 MiB/s", bytesPerSecond: 20 * MiB },
  { name: "100 MiB/s", bytesPerSecond: 100 * MiB },
  { name: "unlimited", bytesPerSecond: undefined }
] as const

const peers: ReadonlyArray<PeerName> = ["skein", "haproxy", "nginx", "envoy", "node", "direct"]

const load = ({ entry, host }: Pair, seconds: number) =>
  runOpenLoop({
    entry,
    host,
    rate: 500,
    seconds,
    warmUpSeconds: 1,
    connections: 32,
    mix: [{ method: "GET", path: paths.small, bodyBytes: 0 }]
  })

const emptyRow = (name: string, pair: Pair) => ({
  ...rowHead(name, pair),
  rounds: {
    alone50: figures(),
    beside50: figures(),
    alone: figures(),
    beside: figures(),
    raised: figures()
  }
})

const measure = async (
  bench: Bench,
  pair: Pair,
  file: string,
  bytesPerSecond: number | undefined,
  row: ReturnType<typeof emptyRow>
): Promise<void> => {
  const { seconds } = bench.options
  const { entry, host } = pair
  const alone = await load(pair, seconds)
  const curl = toolOf(bench.tools, "curl")
  const url = `http://${entry}${paths.sink}`
  const upload = uploadAgainAndAgain(curl, url, host, file, bytesPerSecond)
  const beside = await load(pair, seconds)
  // It ends by itself only when it has failed.
  const end = upload.ended()
  if (end !== undefined) {
    row.errors++
    bench.say(`${describeEnd(end)}\n`)
  }
  await upload.stop("SIGKILL")
  row.errors += alone.errors + beside.errors
  row.rounds.alone50.push(alone.p50)
  row.rounds.beside50.push(beside.p50)
  row.rounds.alone.push(alone.p99)
  row.rounds.beside.push(beside.p99)
  row.rounds.raised.push(beside.p99 / alone.p99)
}

export const fairness: Question = {
  name: "fairness",
  asks: "What do 500 small requests per second wait for beside a large upload (open loop)?",
  needs: [...pairTools, "curl"],
  reference: "haproxy",
  cases: cases.map(({ name }) => name),
  defaults: { rounds: 5, seconds: 5 },
  threads: "pairs",
  measures: [
    { key: "alone50", label: "alone p50 ms", digits: 2, better: "lower", judged: false },
    { key: "beside50", label: "beside p50 ms", digits: 2, better: "lower", judged: false },
    { key: "alone", label: "alone p99 ms", digits: 2, better: "lower", judged: false },
    { key: "beside", label: "beside p99 ms", digits: 2, better: "lower", judged: 0.2 },
    { key: "raised", label: "p99 raised ×", digits: 1, better: "lower", judged: false }
  ],
  answer: async (bench) => {
    const { rounds, seconds } = bench.options
    const { pairs, absent, upstream } = await startField(
      bench,
      wantedPeers(peers, bench.options.peers)
    )
    const rows: Array<Row> = []
    for (const { name, bytesPerSecond } of casesOf(cases, bench.options.cases)) {
      const all = pairs.map((pair) => ({ pair, row: emptyRow(name, pair) }))
      for (let round = 1; round <= rounds; round++) {
        for (const { pair, row } of all) {
          bench.say(`${name}: round ${round} of ${rounds}, ${pair.label}`)
          await measure(bench, pair, upstream.gibibyteFile, bytesPerSecond, row)
        }
      }
      rows.push(...all.map(({ row }) => row))
    }
    return {
      method: `own open loop of 500 GETs per second beside curl, ${rounds} rounds of ${seconds} s each${describeWays(bench.options)}`,
      rows,
      absent
    }
  }
}
