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
import type { AnyFamily, Labels, MetricRegistry } from "../request/cells/Metrics.ts"

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

const metricData = (family: AnyFamily): MetricData => {
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
        dataPoints: Array.from(family.cells.values(), ({ labels, cell }) =>
          point(labels, {
            buckets: {
              // Divided, not multiplied by a thousandth: the quotient is the decimal's own double.
              boundaries: cell.bounds.map((bound) => bound / family.divisor),
              counts: cell.counts
            },
            sum: cell.sum / family.divisor,
            count: cell.count
          })
        )
      }
  }
}

const resource = emptyResource()
const serializer = new PrometheusSerializer(undefined, false, undefined, true, true)

/** Runs the collectors, then renders every family that has a cell. */
export const prometheusText = (registry: MetricRegistry): string => {
  registry.collect()
  const metrics: Array<MetricData> = []
  for (const family of registry.families.values()) {
    if (family.cells.size > 0) metrics.push(metricData(family))
  }
  return serializer.serialize({
    resource,
    scopeMetrics: [{ scope: { name: "skein" }, metrics }]
  })
}
