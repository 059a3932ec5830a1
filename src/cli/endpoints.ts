/** `skein endpoints NAME`: the instances of one service, as this node judges them. */
import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import { Effect } from "effect"
import type { EndpointStatus } from "../admin/ServiceModel.ts"
import { ServiceName } from "../schema/NamesSchema.ts"
import { latency, missing, rate, share, span } from "./Figures.ts"
import { readAs } from "./NodeAddress.ts"
import { type Column, renderTable, type Tone } from "./Table.ts"
import { type Showing, showView, viewOptions } from "./View.ts"

type State = EndpointStatus["state"]

/** What is in force, in people's words; the tone is of what gets no requests. */
const states: Record<State, readonly [words: string, tone: Tone]> = {
  healthy: ["healthy", "good"],
  suspect: ["node suspect", "warn"],
  unwell: ["unwell", "warn"],
  probing: ["circuit on probe", "warn"],
  ejected: ["ejected", "bad"],
  link_down: ["link down", "bad"],
  dead: ["node dead", "bad"],
  circuit_open: ["circuit open", "bad"],
  unhealthy: ["unhealthy", "bad"],
  draining: ["draining", "warn"],
  left_out: ["left out", "bad"]
}

const despite: Record<NonNullable<EndpointStatus["inUseDespite"]>, string> = {
  panic: " (in use: panic)",
  no_other: " (in use: no other)"
}

/** Why traffic does or does not go there, how long, and what is disregarded. */
const verdict = (endpoint: EndpointStatus, now: number): readonly [string, Tone] => {
  const { state, stateUntilAt, inUseDespite } = endpoint
  const [words, tone] = states[state]
  if (state === "left_out") return [`${words}: says ${endpoint.protocol}`, tone]
  const wait = stateUntilAt !== null && stateUntilAt > now ? ` ${span(stateUntilAt - now)}` : ""
  return inUseDespite === null
    ? [`${words}${wait}`, tone]
    : [`${words}${wait}${despite[inUseDespite]}`, "warn"]
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
