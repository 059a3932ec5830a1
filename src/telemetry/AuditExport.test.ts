import http from "node:http"
import type { AddressInfo } from "node:net"
import { afterEach, describe, expect, it } from "vitest"
import type { AuditEvent } from "../model/AuditEvent.ts"
import { MetricRegistry } from "../request/cells/Metrics.ts"
import { ManualTicker } from "../testing/LinkTestPair.ts"
import { AuditExport, auditExportLimits, BatchRefused } from "./AuditExport.ts"
import { type AuditFields, auditFields } from "./AuditGather.ts"
import { logsUrl, makeOtlpAudit } from "./OtlpAudit.ts"

const fields = (event: AuditEvent, count = 1) =>
  auditFields(event, "host-a", 1_234, count, undefined)
const invited = (about: number): AuditFields =>
  fields({ event: "key.invite", by: "host-a", about: String(about) })

const settle = () => new Promise((resolve) => setImmediate(resolve))

const make = () => {
  const ticker = new ManualTicker()
  const registry = new MetricRegistry()
  const batches: Array<ReadonlyArray<AuditFields>> = []
  const told: Array<string> = []
  const collector: { answer: Error | undefined } = { answer: undefined }
  const it = new AuditExport({
    send: (records) => {
      if (collector.answer !== undefined) return Promise.reject(collector.answer)
      batches.push(records)
      return Promise.resolve()
    },
    gap: (lost) => fields({ event: "audit.lost" }, lost),
    ...{ ticker, registry },
    onTrouble: (cause) => told.push(cause),
    onRecovered: (lost) => told.push(`well again, ${lost} lost`)
  })
  const pass = async (ms: number) => {
    for (let left = ms; left > 0; left -= 250) {
      ticker.advance(250)
      await settle()
    }
  }
  const counted = (result: string) =>
    registry.counter("skein_audit_exported_total", "", ["result"]).cell({ result }).value
  const add = (from: number, to: number) => {
    for (let index = from; index < to; index++) it.add(invited(index), 100)
  }
  return { batches, told, collector, it, pass, counted, add }
}

describe("events on their way to a collector", () => {
  it("go out in order, in batches, within a second", async () => {
    const { add, batches, counted, it, pass, told } = make()
    add(0, 600)
    expect(batches).toEqual([])
    await pass(1_500)
    expect(batches.map(({ length }) => length)).toEqual([256, 256, 88])
    expect(batches.flat().map(({ about }) => Number(about))).toEqual(
      Array.from({ length: 600 }, (_, index) => index)
    )
    add(600, 610)
    await it.close()
    expect([counted("exported"), counted("dropped"), told]).toEqual([610, 0, []])
  })

  it("wait for one that is away, up to a bound, and it is told how many were lost", async () => {
    const { add, batches, collector, counted, pass, told } = make()
    const { records } = auditExportLimits
    collector.answer = new Error("ECONNREFUSED")
    add(0, records + 52)
    await pass(60_000)
    expect([told, counted("dropped"), batches]).toEqual([["ECONNREFUSED"], 52, []])
    collector.answer = undefined
    await pass(40_000)
    const all = batches.flat()
    expect(all.filter(({ event }) => event === "audit.lost").map(({ count }) => count)).toEqual([
      52
    ])
    expect(all.filter(({ event }) => event === "key.invite")).toHaveLength(records)
    expect([told[1], counted("exported")]).toEqual(["well again, 52 lost", records])
  })

  it("are bounded by their length too", () => {
    const { counted, it } = make()
    for (let index = 0; index < 30; index++) it.add(invited(index), 100_000)
    expect(counted("dropped")).toBe(20)
  })

  it("are given up when it refuses them, and what comes after is not held up", async () => {
    const { add, batches, collector, counted, pass } = make()
    collector.answer = new BatchRefused("HTTP 400")
    add(0, 3)
    await pass(1_000)
    expect(counted("dropped")).toBe(3)
    collector.answer = undefined
    add(3, 4)
    await pass(3_000)
    expect(batches.flat().map(({ about, count, event }) => about ?? `${event} ${count}`)).toEqual([
      "3",
      "audit.lost 3"
    ])
  })

  it("are lost and counted when it is away at the end", async () => {
    const { add, collector, counted, it } = make()
    collector.answer = new Error("gone")
    add(0, 300)
    await it.close()
    expect(counted("dropped")).toBe(300)
  })
})

describe("over OTLP", () => {
  const servers: Array<http.Server> = []
  afterEach(() => {
    for (const server of servers.splice(0)) server.close()
  })
  const collect = async (status: number) => {
    const asked: Array<{ readonly url: string; readonly type: string; readonly body: unknown }> = []
    const server = http.createServer((request, response) => {
      let text = ""
      request.on("data", (part: Buffer) => {
        text += part.toString("utf8")
      })
      request.on("end", () => {
        const { headers, url = "" } = request
        asked.push({ url, type: String(headers["content-type"]), body: JSON.parse(text) })
        response.writeHead(status).end("{}")
      })
    })
    servers.push(server)
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
    const { port } = server.address() as AddressInfo
    const otlp = `http://127.0.0.1:${port}`
    return { asked, otlp, audit: makeOtlpAudit({ otlp, node: "host-a", mesh: "0f", version: "1" }) }
  }

  it("each is a log record with its time, severity and attributes, whatever others wrote", async () => {
    const { asked, audit } = await collect(200)
    const message = 'evil\n{"event":"key.invite"}\u2028\u0000"'
    const denied = fields(
      {
        ...{ event: "access.denied", by: "service/web", from: "host-b", about: "payments" },
        ...{
          code: "unmatched",
          message,
          more: { id: "spiffe://0f/service/web", hosts: ["a", "b"] }
        }
      },
      7
    )
    await audit.send([denied, invited(1)])
    await audit.close()
    const text = (stringValue: string) => ({ stringValue })
    const attributes = (of: Readonly<Record<string, unknown>>) =>
      Object.entries(of).map(([key, value]) => ({ key, value }))
    expect(asked).toEqual([
      {
        ...{ url: "/v1/logs", type: "application/json" },
        body: {
          resourceLogs: [
            {
              resource: {
                attributes: attributes({
                  "service.name": text("skein"),
                  "service.version": text("1"),
                  "service.instance.id": text("host-a"),
                  "skein.node": text("host-a"),
                  "skein.mesh": text("0f")
                }),
                droppedAttributesCount: 0
              },
              scopeLogs: [
                {
                  scope: { name: "skein.audit", version: "1" },
                  logRecords: [
                    {
                      ...{ timeUnixNano: "1234000000", observedTimeUnixNano: "1234000000" },
                      ...{ severityNumber: 13, severityText: "WARN", eventName: "access.denied" },
                      body: text(message),
                      attributes: attributes({
                        "event.name": text("access.denied"),
                        "skein.by": text("service/web"),
                        "skein.from": text("host-b"),
                        "skein.about": text("payments"),
                        "skein.code": text("unmatched"),
                        "skein.count": { intValue: 7 },
                        "skein.more.id": text("spiffe://0f/service/web"),
                        "skein.more.hosts": { arrayValue: { values: [text("a"), text("b")] } }
                      }),
                      droppedAttributesCount: 0
                    },
                    {
                      ...{ timeUnixNano: "1234000000", observedTimeUnixNano: "1234000000" },
                      ...{ severityNumber: 9, severityText: "INFO", eventName: "key.invite" },
                      body: text("key.invite"),
                      attributes: attributes({
                        "event.name": text("key.invite"),
                        "skein.by": text("host-a"),
                        "skein.about": text("1")
                      }),
                      droppedAttributesCount: 0
                    }
                  ]
                }
              ]
            }
          ]
        }
      }
    ])
  })

  it("what it refuses for good is told apart from what may be taken later", async () => {
    const { audit } = await collect(400)
    await expect(audit.send([invited(1)])).rejects.toBeInstanceOf(BatchRefused)
    const gone = makeOtlpAudit({ otlp: "http://127.0.0.1:1", node: "a", mesh: "b", version: "1" })
    const failure = await gone.send([invited(1)]).catch((error: unknown) => error)
    expect(failure).toBeInstanceOf(Error)
    expect(failure).not.toBeInstanceOf(BatchRefused)
  })

  it("the collector's address may be given with or without the path", () => {
    expect(logsUrl("http://c:4318")).toBe("http://c:4318/v1/logs")
    expect(logsUrl("http://c/otlp/")).toBe("http://c/otlp/v1/logs")
    expect(logsUrl("http://c/v1/logs")).toBe("http://c/v1/logs")
  })
})
