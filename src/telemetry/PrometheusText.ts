/**
 * The registry in Prometheus' text exposition format. Names, escaping and the cumulative buckets
 * are the OpenTelemetry serializer's; the numbers are our cells'.
 */
import type { HrTime } from "@opentelemetry/api"
import { ValueType } from "@opentelemetry/api"
import { PrometheusSerializer } from "@opentelemetry/exporter-prometheus"
import { emptyResource } from "@opentelemetry/resources"
import {
  AggregationTemporality,
  type DataPoint,
  DataPointType,
  type MetricData
} from "@opentelemetry/sdk-metrics"
import type { Labels } from "../request/cells/FamilyFacts.ts"

interface Rows<Kind, Cell> {
  readonly name: string
  readonly help: string
  readonly kind: Kind
  readonly divisor: number
  readonly cells: ReadonlyMap<string, { readonly labels: Labels; readonly cell: Cell }>
}

/** What the text says of a family, be it of one thread or of all. */
export type TextFamily =
  | Rows<"counter", { readonly value: number }>
  | Rows<"gauge", { readonly value: number }>
  | Rows<
      "histogram",
      {
        readonly bounds: ReadonlyArray<number>
        /** One more than bounds. Read once: it may be written meanwhile. */
        readonly counts: Array<number>
        readonly sum: number
      }
    >

/** Content type of what `prometheusText` returns. */
export const prometheusContentType = "text/plain; version=0.0.4; charset=utf-8"

// Timestamps are not part of the output: Prometheus uses the time of the scrape.
const noTime: HrTime = [0, 0]

const point = <Value>(labels: Labels, value: Value): DataPoint<Value> => ({
  startTime: noTime,
  endTime: noTime,
  attributes: { ...labels },
  value
})

const metricData = (family: TextFamily): MetricData => {
  const descriptor = {
    name: family.name,
    description: family.help,
    unit: "",
    valueType: ValueType.DOUBLE
  }
  const aggregationTemporality = AggregationTemporality.CUMULATIVE
  switch (family.kind) {
    case "counter":
      return {
        descriptor,
        aggregationTemporality,
        dataPointType: DataPointType.SUM,
        isMonotonic: true,
        dataPoints: Array.from(family.cells.values(), (of) => point(of.labels, of.cell.value))
      }
    case "gauge":
      return {
        descriptor,
        aggregationTemporality,
        dataPointType: DataPointType.GAUGE,
        dataPoints: Array.from(family.cells.values(), (of) => point(of.labels, of.cell.value))
      }
    case "histogram":
      return {
        descriptor,
        aggregationTemporality,
        dataPointType: DataPointType.HISTOGRAM,
        dataPoints: Array.from(family.cells.values(), ({ labels, cell }) => {
          const { counts } = cell
          return point(labels, {
            buckets: {
              // Divided, not multiplied by a thousandth: the quotient is the decimal's own double.
              boundaries: cell.bounds.map((bound) => bound / family.divisor),
              counts
            },
            sum: cell.sum / family.divisor,
            count: counts.reduce((sum, count) => sum + count, 0)
          })
        })
      }
  }
}

const resource = emptyResource()
const serializer = new PrometheusSerializer(undefined, false, undefined, true, true)

export interface TextSource {
  collect(): void
  readonly families: ReadonlyMap<string, TextFamily>
}

/** Runs the collectors, then renders every family that has a cell. */
export const prometheusText = (source: TextSource): string => {
  source.collect()
  const metrics: Array<MetricData> = []
  for (const family of source.families.values()) {
    if (family.cells.size > 0) metrics.push(metricData(family))
  }
  return serializer.serialize({
    resource,
    scopeMetrics: [{ scope: { name: "skein" }, metrics }]
  })
}
