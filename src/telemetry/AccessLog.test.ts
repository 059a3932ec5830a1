import { mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { describe, expect, test } from "vitest"
import { AccessLines } from "../request/cells/AccessLines.ts"
import type { AccessLogEntry } from "../request/cells/AccessLogEntry.ts"
import { MetricRegistry } from "../request/cells/Metrics.ts"
import { AccessLog, FileSink, type TextSink } from "./AccessLog.ts"

const entry = (target: string): AccessLogEntry => ({
  time: "2026-01-01T00:00:00.000Z",
  direction: "outbound",
  service: "payments",
  caller: "host-a",
  as: "host/host-a",
  method: "GET",
  target,
  status: 200,
  code: null,
  grpc: null,
  access: null,
  rule: null,
  durationMs: 1,
  bytesIn: 0,
  bytesOut: 0,
  endpoint: null,
  node: "host-a",
  trace: null
})

/** A sink whose writes end when the test says so. */
class SlowSink implements TextSink {
  readonly writes: Array<string> = []
  done: ((error: Error | undefined) => void) | undefined
  reopened = 0
  closed = false
  write(text: string, done: (error: Error | undefined) => void): void {
    this.writes.push(text)
    this.done = done
  }
  finish(error?: Error): void {
    const done = this.done
    this.done = undefined
    done?.(error)
  }
  reopen(): void {
    this.reopened++
  }
  close(): void {
    this.closed = true
  }
}

const make = (limit?: number) => {
  const registry = new MetricRegistry()
  const sink = new SlowSink()
  const ticks: Array<() => void> = []
  const errors: Array<Error> = []
  const log = new AccessLog({
    sink,
    registry,
    soon: (flush) => ticks.push(flush),
    onError: (error) => errors.push(error),
    ...(limit === undefined ? {} : { limit })
  })
  const lines = (result: "written" | "dropped") =>
    registry.counter("skein_access_log_lines_total", "").cell({ result }).value
  const tick = () => {
    for (const flush of ticks.splice(0)) flush()
  }
  return { log, sink, ticks, tick, errors, lines }
}

const targets = (text: string): Array<string> =>
  text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line).target)

describe("AccessLog", () => {
  test("the lines of one turn are one write, those during a write the next", () => {
    const { log, sink, ticks, tick, lines } = make()
    log.log(entry("/1"))
    log.log(entry("/2"))
    expect(ticks.length).toBe(1)
    tick()
    log.log(entry("/3"))
    log.log(entry("/4"))
    expect(sink.writes.map(targets)).toEqual([["/1", "/2"]])
    sink.finish()
    expect(sink.writes.map(targets)).toEqual([
      ["/1", "/2"],
      ["/3", "/4"]
    ])
    sink.finish()
    expect(lines("written")).toBe(4)
    expect(lines("dropped")).toBe(0)
  })

  test("a slow disk costs lines, not memory", () => {
    const { log, sink, tick, lines } = make(1_000)
    for (let i = 0; i < 100; i++) log.log(entry("/1"))
    tick()
    for (let i = 0; i < 100; i++) log.log(entry("/2"))
    const size = JSON.stringify(entry("/1")).length + 1
    const room = Math.floor(1_000 / size)
    expect(targets(sink.writes[0]!).length).toBe(room)
    expect(lines("dropped")).toBe(200 - room)
    sink.finish()
    log.log(entry("/3"))
    tick()
    expect(targets(sink.writes[1]!)).toEqual(["/3"])
  })

  test("a failed write is told and counted, the next goes on", () => {
    const { log, sink, tick, errors, lines } = make()
    log.log(entry("/1"))
    tick()
    sink.finish(new Error("ENOSPC"))
    expect(errors.map(({ message }) => message)).toEqual(["ENOSPC"])
    log.log(entry("/2"))
    tick()
    sink.finish()
    expect([lines("written"), lines("dropped")]).toEqual([1, 1])
  })

  test("reopening waits for the write under way", () => {
    const { log, sink, tick } = make()
    log.log(entry("/1"))
    tick()
    log.reopen()
    expect(sink.reopened).toBe(0)
    sink.finish()
    expect(sink.reopened).toBe(1)
    log.reopen()
    expect(sink.reopened).toBe(2)
  })

  test("closing writes the rest and takes no more", async () => {
    const { log, sink, tick, lines } = make()
    log.log(entry("/1"))
    tick()
    log.log(entry("/2"))
    const closed = log.close()
    log.log(entry("/3"))
    sink.finish()
    expect(sink.closed).toBe(false)
    sink.finish()
    await closed
    expect(sink.closed).toBe(true)
    expect(sink.writes.map(targets)).toEqual([["/1"], ["/2"]])
    expect(lines("dropped")).toBe(1)
  })
})

describe("lines of another thread", () => {
  const size = JSON.stringify(entry("/1")).length + 1

  test("are written as they are, in the order they came, and counted", () => {
    const { log, sink, tick, lines } = make()
    const thread = new AccessLines()
    log.log(entry("/1"))
    for (const target of ["/2", "/3"]) thread.log(entry(target))
    log.write(thread.takeLines())
    log.log(entry("/4"))
    tick()
    expect(sink.writes.map(targets)).toEqual([["/1", "/2", "/3", "/4"]])
    sink.finish()
    expect([lines("written"), lines("dropped")]).toEqual([4, 0])
    expect(thread.isWaiting).toBe(false)
    log.write(thread.takeLines())
    expect(sink.done).toBeUndefined()
  })

  test("are bounded there, and what is lost is counted here", () => {
    const { log, sink, tick, lines } = make()
    const thread = new AccessLines(2 * size)
    for (const target of ["/1", "/2", "/3"]) thread.log(entry(target))
    expect(thread.isWaiting).toBe(true)
    log.write(thread.takeLines())
    tick()
    sink.finish()
    expect(sink.writes.map(targets)).toEqual([["/1", "/2"]])
    expect([lines("written"), lines("dropped")]).toEqual([2, 1])
  })

  test("are cut between lines where there is room for some only, and dropped where for none", async () => {
    const { log, sink, tick, lines } = make(Math.floor(2.5 * size))
    const thread = new AccessLines()
    const batch = () => {
      for (const target of ["/1", "/2", "/3"]) thread.log(entry(target))
      return thread.takeLines()
    }
    log.write(batch())
    log.write(batch())
    tick()
    expect(sink.writes.map(targets)).toEqual([["/1", "/2"]])
    expect(lines("dropped")).toBe(4)
    sink.finish()
    const closed = log.close()
    log.write(batch())
    await closed
    expect([lines("written"), lines("dropped"), sink.writes.length]).toEqual([2, 7, 1])
  })
})

describe("FileSink", () => {
  const write = (sink: FileSink, text: string) =>
    new Promise<Error | undefined>((resolve) => sink.write(text, resolve))

  test("appends, and after reopen writes to the new file", async () => {
    const directory = mkdtempSync(join(tmpdir(), "skein-log-"))
    const path = join(directory, "access.log")
    const sink = new FileSink(path)
    await write(sink, "one\n")
    renameSync(path, `${path}.1`)
    await write(sink, "two\n")
    sink.reopen()
    await write(sink, "three\n")
    sink.close()
    expect(readFileSync(`${path}.1`, "utf8")).toBe("one\ntwo\n")
    expect(readFileSync(path, "utf8")).toBe("three\n")
    rmSync(directory, { recursive: true })
  })

  test("a path that cannot be opened is an error, and is tried again", async () => {
    const directory = mkdtempSync(join(tmpdir(), "skein-log-"))
    const moved = `${directory}-gone`
    renameSync(directory, moved)
    const sink = new FileSink(join(directory, "access.log"))
    expect((await write(sink, "one\n"))?.message).toContain("ENOENT")
    renameSync(moved, directory)
    expect(await write(sink, "two\n")).toBeUndefined()
    sink.close()
    rmSync(directory, { recursive: true })
  })
})
