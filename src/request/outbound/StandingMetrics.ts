/**
 * Who may get requests from here and why, as metrics: read at each scrape from the selections that
 * the next requests would use.
 */
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
    ["service", "state", "in_use"]
  )
  const panic = registry.gauge(
    "skein_service_panic",
    "1 while ejections of a service's endpoints are disregarded because too few would be left.",
    ["service"]
  )
  const inUse = registry.gauge(
    "skein_endpoint_in_use",
    "1 when an endpoint may get the next request from here, 0 when it may not.",
    ["service", "endpoint"]
  )
  const info = registry.gauge(
    "skein_endpoint_info",
    "Always 1; the labels say where an endpoint runs.",
    ["service", "endpoint", "node", "zone", "local"]
  )
  registry.onCollect(() => {
    for (const family of [endpoints, panic, inUse, info]) family.clear()
    for (const plan of plans()) {
      const { service } = plan
      const selection = plan.selection(now())
      const selected = selectedOf(selection)
      panic.cell({ service }).set(Number(selection.panic))
      for (const _ of plan.leftOut) {
        endpoints.cell({ service, state: "left_out", in_use: "false" }).add(1)
      }
      for (const endpoint of plan.endpoints) {
        const held = standing(endpoint, selected, now())
        const { key, view } = endpoint
        endpoints.cell({ service, state: held.name, in_use: String(held.inUse) }).add(1)
        inUse.cell({ service, endpoint: key }).set(Number(held.inUse))
        const { node, zone = "", local } = view
        info.cell({ service, endpoint: key, node, zone, local: String(local) }).set(1)
      }
    }
  })
}
