/**
 * The long run: `npm run fuzz -- --inputs 10000000`. Threads share the inputs; the seed is printed
 * and `--seed N` repeats a run, `--only N` one input of it. Ends with 1 when anything was found.
 */
import { availableParallelism } from "node:os"
import { parseArgs } from "node:util"
import { Worker } from "node:worker_threads"
import { emptyTally, type Finding, fuzz, mergeTally, type Tally } from "./FuzzRun.ts"
import type { Range } from "./FuzzWorker.ts"

const { values } = parseArgs({
  options: {
    inputs: { type: "string", default: "1000000" },
    seed: { type: "string" },
    only: { type: "string" },
    workers: { type: "string" }
  }
})

const whole = (name: string, text: string): number => {
  const value = Number(text)
  if (Number.isInteger(value) && value >= 0) return value
  throw new Error(`--${name} ${text} is not a whole number`)
}

const inputs = whole("inputs", values.inputs)
const seed = whole("seed", values.seed ?? String(Math.floor(Math.random() * 2 ** 32)))
const workers = Math.max(1, whole("workers", values.workers ?? String(availableParallelism())))
/** Small enough that no thread waits long for the last one. */
const portion = 20_000
const maxFindings = 20

const show = ({ target, index, violation, bytes }: Finding): string =>
  `${target}: ${violation}\n  repeat: npm run fuzz -- --seed ${seed} --only ${index}\n  minimised: ${JSON.stringify(bytes)}`

const report = (tally: Tally, seconds: number): void => {
  for (const finding of tally.findings) console.log(`\n${show(finding)}`)
  console.log("\noutcomes")
  for (const key of Object.keys(tally.outcomes).sort()) {
    console.log(`  ${key.padEnd(40)} ${tally.outcomes[key]}`)
  }
  console.log("stricter than llhttp by")
  for (const key of Object.keys(tally.stricter).sort()) {
    console.log(`  ${key.padEnd(40)} ${tally.stricter[key]}`)
  }
  const rate = Math.round(tally.inputs / seconds)
  const resident = Math.round(process.memoryUsage.rss() / 2 ** 20)
  console.log(
    `seed ${seed}: ${tally.inputs} inputs in ${seconds.toFixed(0)} s (${rate} a second, ${resident} MiB), ${tally.findings.length} findings`
  )
}

const spread = (): Promise<Tally> =>
  new Promise((resolve, reject) => {
    const tally = emptyTally()
    let next = 0
    let running = workers
    let told = performance.now()
    const pool = Array.from({ length: workers }, () => {
      const worker = new Worker(new URL("FuzzWorker.ts", import.meta.url))
      const give = () => {
        if (next >= inputs || tally.findings.length >= maxFindings) {
          void worker.terminate()
          if (--running === 0) resolve(tally)
          return
        }
        const range: Range = { seed, from: next, to: Math.min(inputs, next + portion) }
        next = range.to
        worker.postMessage(range)
      }
      worker.on("message", (part: Tally) => {
        mergeTally(tally, part)
        if (performance.now() - told > 30_000) {
          told = performance.now()
          console.log(`${tally.inputs} inputs, ${tally.findings.length} findings`)
        }
        give()
      })
      worker.on("error", reject)
      return give
    })
    for (const give of pool) give()
  })

console.log(`fuzzing ${inputs} inputs, seed ${seed}, ${workers} threads`)
const started = performance.now()
const tally =
  values.only === undefined
    ? await spread()
    : fuzz(seed, whole("only", values.only), whole("only", values.only) + 1)
report(tally, (performance.now() - started) / 1_000)
process.exit(tally.findings.length === 0 ? 0 : 1)
