/** Processor time of other processes, from /proc (Linux). */
import { execFileSync } from "node:child_process"
import { readFileSync } from "node:fs"

const ticksPerSecond = (): number => {
  try {
    return Number(execFileSync("getconf", ["CLK_TCK"], { encoding: "utf8" }).trim())
  } catch {
    return 100 // what Linux has used everywhere for twenty years
  }
}

let ticks: number | undefined

/** Ticks in user and kernel mode: fields 14 and 15, counted behind the name, which may hold blanks. */
export const ticksOf = (stat: string): number => {
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
  return Number(fields[11]) + Number(fields[12])
}

/** Microseconds all these processes have spent so far, all threads; undefined without /proc. */
export const cpuMicros = (pids: ReadonlyArray<number>): number | undefined => {
  if (process.platform !== "linux") return undefined
  ticks ??= ticksPerSecond()
  let sum = 0
  for (const pid of pids) sum += ticksOf(readFileSync(`/proc/${pid}/stat`, "utf8"))
  return (sum * 1e6) / ticks
}
