/** `skein endpoints NAME`: the instances of one service, as this node judges them. */
import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import { Effect } from "effect"
import type { EndpointStatus } from "../admin/AdminModel.ts"
import { ServiceName } from "../model/Names.ts"
import { latency, missing, rate, share, span } from "./Figures.ts"
import { readAs } from "./NodeAddress.ts"
import { type Column, renderTable, type Tone } from "./Table.ts"
import { type Showing, showView, viewOptions } from "./View.ts"

/** Why traffic does or does not go there: the first reason that holds. */
const verdict = (endpoint: EndpointStatus, now: number): readonly [string, Tone] => {
  if (endpoint.member !== "alive") return [`node ${endpoint.member}`, "bad"]
  if (!endpoint.healthy) return ["unhealthy", "bad"]
  if (endpoint.draining) return ["draining", "warn"]
  if (endpoint.ejectedUntilAt !== null && endpoint.ejectedUntilAt > now) {
    return [`ejected ${span(endpoint.ejectedUntilAt - now)}`, "bad"]
  }
  if (endpoint.breaker === "open" || endpoint.breaker === "half_open") {
    return [`breaker ${endpoint.breaker}`, "warn"]
  }
  return ["healthy", "good"]
}

const columns = (now: number): ReadonlyArray<Column<EndpointStatus>> => [
  { title: "NODE", cell: ({ node, local }) => (local ? `${node} (this)` : node) },
  { title: "ENDPOINT", cell: ({ endpoint }) => endpoint },
  {
    title: "STATE",
    cell: (endpoint) => verdict(endpoint, now)[0],
    tone: (endpoint) => verdict(endpoint, now)[1]
  },
  { title: "BREAKER", cell: ({ breaker }) => breaker ?? missing },
  { title: "IN FLIGHT", cell: ({ inFlight }) => String(inFlight), align: "right" },
  { title: "EWMA", cell: ({ ewmaMs }) => latency(ewmaMs), align: "right" },
  { title: "SUCCESS", cell: ({ success }) => share(success), align: "right" },
  { title: "RPS", cell: ({ rps }) => rate(rps), align: "right" },
  { title: "WEIGHT", cell: ({ weight }) => String(weight), align: "right" },
  { title: "ZONE", cell: ({ zone }) => zone ?? missing }
]

export const renderEndpoints = (
  endpoints: ReadonlyArray<EndpointStatus>,
  { colour, now }: Showing
): string =>
  renderTable(columns(now), endpoints, { colour, empty: "No endpoints: nobody offers it now." })

export const serviceArgument = Args.text({ name: "NAME" }).pipe(
  Args.mapEffect((text) =>
    Effect.mapError(readAs(ServiceName, "NAME")(text), ({ error }) => error)
  ),
  Args.withDescription("A service, without .mesh")
)

export const endpoints = Command.make(
  "endpoints",
  { ...viewOptions, name: serviceArgument },
  (choice) =>
    showView(choice, {
      fetch: (client) => client.views.endpoints({ path: { name: choice.name } }),
      render: renderEndpoints
    })
).pipe(Command.withDescription("The instances of one service, as this node judges them"))
