/** The audit log of this node, for as long as the node is. */
import { join } from "node:path"
import { Effect, Runtime, type Scope } from "effect"
import type { NodeConfig } from "../config/NodeConfig.ts"
import { noAudit, type RecordAudit } from "../model/AuditEvent.ts"
import type { Ticker } from "../model/Time.ts"
import type { MetricRegistry } from "../request/cells/Metrics.ts"
import { AuditFile } from "../telemetry/AuditFile.ts"
import { AuditLog } from "../telemetry/AuditLog.ts"
import { softwareVersion } from "./Version.ts"

export interface AuditKeeperOptions {
  readonly config: Pick<NodeConfig, "audit" | "node">
  /** This node's name. */
  readonly node: string
  readonly ticker: Ticker
  readonly metrics: MetricRegistry
}

/** Where the audit log is; undefined: none is kept. */
export const auditFileOf = ({
  audit,
  node
}: Pick<NodeConfig, "audit" | "node">): string | undefined =>
  audit === "off" ? undefined : (audit.file ?? join(node.dataDir, "audit.log"))

/** Begins with a line that the node was started, and ends with one that it stopped. */
export const keepAudit = (
  options: AuditKeeperOptions
): Effect.Effect<RecordAudit, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { config, metrics, node, ticker } = options
    const { audit } = config
    const path = auditFileOf(config)
    if (audit === "off" || path === undefined) return noAudit
    const runFork = Runtime.runFork(yield* Effect.runtime<never>())
    const log = yield* Effect.acquireRelease(
      Effect.sync(
        () =>
          new AuditLog({
            node,
            sink: new AuditFile({ path, maxBytes: audit.maxBytes, files: audit.files }),
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
      (it) =>
        // A disk that hangs must not keep the node from stopping.
        Effect.promise(() => it.close({ event: "node.stopped" })).pipe(
          Effect.disconnect,
          Effect.interruptible,
          Effect.timeoutOption("2 seconds"),
          Effect.asVoid
        )
    )
    log.record({ event: "node.started", more: { version: softwareVersion, pid: process.pid } })
    return log.record
  })
