/** What do 5,000 connections cost that do nothing, or hardly anything? */
import { execFileSync } from "node:child_process"
import { holdConnections } from "../load/Holder.ts"
import { type Pair, type PeerName, rowHead } from "../peers/Peer.ts"
import { pairTools, startField, wantedPeers } from "../peers/Peers.ts"
import { describeWays } from "../peers/Ways.ts"
import { type Bench, casesOf, type Question } from "../Question.ts"
import { figures, type Row } from "../Result.ts"

const count = 5_000
/** Proxies have two per connection. */
const descriptors = 3 * count

/** A slow head takes 7 × 1.2 s, which is within the 10 s that Skein gives one. */
const cases = [
  { name: "idle", pieces: 0 },
  { name: "slow", pieces: 7 }
] as const
const everyMs = 1_200

const peers: ReadonlyArray<PeerName> = ["skein", "haproxy", "nginx", "envoy", "node"]

const checkLimit = (): void => {
  const text = execFileSync("sh", ["-c", "ulimit -Hn"], { encoding: "utf8" }).trim()
  if (text === "unlimited" || Number(text) >= descriptors) return
  throw new Error(
    `the limit of open files is ${text}, and ${count} connections through a proxy need ${descriptors}: raise it with ulimit -Hn, or in /etc/security/limits.conf`
  )
}

const emptyRow = (name: string, pair: Pair) => ({
  ...rowHead(name, pair),
  rounds: {
    atRest: figures(),
    clientMemory: figures(),
    serverMemory: figures(),
    perConnection: figures(),
    clientCpu: figures(),
    serverCpu: figures()
  }
})

const pause = (seconds: number) => new Promise((resolve) => setTimeout(resolve, seconds * 1_000))

const megabytes = (bytes: number) => bytes / 1e6

const measure = async (
  { options }: Bench,
  { entry, host, sides }: Pair,
  pieces: number,
  row: ReturnType<typeof emptyRow>
): Promise<void> => {
  if (sides === undefined) return
  const before = sides.client.residentBytes()
  const holder = await holdConnections({ entry, host, connections: count, pieces, everyMs })
  // Opening them is not what is asked.
  await pause(2)
  const [client, server] = [sides.client.cpuMicros(), sides.server.cpuMicros()]
  const began = performance.now()
  await pause(options.seconds)
  const microseconds = (performance.now() - began) * 1_000
  const { rounds } = row
  rounds.clientCpu.push((100 * (sides.client.cpuMicros() - client)) / microseconds)
  rounds.serverCpu.push((100 * (sides.server.cpuMicros() - server)) / microseconds)
  const after = sides.client.residentBytes()
  rounds.clientMemory.push(megabytes(after))
  rounds.serverMemory.push(megabytes(sides.server.residentBytes()))
  rounds.perConnection.push((after - before) / 1_024 / count)
  row.errors += (await holder.release()).errors
}

export const connections: Question = {
  name: "connections",
  asks: "What do 5,000 idle and 5,000 slow connections cost in memory and at rest?",
  needs: pairTools,
  cases: cases.map(({ name }) => name),
  defaults: { rounds: 3, seconds: 20 },
  threads: "pairs",
  measures: [
    // Before the first of all connections: later rounds find what the ones before have left.
    { key: "atRest", label: "client MB at rest", digits: 0, better: "lower", judged: false },
    { key: "clientMemory", label: "client side MB", digits: 0, better: "lower", judged: 0.1 },
    { key: "serverMemory", label: "server side MB", digits: 0, better: "lower", judged: 0.1 },
    { key: "perConnection", label: "KiB each", digits: 1, better: "lower", judged: false },
    { key: "clientCpu", label: "client % of a core", digits: 1, better: "lower", judged: false },
    { key: "serverCpu", label: "server % of a core", digits: 1, better: "lower", judged: false }
  ],
  answer: async (bench) => {
    checkLimit()
    const { rounds, seconds } = bench.options
    const { pairs, absent } = await startField(bench, wantedPeers(peers, bench.options.peers))
    const rest = new Map(pairs.map((pair) => [pair, pair.sides?.client.residentBytes()]))
    const rows: Array<Row> = []
    for (const { name, pieces } of casesOf(cases, bench.options.cases)) {
      const all = pairs.map((pair) => ({ pair, row: emptyRow(name, pair) }))
      for (const { pair, row } of all) {
        const bytes = rest.get(pair)
        if (bytes !== undefined) row.rounds.atRest.push(megabytes(bytes))
      }
      for (let round = 1; round <= rounds; round++) {
        for (const { pair, row } of all) {
          bench.say(`${name}: round ${round} of ${rounds}, ${pair.label}`)
          await measure(bench, pair, pieces, row)
        }
      }
      rows.push(...all.map(({ row }) => row))
    }
    return {
      method: `${count} connections that have had one answer; slow ones send a request's head in 7 pieces of 1.2 s; watched for ${seconds} s, ${rounds} rounds${describeWays(bench.options)}`,
      rows,
      absent
    }
  }
}
