/** What does a message to an actor cost, and an actor that is idle or goes to another host, beside @effect/cluster? */
import type { Outcome } from "../actors/ActorContract.ts"
import {
  type ActorProcess,
  type ActorWay,
  reference,
  startActorWays
} from "../actors/ActorHosts.ts"
import { type Bench, casesOf, type Question } from "../Question.ts"
import { figures, type Row } from "../Result.ts"

const cases = [
  { name: "remote-64", kind: "call", where: "there", concurrency: 64, perSecond: 2_000 },
  { name: "remote-1", kind: "call", where: "there", concurrency: 1, perSecond: 1_000 },
  { name: "local-64", kind: "call", where: "here", concurrency: 64, perSecond: 10_000 },
  { name: "idle-10000", kind: "idle", actors: 10_000 },
  // Of ours alone: others take minutes to begin as many.
  { name: "idle-100000", kind: "idle", actors: 100_000, ours: true },
  { name: "hand-over-10000", kind: "handOver", actors: 20_000 }
] as const
type Case = (typeof cases)[number]

/** A way, and what is found of it in a case. */
interface Pair {
  readonly way: ActorWay
  readonly row: Row & { errors: number }
}

const emptyRow = (name: string, peer: string, keys: ReadonlyArray<string>) => ({
  ...{ case: name, peer, errors: 0 },
  rounds: Object.fromEntries(keys.map((key) => [key, figures()]))
})

/** Adds one round's figures to the row. */
const add = (
  { row }: Pair,
  { errors }: Outcome,
  values: Readonly<Record<string, number>>
): void => {
  for (const [key, value] of Object.entries(values)) {
    ;(row.rounds[key] as Array<number>).push(value)
  }
  row.errors += errors
}

/** Calls from one host of two. As many for all ways: how long they take, a busy machine decides. */
const askCalls = async (
  { options, say }: Bench,
  pairs: ReadonlyArray<Pair & { readonly caller: ActorProcess; readonly other: ActorProcess }>,
  { concurrency, name, perSecond, where }: Extract<Case, { kind: "call" }>
): Promise<void> => {
  const { quick, rounds, seconds } = options
  const call = (caller: ActorProcess, time: number) =>
    caller.tell({ do: "call", where, concurrency, calls: time * perSecond }, 30 * time + 30)
  say(`${name}: warming up`)
  for (const { caller } of pairs) await call(caller, quick ? 3 : 5)
  for (let round = 1; round <= rounds; round++) {
    for (const pair of pairs) {
      say(`${name}: round ${round} of ${rounds}, ${pair.way.label}`)
      const trees = [pair.caller.tree, pair.other.tree, ...pair.way.nodes]
      const spent = () => trees.reduce((sum, tree) => sum + tree.cpuMicros(), 0)
      const before = spent()
      const outcome = await call(pair.caller, seconds)
      const { calls, p50, p99, seconds: took } = outcome
      add(pair, outcome, { cpu: (spent() - before) / calls, rate: calls / took, p50, p99 })
    }
  }
}

/** Actors that are begun in one program, with nobody else to run them. */
const askIdle = async (
  { options, say }: Bench,
  pairs: ReadonlyArray<Pair>,
  { actors, name }: Extract<Case, { kind: "idle" }>
): Promise<void> => {
  for (let round = 1; round <= options.rounds; round++) {
    for (const pair of pairs) {
      say(`${name}: round ${round} of ${options.rounds}, ${pair.way.label}`)
      const alone = await pair.way.start("a")
      const { heap } = await alone.tell({ do: "begin", actors: 1 }, 30)
      const outcome = await alone.tell({ do: "begin", actors }, 300)
      const each = (outcome.heap - heap) / 1_024 / actors
      const memory = { memory: alone.tree.residentBytes() / 1e6, each }
      add(pair, outcome, memory)
      await alone.stop()
    }
  }
}

/** Of two hosts one ends while the actors it had are called from the other. */
const askHandOver = async (
  { options, say }: Bench,
  pairs: ReadonlyArray<Pair>,
  { actors, name }: Extract<Case, { kind: "handOver" }>
): Promise<void> => {
  for (let round = 1; round <= options.rounds; round++) {
    for (const pair of pairs) {
      say(`${name}: round ${round} of ${options.rounds}, ${pair.way.label}`)
      const caller = await pair.way.start("a")
      const other = await pair.way.start("b")
      // Both know of each other when this is over.
      await caller.tell({ do: "call", where: "there", concurrency: 64, calls: 64 }, 60)
      const outcome = await caller.tell({ do: "take", actors, from: other.pid }, 300)
      add(pair, outcome, { moved: outcome.moved, took: outcome.seconds })
      await caller.stop()
    }
  }
}

const ask = async (bench: Bench, ways: ReadonlyArray<ActorWay>): Promise<ReadonlyArray<Row>> => {
  const wanted = casesOf(cases, bench.options.cases)
  const rows: Array<Row> = []
  const pairsOf = (one: Case, keys: ReadonlyArray<string>): ReadonlyArray<Pair> => {
    const { name } = one
    const asked = "ours" in one ? ways.filter(({ label }) => label !== reference) : ways
    const made = asked.map((way) => ({ way, row: emptyRow(name, way.label, keys) }))
    rows.push(...made.map(({ row }) => row))
    return made
  }
  const calls = wanted.filter((one) => one.kind === "call")
  if (calls.length > 0) {
    const both: Array<{ readonly caller: ActorProcess; readonly other: ActorProcess }> = []
    for (const way of ways) {
      bench.say(`starting ${way.label}`)
      both.push({ caller: await way.start("a"), other: await way.start("b") })
    }
    for (const one of calls) {
      const pairs = pairsOf(one, ["cpu", "rate", "p50", "p99"])
      const all = pairs.map((pair, i) => ({ ...pair, ...both[i]! }))
      await askCalls(bench, all, one)
    }
    for (const { caller, other } of both) await Promise.all([caller.stop(), other.stop()])
  }
  for (const one of wanted) {
    if (one.kind === "idle") await askIdle(bench, pairsOf(one, ["memory", "each"]), one)
    if (one.kind === "handOver") {
      await askHandOver(bench, pairsOf(one, ["moved", "took"]), one)
    }
  }
  return rows
}

export const actors: Question = {
  name: "actors",
  asks: "What does a message to an actor cost, and an actor that is idle or moves, beside @effect/cluster?",
  needs: [],
  reference,
  cases: cases.map(({ name }) => name),
  defaults: { rounds: 3, seconds: 3 },
  measures: [
    { key: "cpu", label: "CPU µs/call", digits: 1, better: "lower", judged: 0.05 },
    { key: "rate", label: "calls/s", digits: 0, better: "higher", judged: false },
    { key: "p50", label: "p50 ms", digits: 2, better: "lower", judged: false },
    { key: "p99", label: "p99 ms", digits: 2, better: "lower", judged: false },
    { key: "memory", label: "MB", digits: 0, better: "lower", judged: 0.1 },
    { key: "each", label: "KiB of heap each", digits: 2, better: "lower", judged: false },
    { key: "moved", label: "actors moved", digits: 0, better: "higher", judged: false },
    { key: "took", label: "s until all had", digits: 2, better: "lower", judged: false }
  ],
  answer: async (bench) => {
    const { directory, options, say, stack } = bench
    say("starting two hosts")
    const ways = await startActorWays(stack, directory, options.profiles)
    const { rounds, seconds } = options
    return {
      method: `two programs that run actors call each other's, some 30 bytes there and back, no state, MessagePack and no storage for @effect/cluster, ${rounds} rounds of ${seconds} × 2,000, 1,000 and 10,000 calls`,
      rows: await ask(bench, ways),
      absent: []
    }
  }
}
