/**
 * Audit events as OTLP log records, over HTTP. Loaded only when a collector is configured. What an event
 * says stands in attributes; nothing in a record is read as anything but text, so there is nothing to
 * escape.
 */
import { OTLPExporterError } from "@opentelemetry/otlp-exporter-base"
import {
  convertLegacyHttpOptions,
  createOtlpHttpExportDelegate
} from "@opentelemetry/otlp-exporter-base/node-http"
import { JsonLogsSerializer, LogsExporterMetricsHelper } from "@opentelemetry/otlp-transformer"
import { resourceFromAttributes } from "@opentelemetry/resources"
import type { AuditValue } from "../model/AuditEvent.ts"
import { BatchRefused } from "./AuditExport.ts"
import type { AuditFields } from "./AuditGather.ts"

export interface OtlpAuditOptions {
  /** The collector, e.g. `http://127.0.0.1:4318`; `/v1/logs` is added unless it is there. */
  readonly otlp: string
  readonly node: string
  readonly mesh: string
  readonly version: string
}

export interface OtlpAudit {
  readonly send: (records: ReadonlyArray<AuditFields>) => Promise<void>
  readonly close: () => Promise<void>
}

type LogRecord = Parameters<typeof JsonLogsSerializer.serializeRequest>[0][number]

/** One attempt to hand over a batch, with its retries, ms. */
const exportTimeout = 3_000

/** The URL that takes logs. */
export const logsUrl = (otlp: string): string => {
  const url = new URL(otlp)
  if (!url.pathname.endsWith("/v1/logs")) {
    url.pathname = `${url.pathname.replace(/\/$/, "")}/v1/logs`
  }
  return url.href
}

/** OTLP's numbers: what somebody should look at is a warning. */
const severities = { info: 9, warn: 13 } as const
const warned =
  /^(access\.denied|audit\.lost|control\.refused|door\.refused|invite\.overused|trust\..*)$/

const isList = (value: AuditValue): value is ReadonlyArray<string> => Array.isArray(value)

const later = new Set([408, 429])

/** Whether trying again could help. */
const failure = (error: Error | undefined): Error => {
  const code = error instanceof OTLPExporterError ? (error.code ?? 0) : 0
  const message = error?.message || "the collector cannot be reached"
  return code >= 400 && code < 500 && !later.has(code)
    ? new BatchRefused(`HTTP ${code}: ${message}`)
    : new Error(message)
}

export const makeOtlpAudit = ({ mesh, node, otlp, version }: OtlpAuditOptions): OtlpAudit => {
  const resource = resourceFromAttributes({
    "service.name": "skein",
    "service.version": version,
    "service.instance.id": node,
    "skein.node": node,
    "skein.mesh": mesh
  })
  const instrumentationScope = { name: "skein.audit", version }

  const recordOf = ({ event, message, more, node: _, time, ...fields }: AuditFields): LogRecord => {
    const at = Date.parse(time)
    const hrTime: [number, number] = [Math.floor(at / 1_000), (at % 1_000) * 1_000_000]
    const severity = warned.test(event) ? "warn" : "info"
    const attributes: LogRecord["attributes"] = {}
    for (const [name, value] of Object.entries(fields)) attributes[`skein.${name}`] = value
    for (const [name, value] of Object.entries(more ?? {})) {
      attributes[`skein.more.${name}`] = isList(value) ? [...value] : value
    }
    return {
      ...{ hrTime, hrTimeObserved: hrTime, resource, instrumentationScope },
      severityNumber: severities[severity],
      severityText: severity.toUpperCase(),
      eventName: event,
      body: message ?? event,
      // Collectors from before event names find it here.
      attributes: { "event.name": event, ...attributes },
      droppedAttributesCount: 0
    }
  }

  const delegate = createOtlpHttpExportDelegate(
    convertLegacyHttpOptions(
      // One batch at a time, and one more at the end.
      { url: logsUrl(otlp), timeoutMillis: exportTimeout, concurrencyLimit: 2 },
      "LOGS",
      "v1/logs",
      { "Content-Type": "application/json" }
    ),
    JsonLogsSerializer,
    "otlp_http_log_exporter",
    LogsExporterMetricsHelper,
    undefined
  )
  return {
    send: (records) =>
      new Promise((resolve, reject) => {
        delegate.export(records.map(recordOf), ({ code, error }) =>
          code === 0 ? resolve() : reject(failure(error))
        )
      }),
    close: () => delegate.shutdown()
  }
}
