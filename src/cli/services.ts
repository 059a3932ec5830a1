/** `skein services`: what can be called, and how calls from this node fare. */
import * as Command from "@effect/cli/Command"
import type { ServiceStatus } from "../admin/ServiceModel.ts"
import { firstOf, latency, rate, share } from "./Figures.ts"
import { type Column, renderTable } from "./Table.ts"
import { type Showing, showView, viewOptions } from "./View.ts"

const columns: ReadonlyArray<Column<ServiceStatus>> = [
  { title: "NAME", cell: ({ name }) => name },
  {
    title: "PROTOCOL",
    cell: ({ protocol, leftOut }) =>
      leftOut.length === 0
        ? protocol
        : `${protocol} (${firstOf(leftOut.map((other) => `${other.node}: ${other.protocol}`))})`,
    tone: ({ leftOut }) => (leftOut.length === 0 ? undefined : "bad")
  },
  {
    title: "HEALTHY",
    cell: ({ endpoints }) => `${endpoints.healthy}/${endpoints.total}`,
    align: "right",
    tone: ({ endpoints: { healthy, total } }) =>
      healthy === 0 ? "bad" : healthy < total ? "warn" : "good"
  },
  {
    title: "IN USE",
    cell: ({ endpoints, panic }) => `${endpoints.inUse}${panic ? " (panic)" : ""}`,
    align: "right",
    tone: ({ endpoints: { healthy, inUse }, panic }) =>
      inUse === 0 ? "bad" : panic || inUse < healthy ? "warn" : undefined
  },
  {
    title: "SUCCESS",
    cell: ({ success }) => share(success),
    align: "right",
    tone: ({ success }) => (success !== null && success < 0.99 ? "bad" : undefined)
  },
  { title: "RPS", cell: ({ rps }) => rate(rps), align: "right" },
  { title: "P50", cell: ({ p50Ms }) => latency(p50Ms), align: "right" },
  { title: "P95", cell: ({ p95Ms }) => latency(p95Ms), align: "right" },
  { title: "P99", cell: ({ p99Ms }) => latency(p99Ms), align: "right" },
  { title: "NODES", cell: ({ nodes }) => nodes.join(", ") }
]

export const renderServices = (
  services: ReadonlyArray<ServiceStatus>,
  { colour }: Showing
): string =>
  renderTable(columns, services, {
    colour,
    empty: "No services: no node of the mesh offers any. Add some under `services:` in a config."
  })

export const services = Command.make("services", viewOptions, (choice) =>
  showView(choice, { fetch: (client) => client.views.services({}), render: renderServices })
).pipe(Command.withDescription("What can be called, and how calls from this node fare"))
