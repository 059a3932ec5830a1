/** What does an HTTP request cost? Processor time of both proxies per request, and throughput. */

import { type Load, runWrk } from "../load/Wrk.ts"
import { type Pair, type PeerName, rowHead } from "../peers/Peer.ts"
import { pairTools, startField, wantedPeers } from "../peers/Peers.ts"
import { describeWays } from "../peers/Ways.ts"
import { type Bench, casesOf, type Question } from "../Question.ts"
import { figures, type Row } from "../Result.ts"
import { toolOf } from "../Tools.ts"
import { paths } from "../UpstreamPaths.ts"

/** What a browser sends beside Host. */
const browser: ReadonlyArray<readonly [string, string]> = [
  ["User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"],
  ["Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"],
  ["Accept-Language", "en-US,en;q=0.5"],
  ["Accept-Encoding", "gzip, deflate, br, zstd"],
  ["Referer", "http://shop.example/catalogue?page=2"],
  ["Cookie", "session=0123456789abcdef0123456789abcdef; theme=dark; consent=all"],
  ["DNT", "1"],
  ["Sec-Fetch-Mode", "navigate"],
  ["Cache-Control", "no-cache"]
]

interface Case extends Load {
  readonly name: string
}

const cases: ReadonlyArray<Case> = [
  { name: "get-64", path: paths.small, connections: 64 },
  { name: "get-1", path: paths.small, connections: 1 },
  { name: "get-512", path: paths.small, connections: 512 },
  { name: "headers-64", path: paths.small, connections: 64, headers: browser },
  { name: "post-1k-64", path: paths.small, connections: 64, method: "POST", bodyBytes: 1_024 },
  { name: "16k-64", path: paths.kib16, connections: 64 },
  { name: "1m-16", path: paths.mib1, connections: 16 }
]

const peers: ReadonlyArray<PeerName> = ["skein", "haproxy", "nginx", "envoy", "node", "direct"]

const emptyRow = (name: string, pair: Pair) => ({
  ...rowHead(name, pair),
  rounds: {
    ...(pair.sides === undefined ? {} : { cpu: figures(), client: figures() }),
    rate: figures(),
    p50: figures(),
    p99: figures()
  }
})

/** One round of one pair: what wrk saw, and what both sides' processes spent on it. */
const measure = async (
  bench: Bench,
  pair: Pair,
  load: Load,
  row: ReturnType<typeof emptyRow>
): Promise<void> => {
  const { sides, entry, host } = pair
  const cpu = () => ({
    client: sides?.client.cpuMicros() ?? 0,
    server: sides?.server.cpuMicros() ?? 0
  })
  const before = cpu()
  const wrk = toolOf(bench.tools, "wrk")
  const found = await runWrk(load, { wrk, entry, host, seconds: bench.options.seconds })
  const after = cpu()
  const client = (after.client - before.client) / found.requests
  row.rounds.client?.push(client)
  row.rounds.cpu?.push(client + (after.server - before.server) / found.requests)
  row.rounds.rate.push(found.requests / found.seconds)
  row.rounds.p50.push(found.p50)
  row.rounds.p99.push(found.p99)
  row.errors += found.errors
}

/** Connections, compiler and caches get warm; not counted. */
const warm = async (bench: Bench, pairs: ReadonlyArray<Pair>, load: Load): Promise<void> => {
  const wrk = toolOf(bench.tools, "wrk")
  const seconds = bench.options.quick ? 2 : 4
  for (const { entry, host } of pairs) await runWrk(load, { wrk, entry, host, seconds })
}

const runCase = async (
  bench: Bench,
  pairs: ReadonlyArray<Pair>,
  load: Case
): Promise<ReadonlyArray<Row>> => {
  const { rounds } = bench.options
  bench.say(`${load.name}: warming up`)
  await warm(bench, pairs, load)
  const rows = pairs.map((pair) => ({ pair, row: emptyRow(load.name, pair) }))
  for (let round = 1; round <= rounds; round++) {
    for (const { pair, row } of rows) {
      bench.say(`${load.name}: round ${round} of ${rounds}, ${pair.label}`)
      await measure(bench, pair, load, row)
    }
  }
  return rows.map(({ row }) => row)
}

export const http: Question = {
  name: "http",
  asks: "What does an HTTP request cost: CPU of both proxies, throughput, latency under full load?",
  needs: [...pairTools, "wrk"],
  reference: "haproxy",
  cases: cases.map(({ name }) => name),
  defaults: { rounds: 5, seconds: 3 },
  threads: "pairs",
  measures: [
    { key: "cpu", label: "CPU µs/request", digits: 1, better: "lower", judged: 0.03 },
    { key: "client", label: "client side", digits: 1, better: "lower", judged: false },
    { key: "rate", label: "requests/s", digits: 0, better: "higher", judged: false },
    { key: "p50", label: "p50 ms", digits: 2, better: "lower", judged: false },
    { key: "p99", label: "p99 ms", digits: 2, better: "lower", judged: false }
  ],
  answer: async (bench) => {
    const { rounds, seconds } = bench.options
    const { pairs, absent } = await startField(bench, wantedPeers(peers, bench.options.peers))
    const rows: Array<Row> = []
    for (const load of casesOf(cases, bench.options.cases)) {
      rows.push(...(await runCase(bench, pairs, load)))
    }
    return {
      method: `wrk with 1 thread, nginx answering, ${rounds} rounds of ${seconds} s each${describeWays(bench.options)}`,
      rows,
      absent
    }
  }
}
