/**
 * What does the mesh cost an HTTP request? Requests per second, latency, and processor time per
 * request of both nodes, through two nodes against direct, in alternating rounds, so that a slow
 * minute of the machine hits both. See README.md.
 *
 *     npm run bench -- [--rounds 5] [--seconds 4] [--connections 64,1] [--compare FILE]
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { cpus } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { TestMesh } from "../test/fixtures/Mesh.ts"
import { stopAll, until } from "../test/fixtures/Processes.ts"
import { cpuMicros } from "./CpuTime.ts"
import { type Nginx, responseBody, startNginx } from "./Nginx.ts"
import { type BenchResult, compareResults, describeResult, type Series } from "./Report.ts"
import { findTools, MissingTool } from "./Tools.ts"
import { load } from "./Wrk.ts"

const service = "bench"

/** A way to the upstream, and the processes whose time is to be counted. */
interface Path {
  readonly name: Series["path"]
  readonly url: string
  readonly host: string
  readonly pids: ReadonlyArray<number>
}

interface Options {
  readonly rounds: number
  readonly seconds: number
  readonly connections: ReadonlyArray<number>
  readonly compare: BenchResult | undefined
}

const positive = (name: string, text: string): number => {
  const value = Number(text)
  if (Number.isInteger(value) && value > 0) return value
  throw new Error(`--${name} ${text}: not a whole number above 0`)
}

const readOptions = (): Options => {
  const { values } = parseArgs({
    options: {
      rounds: { type: "string", default: "5" },
      seconds: { type: "string", default: "4" },
      connections: { type: "string", default: "64,1" },
      compare: { type: "string" }
    }
  })
  return {
    rounds: positive("rounds", values.rounds),
    seconds: positive("seconds", values.seconds),
    connections: values.connections.split(",").map((text) => positive("connections", text)),
    compare:
      values.compare === undefined ? undefined : JSON.parse(readFileSync(values.compare, "utf8"))
  }
}

/** Two nodes: host-a, where the load comes in, and host-b, which offers nginx. */
const startPair = async (mesh: TestMesh, upstream: string): Promise<Path> => {
  const a = await mesh.first("host-a")
  const b = await mesh.join("host-b", { services: [{ name: service, address: upstream }] })
  const host = `${service}.mesh`
  const url = `http://${a.proxy}/`
  await until("host-a knows the service", async () =>
    JSON.stringify(await a.api(`services/${service}/endpoints`)).includes("host-b")
      ? true
      : undefined
  )
  const pids = [a.process?.child.pid, b.process?.child.pid].filter((pid) => pid !== undefined)
  return { name: "mesh", url, host, pids }
}

const measure = async (wrk: string, path: Path, series: Series, seconds: number): Promise<void> => {
  const before = cpuMicros(path.pids)
  const result = await load({
    wrk,
    url: path.url,
    host: path.host,
    connections: series.connections,
    seconds
  })
  const after = cpuMicros(path.pids)
  series.requestsPerSecond.push(result.requests / result.seconds)
  series.p50.push(result.p50)
  series.p99.push(result.p99)
  if (before !== undefined && after !== undefined && path.pids.length > 0) {
    series.cpuMicros.push((after - before) / result.requests)
  }
}

const runRounds = async (
  wrk: string,
  paths: ReadonlyArray<Path>,
  options: Options
): Promise<ReadonlyArray<Series>> => {
  const all: Array<Series> = []
  for (const connections of options.connections) {
    const pairs = paths.map((path) => {
      const series: Series = {
        path: path.name,
        connections,
        requestsPerSecond: [],
        p50: [],
        p99: [],
        cpuMicros: []
      }
      return { path, series }
    })
    for (const { path } of pairs) {
      // Connections, compiler and caches get warm; not counted.
      await load({ wrk, url: path.url, host: path.host, connections, seconds: 2 })
    }
    for (let round = 1; round <= options.rounds; round++) {
      process.stderr.write(`\r${connections} connections, round ${round} of ${options.rounds} `)
      for (const { path, series } of pairs) await measure(wrk, path, series, options.seconds)
    }
    process.stderr.write("\n")
    all.push(...pairs.map(({ series }) => series))
  }
  return all
}

const saveResult = (result: BenchResult): string => {
  const directory = join(import.meta.dirname, "results")
  mkdirSync(directory, { recursive: true })
  const file = join(directory, `http-${result.at.replace(/[:.]/g, "-")}.json`)
  writeFileSync(file, `${JSON.stringify(result, undefined, 2)}\n`)
  return file
}

const main = async (): Promise<void> => {
  const options = readOptions()
  const tools = findTools("wrk", "nginx")
  const mesh = new TestMesh()
  let nginx: Nginx | undefined
  try {
    nginx = await startNginx(tools.nginx, join(mesh.directory, "nginx"))
    const { address } = nginx
    const direct: Path = { name: "direct", url: `http://${address}/`, host: address, pids: [] }
    const paths = [direct, await startPair(mesh, address)]
    console.log(
      `nginx answers with ${responseBody.length} bytes; wrk with 1 thread; ${options.rounds} rounds of ${options.seconds} s each way\n`
    )
    const result: BenchResult = {
      bench: "http",
      at: new Date().toISOString(),
      runtime: process.version,
      processor: `${cpus().length} × ${cpus()[0]?.model.trim() ?? "unknown"}`,
      secondsPerRound: options.seconds,
      series: await runRounds(tools.wrk, paths, options)
    }
    console.log(describeResult(result))
    if (options.compare !== undefined) {
      console.log(`\nagainst ${options.compare.at}:\n${compareResults(options.compare, result)}`)
    }
    console.log(`\nwritten to ${saveResult(result)}`)
  } finally {
    await nginx?.stop()
    await mesh.stop()
    await stopAll()
  }
}

main().catch((cause: unknown) => {
  console.error(cause instanceof MissingTool ? cause.message : cause)
  process.exitCode = 1
})
