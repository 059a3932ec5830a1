/** The audit log of this node, for as long as the node is. */
import { join } from "node:path"
import { Effect, Runtime, type Scope } from "effect"
import type { NodeConfig } from "../config/NodeConfig.ts"
import { noAudit, type RecordAudit } from "../model/AuditEvent.ts"
import type { Ticker } from "../model/Time.ts"
import type { MetricRegistry } from "../request/cells/Metrics.ts"
import { AuditExport } from "../telemetry/AuditExport.ts"
import { AuditFile } from "../telemetry/AuditFile.ts"
import { auditFields } from "../telemetry/AuditGather.ts"
import { AuditLog } from "../telemetry/AuditLog.ts"
import { softwareVersion } from "./Version.ts"

export interface AuditKeeperOptions {
  readonly config: Pick<NodeConfig, "audit" | "node">
  /** This node's name. */
  readonly node: string
  readonly mesh: string
  readonly ticker: Ticker
  readonly metrics: MetricRegistry
}

/** Where the audit log is; undefined: no file is kept. */
export const auditFileOf = ({
  audit,
  node
}: Pick<NodeConfig, "audit" | "node">): string | undefined =>
  audit === "off" || audit.file === "off"
    ? undefined
    : (audit.file ?? join(node.dataDir, "audit.log"))

/** A disk or a collector that hangs must not keep the node from stopping. */
const inTime = (close: () => Promise<void>): Effect.Effect<void> =>
  Effect.promise(close).pipe(
    Effect.disconnect,
    Effect.interruptible,
    Effect.timeoutOption("2 seconds"),
    Effect.asVoid
  )

/** To a collector, beside the file. It is closed after the log, which says a last word. */
const keepExport = (
  { mesh, metrics, node, ticker }: AuditKeeperOptions,
  otlp: string
): Effect.Effect<AuditExport, never, Scope.Scope> =>
  Effect.gen(function* () {
    const runFork = Runtime.runFork(yield* Effect.runtime<never>())
    const { makeOtlpAudit } = yield* Effect.promise(() => import("../telemetry/OtlpAudit.ts"))
    const { close, send } = makeOtlpAudit({ otlp, node, mesh, version: softwareVersion })
    return yield* Effect.acquireRelease(
      Effect.sync(
        () =>
          new AuditExport({
            ...{ send, ticker, registry: metrics },
            gap: (lost) =>
              auditFields(
                {
                  event: "audit.lost",
                  message: "there was no room for more, or they were refused"
                },
                node,
                ticker.wall(),
                lost,
                0
              ),
            onTrouble: (cause) =>
              void runFork(
                Effect.logWarning(
                  `audit events do not reach the collector ${otlp} (${cause}); they wait up to a bound, and this log says when that is over`
                )
              ),
            onRecovered: (lost) =>
              void runFork(
                Effect.logInfo(
                  `the collector ${otlp} takes audit events again; ${lost === 0 ? "none was" : `${lost} were`} lost`
                )
              )
          })
      ),
      (it) => inTime(() => it.close().then(close))
    )
  })

/** Begins with a line that the node was started, and ends with one that it stopped. */
export const keepAudit = (
  options: AuditKeeperOptions
): Effect.Effect<RecordAudit, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { config, metrics, node, ticker } = options
    const { audit } = config
    const path = auditFileOf(config)
    if (audit === "off") return noAudit
    const runFork = Runtime.runFork(yield* Effect.runtime<never>())
    const collector = audit.otlp === undefined ? undefined : yield* keepExport(options, audit.otlp)
    const log = yield* Effect.acquireRelease(
      Effect.sync(
        () =>
          new AuditLog({
            node,
            sink:
              path === undefined
                ? undefined
                : new AuditFile({ path, maxBytes: audit.maxBytes, files: audit.files }),
            onRecord: collector && ((record, length) => collector.add(record, length)),
            ticker,
            registry: metrics,
            onTrouble: (message) =>
              void runFork(
                Effect.logWarning(
                  `the audit log ${path} cannot be written for now, and is kept in memory up to a bound: ${message}`
                )
              )
          })
      ),
      (it) => inTime(() => it.close({ event: "node.stopped" }))
    )
    log.record({ event: "node.started", more: { version: softwareVersion, pid: process.pid } })
    return log.record
  })
