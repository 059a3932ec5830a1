/**
 * A thousand counters on three hosts, kept in PostgreSQL and called all the time, while hosts are killed,
 * stand still for longer than their leases, are cut from the database, and are restarted one after the other.
 * Every increment has an idempotency key and is tried until it is answered. In the end each that was
 * acknowledged must be there exactly once, and nobody may have read what was true no more.
 *
 * The database is reached through the mesh: one host offers it as services of bytes, one for each host of counters, so
 * that each can be cut from it alone. What the cut takes vanishes without a word to either side.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, expect, it } from "vitest"
import { type Attempt, judgeCounters, type Read } from "../../src/testing/CounterHistory.ts"
import { leaseTimes } from "../fixtures/CounterLeases.ts"
import { build, type Host, root, TestMesh } from "../fixtures/Mesh.ts"
import { type Postgres, startPostgres } from "../fixtures/Postgres.ts"
import { freePort, type Running, start, stopAll, until } from "../fixtures/Processes.ts"
import { Wire } from "../fixtures/Wire.ts"

const counters = 1_000
const names = ["counters-a", "counters-b", "counters-c"]
const databaseOf = (name: string): string => `postgres-of-${name}`
const scratch = mkdtempSync(join(tmpdir(), "skein-counters-"))
const seen = join(scratch, "seen")
const fixture = (name: string) => join(root, "test", "fixtures", name)

interface Counting {
  readonly name: string
  readonly token: string
  readonly port: number
  readonly wire: Wire
  process: Running
}

const mesh = new TestMesh()
let host: Host
let postgres: Postgres
let load: Running
const hosts: Array<Counting> = []

const begin = ({ name, port, token }: Omit<Counting, "process">): Running =>
  start(process.execPath, [
    ...[fixture("CounterHostProgram.ts"), token, name, join(scratch, name), String(port)],
    databaseOf(name)
  ])

const serving = ({ name, process }: Counting): Promise<true> =>
  until(
    `${name} serves`,
    () => {
      if (process.output().includes("serving")) return true
      throw new Error(`it says: ${process.output().slice(-2_000)}`)
    },
    120
  )

/** As CounterLoadProgram writes it. */
type Tried = Attempt & { readonly failure?: string }

const lines = (): ReadonlyArray<Tried | Read> =>
  readFileSync(seen, "utf8")
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line))

/** Lines with a word so far; each is read once, for this is asked all the time. */
const counting = (word: string): (() => number) => {
  let [count, read] = [0, 0]
  return () => {
    const text = readFileSync(seen, "latin1")
    const end = text.lastIndexOf("\n") + 1
    for (let at = text.indexOf(word, read); at >= 0 && at < end; at = text.indexOf(word, at + 1))
      count++
    read = end
    return count
  }
}
const answered = counting('"answer":')

/** Lines that were told of. */
let told = 0

/** What tries have come to since the last time, but answers; the same but for names and numbers as one. */
const troubles = (): string => {
  const counts = new Map<string, number>()
  const all = lines()
  for (const line of all.slice(told)) {
    if (!("key" in line) || line.failure === undefined) continue
    const kind = line.failure.replaceAll(/[\w-]*\d[\w-]*/g, "…").slice(0, 160)
    counts.set(kind, (counts.get(kind) ?? 0) + 1)
  }
  told = all.length
  const sum = [...counts.values()].reduce((total, count) => total + count, 0)
  const kinds = Array.from(counts, ([kind, count]) => `\n  ${count} × ${kind}`)
  return `${sum} not answered${kinds.join("")}`
}

/** Calls go on: so many more are answered, and by all means soon. */
const goesOn = async (what: string, more = 300): Promise<void> => {
  const before = answered()
  const meanwhile = troubles()
  const begun = performance.now()
  await until(
    `calls are answered ${what}`,
    () => (answered() >= before + more ? true : undefined),
    60
  )
  const seconds = ((performance.now() - begun) / 1_000).toFixed(1)
  console.log(`until ${what}: ${meanwhile}\n${what}: ${more} calls in ${seconds} s, ${troubles()}`)
}

const passes = (millis: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, millis))

beforeAll(async () => {
  await build()
  postgres = await startPostgres()
  const wires = await Promise.all(
    names.map(async (name) => {
      const wire = new Wire(postgres.port)
      const port = await freePort()
      await wire.listen(port)
      return { name, wire, port }
    })
  )
  host = await mesh.first("host-a", {
    services: wires.map(({ name, port }) => ({
      name: databaseOf(name),
      address: `127.0.0.1:${port}`,
      protocol: "tcp"
    }))
  })
  for (const { name, wire } of wires) {
    const token = await host.invite("--services", "actor-counter")
    const counting = { name, token, port: await freePort(), wire }
    hosts.push({ ...counting, process: begin(counting) })
  }
  await Promise.all(hosts.map(serving))
  const token = await host.invite("--services", "none")
  load = start(process.execPath, [
    ...[fixture("CounterLoadProgram.ts"), token, join(scratch, "caller"), seen, String(counters)]
  ])
  await until("calls", () => (load.output().includes("calling") ? true : undefined), 60)
})

afterAll(async () => {
  await stopAll()
  await mesh.stop()
  await postgres?.stop()
  for (const { wire } of hosts) wire.close()
  rmSync(scratch, { recursive: true, force: true })
})

it("each increment that was acknowledged is there exactly once", { timeout: 600_000 }, async () => {
  const [a, b, c] = hosts as [Counting, Counting, Counting]
  await goesOn("at rest", 1_000)

  await a.process.stop("SIGKILL")
  await goesOn("after a host was killed")
  a.process = begin(a)
  await serving(a)
  await goesOn("after it is back")

  // Longer than its leases: others have its shards when it wakes up, in the middle of what it was doing.
  b.process.child.kill("SIGSTOP")
  await passes(3 * leaseTimes.ttl)
  b.process.child.kill("SIGCONT")
  await goesOn("after a host stood still")

  c.wire.isCut = true
  await passes(2 * leaseTimes.ttl)
  await goesOn("while a host is cut from the database", 100)
  c.wire.isCut = false
  await goesOn("after it has the database again")

  for (const counting of hosts) {
    expect(await counting.process.stop("SIGTERM"), counting.process.output()).toBe(0)
    counting.process = begin(counting)
    await serving(counting)
    await goesOn(`after a restart of ${counting.name}`)
  }

  const ended = load.stop("SIGTERM")
  expect(await ended, load.output()).toBe(0)
  expect(load.output()).toContain("done")
  const rows = await postgres.query(
    "select id, version, convert_from(state, 'UTF8') from skein_actor where type = 'Counter'"
  )
  const ends = new Map<string, number>()
  for (const row of rows.split("\n")) {
    const [id = "", version, state = ""] = row.split("|")
    const { count } = JSON.parse(state) as { readonly count: number }
    expect([id, Number(version)]).toEqual([id, count])
    ends.set(id, count)
  }
  const all = lines()
  const attempts = all.flatMap((line) => ("key" in line ? [line] : []))
  const reads = all.flatMap((line) => ("key" in line ? [] : [line]))
  const keys = new Set(attempts.map(({ key }) => key))
  const sum = [...ends.values()].reduce((total, count) => total + count, 0)
  const tried = attempts.length - keys.size
  console.log(
    `${keys.size} increments, ${tried} tried again, ${reads.length} reads, ${ends.size} counters`
  )
  expect(judgeCounters(attempts, reads, ends)).toEqual([])
  // Each was tried until it was answered.
  expect(sum).toBe(keys.size)
  expect(ends.size).toBeGreaterThan(counters / 2)
})
