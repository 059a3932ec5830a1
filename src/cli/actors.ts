/** `skein actors [TYPE [ID]]`: what runs where, of all programs of the mesh. */
import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import { Option } from "effect"
import type { ActorHostStatus, ActorsStatus, ActorTypeStatus } from "../admin/ActorsModel.ts"
import type { ActivationReport, ActorError } from "../schema/ActorReportSchema.ts"
import { counted, latency, missing, rate, span } from "./Figures.ts"
import { type Column, renderPairs, renderTable, type Tone, tinted } from "./Table.ts"
import { type Showing, showView, viewOptions } from "./View.ts"

/** Shards of each type. */
const allShards = 256

const ago = (at: number, now: number): string => `${span(Math.max(0, now - at))} ago`

const errorText = (error: ActorError | null, now: number, node?: string): string =>
  error === null
    ? missing
    : `${ago(error.at, now)}${node === undefined ? "" : ` on ${node}`}: ${error.text}`

const errorTone = (error: ActorError | null, now: number): Tone | undefined => {
  if (error === null) return "dim"
  return now - error.at < recent ? "bad" : "warn"
}

/** Milliseconds: an error of that age is still looked at. */
const recent = 5 * 60_000

type Numbers = Pick<
  ActorHostStatus,
  "activations" | "errors" | "longest" | "lost" | "p99Ms" | "rps" | "waiting"
>

const numbers: ReadonlyArray<Column<Numbers>> = [
  { title: "IN MEMORY", cell: ({ activations }) => String(activations), align: "right" },
  { title: "WAITING", cell: ({ waiting }) => String(waiting), align: "right" },
  { title: "LONGEST", cell: ({ longest }) => String(longest), align: "right" },
  { title: "RPS", cell: ({ rps }) => rate(rps), align: "right" },
  { title: "P99", cell: ({ p99Ms }) => latency(p99Ms), align: "right" },
  {
    title: "ERRORS",
    cell: ({ errors }) => String(errors),
    align: "right",
    tone: ({ errors }) => (errors > 0 ? "warn" : undefined)
  },
  {
    title: "LOST",
    cell: ({ lost }) => String(lost),
    align: "right",
    tone: ({ lost }) => (lost > 0 ? "warn" : undefined)
  }
]

const typeColumns = (now: number): ReadonlyArray<Column<ActorTypeStatus>> => [
  { title: "TYPE", cell: ({ type }) => type },
  { title: "HOSTS", cell: ({ hosts }) => String(hosts.length), align: "right" },
  {
    title: "SHARDS",
    // Where each zone or node has all of them, they are told once, and how often there are.
    cell: ({ circles, shards }) => `${shards}/${allShards}${circles === 1 ? "" : ` x${circles}`}`,
    align: "right",
    // More: they differ for a moment about whose some are. Fewer: some host has not said.
    tone: ({ shards }) => (shards === allShards ? "good" : "warn")
  },
  ...numbers,
  {
    title: "LAST ERROR",
    cell: ({ lastError }) => errorText(lastError, now, lastError?.node),
    tone: ({ lastError }) => errorTone(lastError, now)
  }
]

const placeOf = ({ node, program }: Pick<ActorHostStatus, "node" | "program">): string =>
  program === null ? node : `${node} (${program})`

const hostColumns = (now: number): ReadonlyArray<Column<ActorHostStatus>> => [
  { title: "HOST", cell: placeOf },
  { title: "ENDPOINT", cell: ({ endpoint }) => endpoint },
  { title: "GUARANTEE", cell: ({ guarantee }) => guarantee },
  { title: "SHARDS", cell: ({ shards }) => String(shards.owned), align: "right" },
  ...numbers,
  { title: "SAVES", cell: ({ saves }) => String(saves.ok), align: "right" },
  {
    title: "FENCED",
    cell: ({ saves }) => String(saves.fenced),
    align: "right",
    tone: ({ saves }) => (saves.fenced > 0 ? "warn" : undefined)
  },
  {
    title: "GIVEN",
    // Of those that were to be, where some could not be.
    cell: ({ given: { failed, ok } }) => (failed === 0 ? String(ok) : `${ok} of ${ok + failed}`),
    align: "right",
    tone: ({ given }) => (given.failed > 0 ? "warn" : undefined)
  },
  {
    title: "MOVED",
    cell: ({ shards }) => `+${shards.in} -${shards.out}`,
    align: "right"
  },
  {
    title: "LAST ERROR",
    cell: ({ lastError }) => errorText(lastError, now),
    tone: ({ lastError }) => errorTone(lastError, now)
  }
]

interface BusyActor extends ActivationReport {
  readonly place: string
}

const phaseTone = (phase: string): Tone | undefined =>
  phase === "failed" ? "bad" : phase === "resting" ? "warn" : undefined

const actorColumns = (now: number): ReadonlyArray<Column<BusyActor>> => [
  { title: "BUSIEST", cell: ({ id }) => id },
  { title: "HOST", cell: ({ place }) => place },
  { title: "STATE", cell: ({ phase }) => phase, tone: ({ phase }) => phaseTone(phase) },
  { title: "WAITING", cell: ({ waiting }) => String(waiting), align: "right" },
  { title: "RUNNING", cell: ({ running }) => String(running), align: "right" },
  { title: "HANDLED", cell: ({ handled }) => String(handled), align: "right" },
  { title: "AGE", cell: ({ since }) => span(Math.max(0, now - since)), align: "right" },
  { title: "USED", cell: ({ usedAt }) => ago(usedAt, now), align: "right" },
  { title: "VERSION", cell: ({ version }) => String(version), align: "right" }
]

/** Named at most. */
const maxSilent = 16
/** Actors that are named, over all hosts. */
const maxBusiest = 20

/** What is not in the table, and why. */
const missingLines = ({ nodes: { silent }, withheld }: ActorsStatus): ReadonlyArray<string> => [
  ...silent.slice(0, maxSilent).map(({ node, reason }) => `not in this: ${node}: ${reason}`),
  ...(silent.length > maxSilent ? [`and ${silent.length - maxSilent} more`] : []),
  ...(withheld.length === 0
    ? []
    : [
        `${withheld.join(", ")} ${withheld.length === 1 ? "keeps" : "keep"} the names of actors and their errors to nodes with the capability policy, and to those that may offer the type`
      ])
]

const isBusier = (a: ActivationReport, b: ActivationReport): number =>
  b.waiting + b.running - (a.waiting + a.running) || b.handled - a.handled

const renderType = (status: ActorTypeStatus, showing: Showing): string => {
  const { colour, now } = showing
  const hosts = renderTable(hostColumns(now), status.hosts, {
    colour,
    empty: `Nobody runs ${status.type}.`
  })
  const busiest = status.hosts
    .flatMap((host) => host.busiest.map((one) => ({ ...one, place: placeOf(host) })))
    .sort(isBusier)
    .slice(0, maxBusiest)
  if (busiest.length === 0) return hosts
  return `${hosts}\n${renderTable(actorColumns(now), busiest, { colour, empty: "" })}`
}

type Pairs = Parameters<typeof renderPairs>[0]

const ownerText = ({ owners }: NonNullable<ActorTypeStatus["place"]>): string => {
  const [first] = owners
  if (first === undefined) return "nobody runs its type"
  if (owners.length === 1) return `${first.node} (${first.endpoint})`
  return owners
    .map(({ by, endpoint, node }) => `${node} (${endpoint}), says ${by.join(", ")}`)
    .join("; ")
}

const lifeOf = (state: ActivationReport, now: number): Pairs => [
  ["state", state.phase, phaseTone(state.phase)],
  ["mailbox", `${counted(state.waiting, "message")} waiting, ${state.running} being handled`],
  ["handled", `${counted(state.handled, "message")} since it came into memory`],
  ["age", span(Math.max(0, now - state.since))],
  ["last used", `${ago(state.usedAt, now)}${state.kept ? ", and it stays in memory" : ""}`],
  ["saved", state.version === 0 ? "never" : `version ${state.version}`],
  ["last error", errorText(state.lastError, now), errorTone(state.lastError, now)]
]

const renderActor = (status: ActorTypeStatus, showing: Showing): string => {
  const { colour, now } = showing
  const { circles, hosts, place, type } = status
  if (place === null) return ""
  const inMemory = hosts.filter(({ actor }) => actor !== null)
  // Where they are placed by node or zone there is one in each.
  const isOdd = place.owners.length === 0 || place.owners.length > circles
  const isTwice = inMemory.length > circles
  const lives: Pairs = inMemory.flatMap(({ actor, ...host }) => [
    ["in memory at", placeOf(host), isTwice ? "bad" : undefined],
    ...(actor === null ? [] : lifeOf(actor, now))
  ])
  const head: Pairs = [
    ["actor", `${type}/${place.id}`],
    ["shard", `${place.shard} of ${allShards}`],
    ["lives at", ownerText(place), isOdd ? "warn" : undefined]
  ]
  const rest: Pairs =
    inMemory.length === 0
      ? [["state", "not in memory: its next message begins it", "dim"]]
      : isTwice
        ? [...lives, ["", "more than one host runs it", "bad"]]
        : lives
  return renderPairs([...head, ...rest], { colour })
}

/** The service of a type does not have its capitals, so hosts may be there for one that nobody runs. */
const emptyText = (type: string | undefined): string =>
  type === undefined
    ? "No actors: no program of the mesh has told of any."
    : `No program of the mesh has told of actors of the type ${type}; capitals count (Cart is not cart), and \`skein actors\` lists the types that are run.`

export const renderActors =
  (choice: { readonly type?: string; readonly id?: string }) =>
  (status: ActorsStatus, showing: Showing): string => {
    const { colour, now } = showing
    const { types } = status
    const text =
      choice.type === undefined || types.length === 0
        ? renderTable(typeColumns(now), types, {
            colour,
            empty: emptyText(choice.type)
          })
        : types
            .map((one) =>
              choice.id === undefined ? renderType(one, showing) : renderActor(one, showing)
            )
            .join("\n")
    const lines = missingLines(status).map((line) => `${tinted(line, "warn", colour)}\n`)
    return `${text}${lines.join("")}`
  }

const typeArgument = Args.text({ name: "TYPE" }).pipe(
  Args.withDescription("A type of actors, as the program calls it: Cart"),
  Args.optional
)
const idArgument = Args.text({ name: "ID" }).pipe(
  Args.withDescription("One of its actors"),
  Args.optional
)

export const actors = Command.make(
  "actors",
  { ...viewOptions, type: typeArgument, id: idArgument },
  (choice) => {
    const type = Option.getOrUndefined(choice.type)
    const id = Option.getOrUndefined(choice.id)
    const asked = {
      ...(type === undefined ? {} : { type }),
      ...(id === undefined ? {} : { id })
    }
    return showView(choice, {
      fetch: (client) => client.views.actors({ urlParams: asked }),
      render: renderActors(asked)
    })
  }
).pipe(Command.withDescription("What actors run where, and how they fare"))
