/**
 * Who may get requests from here and why, as metrics: read at each scrape from the selections that
 * the next requests would use. Each thread judges all endpoints for itself; together they say the most
 * that any of them does.
 */
import type { Gauge } from "../cells/Cells.ts"
import type { MetricRegistry } from "../cells/Metrics.ts"
import type { ServicePlan } from "./ServicePlan.ts"
import { selectedOf, standing } from "./Standing.ts"

export const observeStandings = (
  registry: MetricRegistry,
  plans: () => Iterable<ServicePlan>,
  now: () => number
): void => {
  const endpoints = registry.gauge(
    "skein_service_endpoints",
    "Endpoints of a service by what is held against them, and whether they get requests from here.",
    ["service", "state", "in_use"],
    "max"
  )
  const panic = registry.gauge(
    "skein_service_panic",
    "1 while ejections of a service's endpoints are disregarded because too few would be left.",
    ["service"],
    "max"
  )
  const inUse = registry.gauge(
    "skein_endpoint_in_use",
    "1 when an endpoint may get the next request from here, 0 when it may not.",
    ["service", "endpoint"],
    "max"
  )
  const info = registry.gauge(
    "skein_endpoint_info",
    "Always 1; the labels say where an endpoint runs.",
    ["service", "endpoint", "node", "zone", "local"],
    "max"
  )
  registry.onCollect(() => {
    for (const plan of plans()) {
      const { service } = plan
      const selection = plan.selection(now())
      const selected = selectedOf(selection)
      panic.cell({ service }).set(Number(selection.panic))
      const counts = new Map<Gauge, number>()
      const count = (state: string, inUse: boolean): void => {
        const cell = endpoints.cell({ service, state, in_use: String(inUse) })
        counts.set(cell, (counts.get(cell) ?? 0) + 1)
      }
      for (const _ of plan.leftOut) count("left_out", false)
      for (const endpoint of plan.endpoints) {
        const held = standing(endpoint, selected, now())
        const { key, view } = endpoint
        count(held.name, held.inUse)
        inUse.cell({ service, endpoint: key }).set(Number(held.inUse))
        const { node, zone = "", local } = view
        info.cell({ service, endpoint: key, node, zone, local: String(local) }).set(1)
      }
      // At once, and not one by one from 0: somebody may be reading.
      for (const [cell, number] of counts) cell.set(number)
    }
    for (const family of [endpoints, panic, inUse, info]) family.sweep()
  })
}
