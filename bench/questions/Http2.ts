/**
 * What does a request of HTTP/2 cost, and what a unary call of gRPC? Processor time of both proxies and
 * throughput on the same streams per connection; what a call waits for at a fixed rate.
 */
import { grpcCalls, runH2load, type StreamLoad } from "../load/H2load.ts"
import { type Pair, type PeerName, rowHead } from "../peers/Peer.ts"
import { pairTools, startField, wantedPeers } from "../peers/Peers.ts"
import type { Speech } from "../peers/Speech.ts"
import { describeWays } from "../peers/Ways.ts"
import { type Bench, casesOf, type Question } from "../Question.ts"
import { figures, type Row } from "../Result.ts"
import { toolOf } from "../Tools.ts"
import { paths, sizeOf } from "../UpstreamPaths.ts"

interface Case extends StreamLoad {
  readonly name: string
}

const get = (path: string, connections: number, streams: number): StreamLoad => ({
  ...{ path, connections, streams, answerBytes: sizeOf(path) }
})

/** Connections and streams on each. */
const http2Cases: ReadonlyArray<Case> = [
  { name: "get-8x8", ...get(paths.small, 8, 8) },
  { name: "get-1x1", ...get(paths.small, 1, 1) },
  { name: "get-4x32", ...get(paths.small, 4, 32) },
  { name: "post-1k-8x8", ...get(paths.small, 8, 8), body: Buffer.alloc(1_024, "x") },
  { name: "16k-8x8", ...get(paths.kib16, 8, 8) }
]

const grpcCases: ReadonlyArray<Case> = [
  { name: "unary-8x8", ...grpcCalls({ connections: 8, streams: 8 }) },
  { name: "unary-1x1", ...grpcCalls({ connections: 1, streams: 1 }) },
  { name: "unary-4x32", ...grpcCalls({ connections: 4, streams: 32 }) },
  { name: "1000/s", ...grpcCalls({ connections: 8, streams: 32, rate: 1_000 }) },
  { name: "2000/s", ...grpcCalls({ connections: 8, streams: 32, rate: 2_000 }) }
]

/** node:http2 as a proxy is in ARCHITECTURE.md; here the peers are those that one would run. */
const peers: ReadonlyArray<PeerName> = ["skein", "haproxy", "nginx", "envoy", "direct"]

const emptyRow = (name: string, pair: Pair) => ({
  ...rowHead(name, pair),
  rounds: {
    ...(pair.sides === undefined ? {} : { cpu: figures(), client: figures() }),
    rate: figures(),
    p50: figures(),
    p99: figures()
  }
})

const load = (bench: Bench, { entry, host }: Pair, asked: Case, seconds: number) =>
  runH2load(asked, {
    h2load: toolOf(bench.tools, "h2load"),
    ...{ entry, host, seconds, directory: bench.directory }
  })

/** One round of one pair: what h2load saw, and what both sides' processes spent on it. */
const measure = async (
  bench: Bench,
  pair: Pair,
  asked: Case,
  row: ReturnType<typeof emptyRow>
): Promise<void> => {
  const spent = () => ({
    client: pair.sides?.client.cpuMicros() ?? 0,
    server: pair.sides?.server.cpuMicros() ?? 0
  })
  const before = spent()
  const found = await load(bench, pair, asked, bench.options.seconds)
  const after = spent()
  const client = (after.client - before.client) / found.requests
  row.rounds.client?.push(client)
  row.rounds.cpu?.push(client + (after.server - before.server) / found.requests)
  row.rounds.rate.push(found.requests / Math.ceil(bench.options.seconds))
  row.rounds.p50.push(found.p50)
  row.rounds.p99.push(found.p99)
  row.errors += found.errors
}

const runCase = async (
  bench: Bench,
  pairs: ReadonlyArray<Pair>,
  asked: Case
): Promise<ReadonlyArray<Row>> => {
  const { quick, rounds } = bench.options
  bench.say(`${asked.name}: warming up`)
  // Connections, compiler and caches; not counted.
  for (const pair of pairs) await load(bench, pair, asked, quick ? 2 : 4)
  const rows = pairs.map((pair) => ({ pair, row: emptyRow(asked.name, pair) }))
  for (let round = 1; round <= rounds; round++) {
    for (const { pair, row } of rows) {
      bench.say(`${asked.name}: round ${round} of ${rounds}, ${pair.label}`)
      await measure(bench, pair, asked, row)
    }
  }
  return rows.map(({ row }) => row)
}

const question = (
  name: string,
  asks: string,
  speech: Speech,
  cases: ReadonlyArray<Case>,
  /** What is judged of waiting times, where there is a fixed rate. */
  p99: number | false
): Question => ({
  name,
  asks,
  needs: [...pairTools, "h2load"],
  reference: "envoy",
  cases: cases.map((it) => it.name),
  defaults: { rounds: 5, seconds: 3 },
  threads: "pairs",
  measures: [
    { key: "cpu", label: "CPU µs/request", digits: 1, better: "lower", judged: 0.03 },
    { key: "client", label: "client side", digits: 1, better: "lower", judged: false },
    { key: "rate", label: "requests/s", digits: 0, better: "higher", judged: false },
    { key: "p50", label: "p50 ms", digits: 2, better: "lower", judged: false },
    { key: "p99", label: "p99 ms", digits: 2, better: "lower", judged: p99 }
  ],
  answer: async (bench) => {
    const { rounds, seconds } = bench.options
    const wanted = wantedPeers(peers, bench.options.peers, ["envoy"])
    const { pairs, absent } = await startField(bench, wanted, speech)
    const rows: Array<Row> = []
    for (const asked of casesOf(cases, bench.options.cases)) {
      rows.push(...(await runCase(bench, pairs, asked)))
    }
    const answering = speech === "grpc" ? "node:http2" : "nginx"
    return {
      method: `h2load with 1 thread, ${answering} answering, ${rounds} rounds of ${seconds} s each${describeWays(bench.options)}`,
      rows,
      absent
    }
  }
})

export const http2 = question(
  "http2",
  "What does a request of HTTP/2 cost, on several streams of several connections?",
  ...(["http2", http2Cases, false] as const)
)

export const grpc = question(
  "grpc",
  "What does a unary call of gRPC cost, and what does it wait for at a fixed rate?",
  ...(["grpc", grpcCases, 0.2] as const)
)
