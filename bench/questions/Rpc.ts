/** What does an RPC cost: the mesh's own, those of @effect/rpc and of gRPC, direct and through two nodes? */
import { casesOf, type Question } from "../Question.ts"
import { figures } from "../Result.ts"
import { type RpcPair, reference, startRpcPairs } from "../rpc/RpcPair.ts"

/** So many calls at a time. */
const cases = [
  { name: "unary-64", concurrency: 64 },
  { name: "unary-1", concurrency: 1 }
]

const emptyRow = (name: string, { label, nodes }: RpcPair) => ({
  ...{ case: name, peer: label, errors: 0 },
  rounds: {
    ...{ cpu: figures(), programs: figures(), rate: figures(), p50: figures(), p99: figures() },
    ...(nodes.length === 0 ? {} : { nodes: figures() })
  }
})

/** One round of one pair: what the caller saw, and what all processes of it spent. */
const measure = async (
  pair: RpcPair,
  concurrency: number,
  seconds: number,
  row: ReturnType<typeof emptyRow>
): Promise<void> => {
  const spent = () => ({
    programs: pair.programs.reduce((sum, tree) => sum + tree.cpuMicros(), 0),
    nodes: pair.nodes.reduce((sum, tree) => sum + tree.cpuMicros(), 0)
  })
  const before = spent()
  const { calls, errors, seconds: took, p50, p99 } = await pair.run(concurrency, seconds)
  const after = spent()
  const programs = (after.programs - before.programs) / calls
  const nodes = (after.nodes - before.nodes) / calls
  row.rounds.cpu.push(programs + nodes)
  row.rounds.programs.push(programs)
  row.rounds.nodes?.push(nodes)
  row.rounds.rate.push(calls / took)
  row.rounds.p50.push(p50)
  row.rounds.p99.push(p99)
  row.errors += errors
}

export const rpc: Question = {
  name: "rpc",
  asks: "What does an RPC cost, MeshRpc beside plain HTTP over the mesh, @effect/rpc and gRPC, direct and through two nodes?",
  needs: [],
  reference,
  cases: cases.map(({ name }) => name),
  defaults: { rounds: 5, seconds: 3 },
  measures: [
    { key: "cpu", label: "CPU µs/call", digits: 0, better: "lower", judged: 0.05 },
    { key: "programs", label: "of programs", digits: 0, better: "lower", judged: false },
    { key: "nodes", label: "of nodes", digits: 0, better: "lower", judged: false },
    { key: "rate", label: "calls/s", digits: 0, better: "higher", judged: false },
    { key: "p50", label: "p50 ms", digits: 2, better: "lower", judged: false },
    { key: "p99", label: "p99 ms", digits: 2, better: "lower", judged: false }
  ],
  answer: async ({ directory, options, say, stack }) => {
    const { quick, rounds, seconds } = options
    const pairs = await startRpcPairs(stack, directory, say)
    const rows = []
    for (const { name, concurrency } of casesOf(cases, options.cases)) {
      say(`${name}: warming up`)
      for (const pair of pairs) await pair.run(concurrency, quick ? 2 : 5)
      const all = pairs.map((pair) => ({ pair, row: emptyRow(name, pair) }))
      for (let round = 1; round <= rounds; round++) {
        for (const { pair, row } of all) {
          say(`${name}: round ${round} of ${rounds}, ${pair.label}`)
          await measure(pair, concurrency, seconds, row)
        }
      }
      rows.push(...all.map(({ row }) => row))
    }
    return {
      method: `one program calls, one answers, some 30 bytes there and back, MessagePack for @effect/rpc, ${rounds} rounds of ${seconds} s each`,
      rows,
      absent: []
    }
  }
}
