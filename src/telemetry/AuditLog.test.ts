import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import fc from "fast-check"
import { afterAll, describe, expect, it, vi } from "vitest"
import type { AuditEvent } from "../model/AuditEvent.ts"
import { MetricRegistry } from "../request/cells/Metrics.ts"
import { ManualTicker } from "../testing/LinkTestPair.ts"
import { AuditFile } from "./AuditFile.ts"
import { AuditGather, auditFields, auditLimits, auditLine } from "./AuditGather.ts"
import { AuditLog, type AuditSink } from "./AuditLog.ts"

const denied = (by: string): AuditEvent => ({ event: "access.denied", by, code: "rule-1" })
const invited: AuditEvent = { event: "key.invite", by: "host-a" }

describe("what callers and strangers can cause", () => {
  const gather = () => {
    const told: Array<readonly [string | undefined, number]> = []
    return { told, it: new AuditGather(({ about, by }, count) => told.push([by ?? about, count])) }
  }

  it("is told at once, then counted while it goes on, then forgotten", () => {
    const { told, it } = gather()
    it.note(denied("orders"), 0)
    for (let now = 1; now < 5_000; now++) it.note(denied("orders"), now)
    it.pass(9_999)
    expect(told).toEqual([["orders", 1]])
    it.pass(10_000)
    expect(told).toEqual([
      ["orders", 1],
      ["orders", 4_999]
    ])
    it.pass(20_000)
    it.note(denied("orders"), 20_001)
    expect(told.slice(2)).toEqual([["orders", 1]])
  })

  it("is told once per caller, and in sum beyond the bound", () => {
    const { told, it } = gather()
    for (let index = 0; index < 10_000; index++) it.note(denied(`caller-${index}`), 0)
    expect(told.length).toBe(auditLimits.kinds)
    it.pass(auditLimits.window)
    expect(told.slice(auditLimits.kinds)).toEqual([["others", 10_000 - auditLimits.kinds]])
  })

  it("is one stranger's whatever the port it calls from", () => {
    const { told, it } = gather()
    const refused = (from: string): AuditEvent => ({ event: "door.refused", about: from, from })
    for (let port = 40_000; port < 41_000; port++) {
      it.note({ ...refused(`/ip4/192.0.2.1/tcp/${port}`), about: "v4" }, 0)
      const at = `/ip6/2001:db8::${port.toString(16)}/tcp/${port}`
      it.note({ ...refused(at), about: "v6" }, 0)
      it.note({ ...refused("/ip4/192.0.2.2/tcp/4001"), about: "v4" }, 0)
    }
    expect(told).toEqual([
      ["v4", 1],
      ["v6", 1],
      ["v4", 1]
    ])
    it.pass(auditLimits.window)
    expect(told.slice(3).map(([, count]) => count)).toEqual([999, 999, 999])
  })

  it("counts what was counted already, and tells the rest at the end", () => {
    const { told, it } = gather()
    it.note({ ...denied("a"), count: 7 }, 0)
    it.note({ ...denied("a"), count: 5 }, 1)
    it.finish()
    expect(told).toEqual([
      ["a", 7],
      ["a", 5]
    ])
  })

  it("never loses count", () => {
    const noted = fc.record({ by: fc.integer({ min: 0, max: 2_000 }), wait: fc.nat(4_000) })
    fc.assert(
      fc.property(fc.array(noted, { maxLength: 3_000 }), (all) => {
        let sum = 0
        const it = new AuditGather((_, count) => {
          sum += count
        })
        let now = 0
        for (const { by, wait } of all) {
          now += wait
          it.note(denied(String(by)), now)
          it.pass(now)
        }
        it.finish()
        expect(sum).toBe(all.length)
      }),
      { numRuns: 30 }
    )
  })

  it("what people do is told each time", () => {
    const { told, it } = gather()
    for (let index = 0; index < 3; index++) it.note(invited, 0)
    expect(told).toEqual([
      ["host-a", 1],
      ["host-a", 1],
      ["host-a", 1]
    ])
  })
})

describe("a line", () => {
  it("has the time, the node and what was said", () => {
    const more = { members: 3 }
    const line = auditLine(
      auditFields(
        { event: "control.done", from: "admin.sock", about: "/api/v1/drain", more },
        "host-a",
        0,
        1,
        undefined
      )
    )
    expect(line).toBe(
      '{"time":"1970-01-01T00:00:00.000Z","node":"host-a","event":"control.done","from":"admin.sock","about":"/api/v1/drain","more":{"members":3}}\n'
    )
    expect(auditLine(auditFields(invited, "a", 0, 4, 10_000))).toContain(
      '"count":4,"withinMs":10000}'
    )
  })

  it("is one, short, and of its own fields, whatever others wrote", () => {
    const text = fc.string({ unit: "binary", maxLength: 2_000 })
    fc.assert(
      fc.property(text, fc.dictionary(text, text), (words, more) => {
        const event: AuditEvent = { event: "door.refused", by: words, message: words, more }
        const line = auditLine(auditFields(event, "a", 0, 1, undefined))
        expect(line.slice(0, -1)).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/)
        expect(line.at(-1)).toBe("\n")
        expect(line.length).toBeLessThan(700_000)
        const read = JSON.parse(line)
        expect(read).toMatchObject({ event: "door.refused", node: "a" })
        expect(words.startsWith(read.by.replace(/…$/, ""))).toBe(true)
      })
    )
  })
})

const directory = mkdtempSync(join(tmpdir(), "skein-audit-"))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

describe("the file", () => {
  it("is this user's, moved aside in time, and bounded with all that were", async () => {
    const path = join(directory, "audit.log")
    const file = new AuditFile({ path, maxBytes: 100, files: 3 })
    for (let index = 0; index < 60; index++) await file.append(`line ${index}\n`.padStart(20, "-"))
    expect(readdirSync(directory).sort()).toEqual(["audit.log", "audit.log.1", "audit.log.2"])
    expect(statSync(path).mode & 0o777).toBe(0o600)
    const text = ["audit.log.2", "audit.log.1", "audit.log"].map((name) =>
      readFileSync(join(directory, name), "utf8")
    )
    expect(text.every(({ length }) => length <= 100)).toBe(true)
    // The latest are all there, in their order.
    const numbers = text.join("").match(/\d+/g)?.map(Number)
    expect(numbers).toEqual(Array.from({ length: 15 }, (_, index) => index + 45))
  })
})

class SlowDisk implements AuditSink {
  text = ""
  broken = false
  async append(text: string): Promise<void> {
    await Promise.resolve()
    if (this.broken) throw new Error("ENOSPC")
    this.text += text
  }
}

describe("the log", () => {
  const make = () => {
    const disk = new SlowDisk()
    const ticker = new ManualTicker()
    const troubles: Array<string> = []
    const registry = new MetricRegistry()
    const onTrouble = (message: string) => troubles.push(message)
    const log = new AuditLog({ node: "host-a", sink: disk, ticker, registry, onTrouble })
    const events = () =>
      disk.text
        .split("\n")
        .filter(Boolean)
        .map((line) => JSON.parse(line))
    return { disk, ticker, troubles, log, events }
  }
  const settle = () => new Promise((resolve) => setImmediate(resolve))

  it("writes in order, and what is left when it closes", async () => {
    const { events, log } = make()
    for (let index = 0; index < 5; index++) log.record({ ...invited, about: String(index) })
    log.record(denied("x"))
    log.record(denied("x"))
    await log.close()
    expect(events().map(({ about, count, event }) => about ?? count ?? event)).toEqual([
      ...["0", "1", "2", "3", "4", "access.denied", 1]
    ])
  })

  it("looks at nothing again where nothing is counted or waits", async () => {
    const { events, log, ticker } = make()
    const after = vi.spyOn(ticker, "after")
    log.record(invited)
    await settle()
    ticker.advance(60_000)
    // Once, since the disk had not taken it at once.
    expect(after.mock.calls.length).toBeLessThanOrEqual(1)
    log.record(denied("x"))
    log.record(denied("x"))
    ticker.advance(10_500)
    await settle()
    expect(events().map(({ count, event }) => count ?? event)).toEqual([
      ...["key.invite", "access.denied", 1]
    ])
    ticker.advance(30_000)
    const looked = after.mock.calls.length
    expect(looked).toBeGreaterThan(10)
    ticker.advance(60_000)
    expect(after.mock.calls.length).toBe(looked)
    await log.close()
  })

  it("keeps what a full disk does not take, tells once, and counts what is beyond the bound", async () => {
    const { disk, events, log, ticker, troubles } = make()
    disk.broken = true
    const about = "x".repeat(500)
    for (let index = 0; index < 3_000; index++) {
      log.record({ ...invited, about, message: String(index) })
    }
    await settle()
    ticker.advance(1_000)
    await settle()
    expect(troubles).toEqual(["ENOSPC"])
    expect(events()).toEqual([])
    disk.broken = false
    ticker.advance(1_000)
    await log.close()
    const written = events()
    expect(written.length).toBeGreaterThan(1_000)
    const last = written.at(-1)
    expect(last.event).toBe("audit.lost")
    expect(written.length - 1 + last.count).toBe(3_000)
    expect(written.slice(0, -1).map(({ message }) => Number(message))).toEqual(
      written.slice(0, -1).map((_, index) => index)
    )
  })
})
