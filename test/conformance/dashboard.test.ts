/** Every query of the Grafana dashboard asks for metrics and labels that a node has. */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { Schema } from "effect"
import { describe, expect, it } from "vitest"
import { parseQuery } from "./PromQl.ts"

const root = join(import.meta.dirname, "../..")
const read = (file: string) => readFileSync(join(root, file), "utf8")

const Target = Schema.Struct({
  refId: Schema.String,
  expr: Schema.NonEmptyString,
  legendFormat: Schema.String,
  datasource: Schema.Struct({ type: Schema.Literal("prometheus"), uid: Schema.String })
})

const Dashboard = Schema.Struct({
  title: Schema.String,
  uid: Schema.String,
  panels: Schema.Array(
    Schema.Struct({
      id: Schema.Int,
      type: Schema.Literal("row", "timeseries", "stat", "table"),
      title: Schema.NonEmptyString,
      gridPos: Schema.Struct({ x: Schema.Int, y: Schema.Int, w: Schema.Int, h: Schema.Int }),
      fieldConfig: Schema.optional(
        Schema.Struct({ defaults: Schema.Struct({ unit: Schema.optional(Schema.String) }) })
      ),
      targets: Schema.optionalWith(Schema.Array(Target), { default: () => [] })
    })
  ),
  templating: Schema.Struct({
    list: Schema.Array(
      Schema.Struct({
        name: Schema.String,
        type: Schema.String,
        definition: Schema.optional(Schema.String)
      })
    )
  })
})

const dashboard = Schema.decodeUnknownSync(Dashboard)(
  JSON.parse(read("mesh-nodes/grafana/skein.json"))
)

interface Metric {
  readonly type: string
  readonly labels: ReadonlyArray<string>
}

/** Of the tables of docs/metrics.md, which another test holds to a running node. */
const metrics = new Map(
  [...read("docs/metrics.md").matchAll(/^\| `(\w+)` \| (\w+) \| (.*?) \| /gm)].map(
    ([, name = "", type = "", labels = ""]): readonly [string, Metric] => [
      name,
      { type, labels: [...labels.matchAll(/`(\w+)`/g)].map(([, label = ""]) => label) }
    ]
  )
)

/** Added to everything by whoever scrapes. */
const ofScrape = ["instance", "job"]

const labelsOf = (series: string): ReadonlyArray<string> => {
  const plain = metrics.get(series)
  if (plain !== undefined && plain.type !== "histogram") return [...plain.labels, ...ofScrape]
  const [, name = "", part = ""] = /^(.*)_(bucket|sum|count)$/.exec(series) ?? []
  const histogram = metrics.get(name)
  if (histogram?.type !== "histogram") throw new Error(`no node has a metric ${series}`)
  return [...histogram.labels, ...ofScrape, ...(part === "bucket" ? ["le"] : [])]
}

const variables = dashboard.templating.list.map(({ name }) => name)

/** As Grafana does it, with every variable at All. */
const filledIn = (expression: string): string => {
  const unknown = [...expression.matchAll(/\$\{?(\w+)/g)]
    .map(([, name = ""]) => name)
    .filter((name) => !variables.includes(name) && name !== "__rate_interval")
  if (unknown.length > 0) throw new Error(`no variable ${unknown.join(", ")}: ${expression}`)
  return expression.replaceAll("$__rate_interval", "5m").replaceAll(/\$\{?\w+\}?/g, ".*")
}

const targets = dashboard.panels.flatMap(({ title, targets }) =>
  targets.map((target) => ({ title, ...target }))
)

describe("the dashboard", () => {
  it.each(targets)("$title ($refId) asks for what a node has", ({ expr, legendFormat }) => {
    const { asked, grouped } = parseQuery(filledIn(expr))
    expect(asked.length).toBeGreaterThan(0)
    for (const { metric, matched } of asked) {
      const labels = labelsOf(metric)
      expect(matched.filter((label) => !labels.includes(label))).toEqual([])
    }
    const known = new Set(asked.flatMap(({ metric }) => labelsOf(metric)))
    expect(grouped.filter((label) => !known.has(label))).toEqual([])
    // What a legend names must still be there after the query has grouped.
    const named = [...legendFormat.matchAll(/\{\{(\w+)\}\}/g)].map(([, label = ""]) => label)
    expect(named.filter((label) => !grouped.includes(label))).toEqual([])
  })

  it.each(targets)("$title ($refId) takes rates of counters only", ({ expr }) => {
    for (const [, series = ""] of expr.matchAll(/\b(?:rate|increase)\((\w+)/g)) {
      const name = series.replace(/_(bucket|sum|count)$/, "")
      expect(["counter", "histogram"]).toContain((metrics.get(series) ?? metrics.get(name))?.type)
    }
  })

  it("lets the data source, nodes and services be chosen", () => {
    expect(variables).toEqual(["datasource", "instance", "service"])
    for (const { definition } of dashboard.templating.list) {
      if (definition === undefined) continue
      const [, query = "", label = ""] = /^label_values\((.*), (\w+)\)$/.exec(definition) ?? []
      const [first] = parseQuery(filledIn(query)).asked
      expect(labelsOf(first?.metric ?? "")).toContain(label)
    }
    for (const { datasource } of targets) expect(datasource.uid).toMatch(/^\$\{datasource\}$/)
  })

  it("shows seconds where metrics are in seconds, and bytes where they are in bytes", () => {
    for (const { title, fieldConfig, targets } of dashboard.panels) {
      const unit = fieldConfig?.defaults.unit
      for (const { expr } of targets) {
        if (/^\w*\(*(histogram_quantile|m\w+ by \(\w+\) \(\w+_seconds\b)/.test(expr)) {
          expect([title, unit]).toEqual([title, "s"])
        }
        if (/_memory_bytes/.test(expr)) expect([title, unit]).toEqual([title, "bytes"])
        if (/rate\(\w+_bytes_total/.test(expr)) expect([title, unit]).toEqual([title, "Bps"])
      }
    }
  })

  it("lays panels out without overlap, each with an id of its own", () => {
    const taken = new Set<string>()
    for (const { title, gridPos } of dashboard.panels) {
      expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24)
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          expect(taken.has(`${x},${y}`), title).toBe(false)
          taken.add(`${x},${y}`)
        }
      }
    }
    expect(new Set(dashboard.panels.map(({ id }) => id)).size).toBe(dashboard.panels.length)
  })
})

describe("the reading of queries", () => {
  it.each(["sum by (service (skein_ready)", "rate(skein_ready[5m]", "sum(", "a == == b"])(
    "refuses %s",
    (text) => {
      expect(() => parseQuery(text)).toThrow("no PromQL")
    }
  )

  it("tells metrics, their matchers and the labels of groups apart", () => {
    expect(parseQuery('sum by (a) (rate(x_total{b="c"}[5m])) * on (d) group_left (e) y')).toEqual({
      asked: [
        { metric: "x_total", matched: ["b"] },
        { metric: "y", matched: [] }
      ],
      grouped: ["a", "d", "e"]
    })
  })
})
