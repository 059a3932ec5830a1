import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { MetricRegistry } from "../request/cells/Metrics.ts"
import { prometheusText } from "./PrometheusText.ts"

interface Sample {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

interface Parsed {
  readonly types: Map<string, string>
  readonly samples: Array<Sample>
}

const namePattern = /^[a-zA-Z_:][a-zA-Z0-9_:]*/
const labelPattern = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\\\|\\"|\\n)*)"(,|\})/

/** The text exposition format, version 0.0.4; throws at the first line that is not. */
const parse = (text: string): Parsed => {
  const types = new Map<string, string>()
  const samples: Array<Sample> = []
  if (!text.endsWith("\n")) throw new Error("the last line must end with a line feed")
  for (const line of text.split("\n")) {
    if (line === "") continue
    if (line.startsWith("#")) {
      const type = /^# TYPE (\S+) (counter|gauge|histogram)$/.exec(line)
      if (type === null) {
        if (!/^# HELP \S+ .+$/.test(line)) throw new Error(`comment: ${line}`)
        continue
      }
      if (types.has(type[1]!)) throw new Error(`TYPE twice: ${line}`)
      types.set(type[1]!, type[2]!)
      continue
    }
    const name = namePattern.exec(line)?.[0]
    if (name === undefined) throw new Error(`name: ${line}`)
    let rest = line.slice(name.length)
    const labels: Record<string, string> = {}
    if (rest.startsWith("{")) {
      rest = rest.slice(1)
      for (;;) {
        const label = labelPattern.exec(rest)
        if (label === null) throw new Error(`label: ${line}`)
        labels[label[1]!] = label[2]!.replace(/\\(.)/g, (_, c: string) => (c === "n" ? "\n" : c))
        rest = rest.slice(label[0].length)
        if (label[3] === "}") break
      }
    }
    const value = /^ (\S+)$/.exec(rest)?.[1]
    if (value === undefined || (Number.isNaN(Number(value)) && !/^([+-]Inf|NaN)$/.test(value))) {
      throw new Error(`value: ${line}`)
    }
    const family = types.has(name) ? name : name.replace(/_(bucket|sum|count)$/, "")
    if (!types.has(family)) throw new Error(`no TYPE before ${line}`)
    samples.push({
      name,
      labels,
      value: value === "+Inf" ? Number.POSITIVE_INFINITY : Number(value)
    })
  }
  return { types, samples }
}

describe("prometheusText", () => {
  test("counters, gauges and histograms as the format wants them", () => {
    const registry = new MetricRegistry()
    registry.counter("skein_a_total", "As.").cell({ service: "x" }).inc(3)
    registry.gauge("skein_b", "Bs.").cell({}).set(-1.5)
    const histogram = registry
      .histogram("skein_c_seconds", "Cs.", ["service"], [7.5, 10])
      .cell({ service: "x" })
    for (const value of [0.5, 7.5, 9, 100]) histogram.record(value)
    registry.gauge("skein_unused", "No cell, no lines.")

    const { types, samples } = parse(prometheusText(registry))
    expect(Object.fromEntries(types)).toEqual({
      skein_a_total: "counter",
      skein_b: "gauge",
      skein_c_seconds: "histogram"
    })
    expect(samples).toEqual([
      { name: "skein_a_total", labels: { service: "x" }, value: 3 },
      { name: "skein_b", labels: {}, value: -1.5 },
      { name: "skein_c_seconds_count", labels: { service: "x" }, value: 4 },
      { name: "skein_c_seconds_sum", labels: { service: "x" }, value: 0.117 },
      { name: "skein_c_seconds_bucket", labels: { service: "x", le: "0.0075" }, value: 2 },
      { name: "skein_c_seconds_bucket", labels: { service: "x", le: "0.01" }, value: 3 },
      { name: "skein_c_seconds_bucket", labels: { service: "x", le: "+Inf" }, value: 4 }
    ])
  })

  test("collectors run before each scrape", () => {
    const registry = new MetricRegistry()
    let scrapes = 0
    registry.onCollect(() => registry.gauge("g", "").cell({}).set(++scrapes))
    expect(parse(prometheusText(registry)).samples[0]?.value).toBe(1)
    expect(parse(prometheusText(registry)).samples[0]?.value).toBe(2)
  })

  // What has a meaning in the format, and some that has none.
  const unit = fc.constantFrom(...'ab0 "\\\n\r\t{},=#', "ü", "\u2028", "😀")

  test("any label value comes back as it was", () => {
    fc.assert(
      fc.property(fc.string({ unit }), (service) => {
        const registry = new MetricRegistry()
        registry.counter("skein_a_total", "").cell({ service }).inc()
        expect(parse(prometheusText(registry)).samples[0]?.labels["service"]).toBe(service)
      })
    )
  })
})
