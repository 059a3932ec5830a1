/** What a process and all it has started cost, from /proc (Linux). */
import { execFileSync } from "node:child_process"
import { readdirSync, readFileSync } from "node:fs"

/** What bench figures need of /proc/PID/stat. */
export interface ProcessStat {
  readonly parent: number
  /** User and kernel mode of all threads. */
  readonly ticks: number
}

/** The name stands in brackets and may hold blanks and brackets: fields are counted behind it. */
export const parseStat = (stat: string): ProcessStat => {
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
  return { parent: Number(fields[1]), ticks: Number(fields[11]) + Number(fields[12]) }
}

/** `VmRSS:   1234 kB` of /proc/PID/status, in bytes. */
export const parseResident = (status: string): number => {
  const match = /^VmRSS:\s+(\d+) kB$/m.exec(status)
  return match === null ? 0 : Number(match[1]) * 1_024
}

/** The process itself and everything below it, by each process's parent. */
export const descendants = (root: number, parents: ReadonlyMap<number, number>): Array<number> => {
  const found = [root]
  for (const pid of found) {
    for (const [child, parent] of parents) if (parent === pid) found.push(child)
  }
  return found
}

const ticksPerSecond = (): number => {
  try {
    return Number(execFileSync("getconf", ["CLK_TCK"], { encoding: "utf8" }).trim())
  } catch {
    return 100 // what Linux has used everywhere for twenty years
  }
}

/** Undefined for a process that has ended between being listed and being read. */
const read = (path: string): string | undefined => {
  try {
    return readFileSync(path, "utf8")
  } catch {
    return undefined
  }
}

let ticks: number | undefined

/** Processor time that one process has spent so far, all its threads; undefined: it has ended. */
export const cpuMicrosOf = (pid: number, proc = "/proc"): number | undefined => {
  ticks ??= ticksPerSecond()
  const text = read(`${proc}/${pid}/stat`)
  return text === undefined ? undefined : (parseStat(text).ticks * 1e6) / ticks
}

export class ProcessTree {
  readonly root: number
  readonly #proc: string

  constructor(root: number, proc = "/proc") {
    this.root = root
    this.#proc = proc
  }

  /** Read anew each time: workers come and go. */
  pids(): ReadonlyArray<number> {
    const parents = new Map<number, number>()
    for (const entry of readdirSync(this.#proc)) {
      const pid = Number(entry)
      if (!Number.isInteger(pid)) continue
      const stat = read(`${this.#proc}/${pid}/stat`)
      if (stat !== undefined) parents.set(pid, parseStat(stat).parent)
    }
    if (!parents.has(this.root)) {
      throw new Error(`process ${this.root} has ended while it was being measured`)
    }
    return descendants(this.root, parents)
  }

  /** Processor time spent so far in user and kernel mode, all processes and threads. */
  cpuMicros(): number {
    return this.pids().reduce((sum, pid) => sum + (cpuMicrosOf(pid, this.#proc) ?? 0), 0)
  }

  /** Resident memory. */
  residentBytes(): number {
    return this.#sum("status", parseResident)
  }

  /** Open file descriptors. */
  handles(): number {
    let count = 0
    for (const pid of this.pids()) count += readdirSync(`${this.#proc}/${pid}/fd`).length
    return count
  }

  #sum(file: string, figure: (text: string) => number): number {
    let sum = 0
    for (const pid of this.pids()) {
      const text = read(`${this.#proc}/${pid}/${file}`)
      if (text !== undefined) sum += figure(text)
    }
    return sum
  }
}
