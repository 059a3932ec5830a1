/**
 * What the process costs: memory, processor time and how late the event loop runs, under the
 * names that dashboards for Prometheus' own client libraries already know.
 */
import { Effect, type Scope } from "effect"
import type { Ticker } from "../model/Time.ts"
import { LoopDelay } from "../request/cells/LoopDelay.ts"
import type { MetricRegistry } from "../request/cells/Metrics.ts"
import { descriptorLimit, openDescriptors } from "./FileDescriptors.ts"

export interface ProcessInfo {
  readonly node: string
  readonly mesh: string
  readonly version: string
}

/** Answers with how late timers of this thread fire. */
export const observeProcess = (
  registry: MetricRegistry,
  ticker: Ticker,
  info: ProcessInfo
): Effect.Effect<LoopDelay, never, Scope.Scope> => {
  const resident = registry
    .gauge("process_resident_memory_bytes", "Resident memory size in bytes.", [])
    .cell({})
  const heap = registry
    .gauge("nodejs_heap_size_used_bytes", "JavaScript heap in use, in bytes.", [])
    .cell({})
  const external = registry
    .gauge("nodejs_external_memory_bytes", "Buffers outside of the JavaScript heap, in bytes.", [])
    .cell({})
  const processor = registry
    .counter("process_cpu_seconds_total", "User and system processor time spent, in seconds.", [])
    .cell({})
  const started = registry
    .gauge("process_start_time_seconds", "Start of the process, in seconds since 1970.", [], "max")
    .cell({})
  const uptime = registry
    .gauge("skein_uptime_seconds", "Seconds since this node started.", [], "max")
    .cell({})
  registry
    .gauge(
      "skein_build_info",
      "Always 1; the labels say what runs here.",
      ["node", "mesh", "version", "runtime"],
      "max"
    )
    .cell({ node: info.node, mesh: info.mesh, version: info.version, runtime: process.version })
    .set(1)

  const open = registry.gauge(
    "process_open_fds",
    "Open file descriptors: sockets, files and what the runtime needs.",
    []
  )
  const limit = descriptorLimit()
  if (limit !== undefined) {
    registry
      .gauge(
        "process_max_fds",
        "Open file descriptors that the system allows this process.",
        [],
        "max"
      )
      .cell({})
      .set(limit)
  }

  const begun = ticker.now()
  started.set(ticker.wall() / 1_000 - process.uptime())
  registry.onCollect(() => {
    const memory = process.memoryUsage()
    resident.set(memory.rss)
    heap.set(memory.heapUsed)
    external.set(memory.external)
    const { user, system } = process.cpuUsage()
    processor.value = (user + system) / 1e6
    uptime.set((ticker.now() - begun) / 1_000)
    const descriptors = openDescriptors()
    if (descriptors !== undefined) open.cell({}).set(descriptors)
  })

  return Effect.acquireRelease(
    Effect.sync(() => new LoopDelay(registry, "mesh", ticker)),
    (delay) => Effect.sync(() => delay.stop())
  )
}
