/** What does a gibibyte cost? Processor seconds on each side, one stream and eight at once. */
import { download } from "../load/Curl.ts"
import { type Pair, type PeerName, rowHead } from "../peers/Peer.ts"
import { pairTools, startField, wantedPeers } from "../peers/Peers.ts"
import { describeWays } from "../peers/Ways.ts"
import { type Bench, casesOf, type Question } from "../Question.ts"
import { figures, type Row } from "../Result.ts"
import { toolOf } from "../Tools.ts"
import { gibibyte, paths, sizeOf } from "../UpstreamPaths.ts"

const cases = [
  { name: "1 stream", streams: 1 },
  { name: "8 streams", streams: 8 }
] as const

const peers: ReadonlyArray<PeerName> = [
  "skein",
  "haproxy",
  "nginx",
  "envoy",
  "node",
  "bare",
  "direct"
]

const emptyRow = (name: string, pair: Pair) => ({
  ...rowHead(name, pair),
  rounds: {
    ...(pair.sides === undefined
      ? {}
      : {
          cpu: figures(),
          client: figures(),
          server: figures()
        }),
    rate: figures()
  }
})

const measure = async (
  bench: Bench,
  pair: Pair,
  streams: number,
  row: ReturnType<typeof emptyRow>
): Promise<void> => {
  const { sides, entry, host } = pair
  const path = bench.options.quick ? paths.mib128 : paths.gib1
  const cpu = () => ({
    client: sides?.client.cpuMicros() ?? 0,
    server: sides?.server.cpuMicros() ?? 0
  })
  const curl = toolOf(bench.tools, "curl")
  const before = cpu()
  const began = performance.now()
  const found = await Promise.all(
    Array.from({ length: streams }, () => download(curl, `http://${entry}${path}`, host))
  )
  const seconds = (performance.now() - began) / 1_000
  const after = cpu()
  const bytes = found.reduce((sum, it) => sum + it.bytes, 0)
  row.errors += found.filter((it) => it.status !== 200 || it.bytes !== sizeOf(path)).length
  if (bytes === 0) return
  const gibibytes = bytes / gibibyte
  const client = (after.client - before.client) / 1e6 / gibibytes
  const server = (after.server - before.server) / 1e6 / gibibytes
  row.rounds.client?.push(client)
  row.rounds.server?.push(server)
  row.rounds.cpu?.push(client + server)
  row.rounds.rate.push(gibibytes / seconds)
}

export const bulk: Question = {
  name: "bulk",
  asks: "What does a gibibyte cost each side: one stream, and eight at once?",
  needs: [...pairTools, "curl"],
  reference: "haproxy",
  cases: cases.map(({ name }) => name),
  defaults: { rounds: 3, seconds: 1 },
  threads: "pairs",
  measures: [
    { key: "cpu", label: "CPU s/GiB", digits: 2, better: "lower", judged: 0.05 },
    { key: "client", label: "client side", digits: 2, better: "lower", judged: false },
    { key: "server", label: "server side", digits: 2, better: "lower", judged: false },
    { key: "rate", label: "GiB/s", digits: 2, better: "higher", judged: false }
  ],
  answer: async (bench) => {
    const { rounds, quick } = bench.options
    const { pairs, absent } = await startField(bench, wantedPeers(peers, bench.options.peers))
    const rows: Array<Row> = []
    for (const { name, streams } of casesOf(cases, bench.options.cases)) {
      const all = pairs.map((pair) => ({ pair, row: emptyRow(name, pair) }))
      for (const { pair } of all) {
        bench.say(`${name}: warming up, ${pair.label}`)
        // Connections, compiler and caches get warm; not counted.
        await measure(bench, pair, streams, emptyRow(name, pair))
      }
      for (let round = 1; round <= rounds; round++) {
        for (const { pair, row } of all) {
          bench.say(`${name}: round ${round} of ${rounds}, ${pair.label}`)
          await measure(bench, pair, streams, row)
        }
      }
      rows.push(...all.map(({ row }) => row))
    }
    const size = quick ? "128 MiB" : "1 GiB"
    return {
      method: `curl reads ${size} per stream from nginx, ${rounds} rounds after one that is not counted${describeWays(bench.options)}`,
      rows,
      absent
    }
  }
}
