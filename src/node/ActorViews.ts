/** What this node shows of actors: what the programs of all hosts say that run them, put together by type. */
import { Effect } from "effect"
import type {
  ActorHostStatus,
  ActorPlace,
  ActorsChoice,
  ActorsStatus,
  ActorTypeStatus
} from "../admin/ActorsModel.ts"
import { AdminInvalid, AdminNotFound } from "../admin/AdminError.ts"
import { actorService, isActorService, typeRule } from "../entity/ActorService.ts"
import type { PeerActors } from "../mesh/host/MeshRpc.ts"
import type { MeshView } from "../model/MeshView.ts"
import type { PeerKey, ServiceName } from "../model/Names.ts"
import { byText } from "../model/TextOrder.ts"
import { quantileOf } from "../request/cells/Cells.ts"
import { type ActorQuestion, type ActorReport, actorLimits } from "../schema/ActorReportSchema.ts"
import type { HostActors } from "./HostActors.ts"
import type { ActorSurvey } from "./NodeSurvey.ts"

export interface ActorViewsOptions {
  readonly self: PeerKey
  readonly view: () => MeshView
  /** Asks the programs of this host. */
  readonly here: HostActors["ask"]
  /** Asks other nodes. */
  readonly survey: ActorSurvey
}

export type ActorView = (
  choice: ActorsChoice
) => Effect.Effect<ActorsStatus, AdminInvalid | AdminNotFound>

export const makeActorView =
  (options: ActorViewsOptions): ActorView =>
  (choice) =>
    Effect.gen(function* () {
      const service = yield* serviceOf(choice)
      const { here, self, survey, view } = options
      const nodes = nodesWith(view(), service)
      if (service !== undefined && nodes.size === 0) {
        return yield* new AdminNotFound({
          code: "actor_type_not_found",
          message: `no node of the mesh offers ${service}, so nobody runs actors of the type ${choice.type}`,
          hint: "`skein actors` lists the types that are run."
        })
      }
      const others = Array.from(nodes.keys()).filter((peer) => peer !== self)
      const nothing: PeerActors = { reports: [], silent: [], left: 0, withheld: false }
      const [own, answers] = yield* Effect.all(
        [
          nodes.has(self) ? here(choice) : Effect.succeed(nothing),
          survey(others, questionOf(choice))
        ],
        { concurrency: "unbounded" }
      )
      const told: Array<ToldByNode> = []
      const silent: Array<ActorsStatus["nodes"]["silent"][number]> = []
      if (nodes.has(self)) told.push({ node: nodes.get(self) ?? self, answer: own })
      for (const [peer, surveyed] of answers) {
        const node = nodes.get(peer) ?? peer
        if (surveyed.kind === "answer") told.push({ node, answer: surveyed.answer })
        else silent.push({ node, reason: surveyed.reason })
      }
      return gathered(choice, told, silent, nameOfKey(view()))
    })

const questionOf = ({ id, type }: ActorsChoice): ActorQuestion => ({
  ...(type === undefined ? {} : { type }),
  ...(id === undefined ? {} : { id })
})

const serviceOf = ({
  id,
  type
}: ActorsChoice): Effect.Effect<ServiceName | undefined, AdminInvalid> => {
  if (id !== undefined && type === undefined) {
    return new AdminInvalid({
      code: "invalid",
      message: "an actor is asked for by its type and its id, and there is no type",
      hint: "Write ?type=Cart&id=user-42."
    })
  }
  if (id !== undefined && id.length > actorLimits.id) {
    return new AdminInvalid({
      code: "invalid",
      message: `an id of ${id.length} characters is asked for`,
      hint: `Ask for one of ${actorLimits.id} at most.`
    })
  }
  if (type === undefined) return Effect.succeed(undefined)
  const service = actorService(type)
  if (service !== undefined) return Effect.succeed(service)
  const message = `${JSON.stringify(type)} is no type of actors: ${typeRule}`
  return new AdminInvalid({ code: "invalid", message, hint: "`skein actors` lists them." })
}

/** Who offers actors, or those of a type: the names by peer. */
const nodesWith = (view: MeshView, only: ServiceName | undefined): Map<PeerKey, string> => {
  const nodes = new Map<PeerKey, string>()
  for (const { endpoints, name } of view.services.values()) {
    if (only === undefined ? !isActorService(name) : name !== only) continue
    for (const { member, node, peer } of endpoints) if (member !== "dead") nodes.set(peer, node)
  }
  return nodes
}

type NameOfKey = (
  service: ServiceName,
  key: string
) => Pick<ActorPlace, "endpoint" | "node"> & { readonly zone?: string | undefined }

const nameOfKey =
  (view: MeshView): NameOfKey =>
  (service, key) => {
    const found = view.services.get(service)?.endpoints.find((one) => one.key === key)
    if (found !== undefined) {
      return { node: found.node, endpoint: found.endpoint, zone: found.zone }
    }
    const [peer = key, , endpoint = ""] = key.split("/")
    return { node: peer, endpoint }
  }

export interface ToldByNode {
  readonly node: string
  readonly answer: Pick<PeerActors, "reports" | "silent"> &
    Partial<Pick<PeerActors, "left" | "withheld">>
}

interface Told {
  readonly node: string
  readonly program: string | null
  readonly report: ActorReport
}

/** Put together by type. Those of a service that is called like one of actors, and is none, are not there. */
export const gathered = (
  { id }: ActorsChoice,
  told: ReadonlyArray<ToldByNode>,
  silent: ReadonlyArray<ActorsStatus["nodes"]["silent"][number]>,
  nameOf: NameOfKey
): ActorsStatus => {
  const byType = new Map<string, Array<Told>>()
  const quiet = [...silent]
  for (const { answer, node } of told) {
    for (const { program, report } of answer.reports) {
      const rows = byType.get(report.type)
      if (rows === undefined) byType.set(report.type, [{ node, program, report }])
      else rows.push({ node, program, report })
    }
    for (const { program, reason } of answer.silent) {
      quiet.push({ node: program === null ? node : `${node} (${program})`, reason })
    }
    const { left = 0 } = answer
    if (left > 0) quiet.push({ node, reason: `there was no room for ${left} reports of its own` })
  }
  return {
    types: Array.from(byType, ([type, rows]) => typeStatus(type, rows, id, nameOf)).sort((a, b) =>
      a.type < b.type ? -1 : 1
    ),
    nodes: {
      answered: told.map(({ node }) => node).sort(),
      silent: quiet.sort((a, b) => byText(a.node, b.node))
    },
    withheld: told.flatMap(({ answer, node }) => (answer.withheld === true ? [node] : [])).sort()
  }
}

const typeStatus = (
  type: string,
  told: ReadonlyArray<Told>,
  id: string | undefined,
  nameOf: NameOfKey
): ActorTypeStatus => {
  const reports = told.map(({ report }) => report)
  const service = reports[0]!.service
  const errors = told.flatMap(({ node, report: { lastError } }) =>
    lastError === null ? [] : [{ ...lastError, node }]
  )
  return {
    ...{ type, service, ...numbersOf(reports) },
    ...shardsOf(told, nameOf),
    lastError: errors.reduce<ActorTypeStatus["lastError"]>(
      (latest, one) => (latest === null || one.at > latest.at ? one : latest),
      null
    ),
    hosts: told
      .map((one) => hostStatus(one, nameOf))
      .sort((a, b) => byText(a.node, b.node) || (a.endpoint < b.endpoint ? -1 : 1)),
    place: id === undefined ? null : placeOf(id, told, nameOf)
  }
}

/** Shards that belong to somebody, and how often: once in the mesh, or once in each zone or node. */
const shardsOf = (
  told: ReadonlyArray<Told>,
  nameOf: NameOfKey
): Pick<ActorTypeStatus, "circles" | "placed" | "shards"> => {
  const placed = told[0]?.report.placed ?? "mesh"
  const circles = new Map<string, number>()
  let outside = 0
  for (const { node, report } of told) {
    const circle =
      placed === "local"
        ? node
        : placed === "zone"
          ? nameOf(report.service, report.key).zone
          : "the mesh"
    // In no zone is where those of all zones count.
    if (circle === undefined) outside += report.shards.owned
    else circles.set(circle, (circles.get(circle) ?? 0) + report.shards.owned)
  }
  const each = circles.size === 0 ? [outside] : [...circles.values()]
  return { placed, circles: each.length, shards: Math.min(...each) }
}

const hostStatus = ({ node, program, report }: Told, nameOf: NameOfKey): ActorHostStatus => ({
  ...{ node, program, endpoint: nameOf(report.service, report.key).endpoint },
  ...{ guarantee: report.guarantee, shards: report.shards, ...numbersOf([report]) },
  lastError: report.lastError,
  busiest: report.busiest ?? [],
  actor: report.actor?.state ?? null
})

const placeOf = (
  id: string,
  told: ReadonlyArray<Told>,
  nameOf: NameOfKey
): ActorTypeStatus["place"] => {
  const owners = new Map<string, ActorPlace & { readonly by: Array<string> }>()
  let shard = 0
  for (const { node, report } of told) {
    const { actor, service } = report
    if (actor === undefined) continue
    shard = actor.shard
    if (actor.owner === null) continue
    const known = owners.get(actor.owner)
    if (known === undefined) {
      const { endpoint, node: at } = nameOf(service, actor.owner)
      owners.set(actor.owner, { node: at, endpoint, by: [node] })
    } else if (!known.by.includes(node)) known.by.push(node)
  }
  return { id, shard, owners: [...owners.values()] }
}

type Numbers = Omit<
  ActorHostStatus,
  "actor" | "busiest" | "endpoint" | "guarantee" | "lastError" | "node" | "program" | "shards"
>

const numbersOf = (reports: ReadonlyArray<ActorReport>): Numbers => {
  const sum = (of: (report: ActorReport) => number): number =>
    reports.reduce((all, report) => all + of(report), 0)
  const messages: Numbers["messages"] = {
    ok: sum((one) => one.messages.ok),
    failed: sum((one) => one.messages.failed),
    died: sum((one) => one.messages.died),
    cancelled: sum((one) => one.messages.cancelled),
    mailboxFull: sum((one) => one.messages.mailboxFull),
    moved: sum((one) => one.messages.moved),
    unavailable: sum((one) => one.messages.unavailable)
  }
  const quantile = quantilesOf(reports)
  return {
    activations: sum(({ activations }) => activations),
    waiting: sum(({ waiting }) => waiting),
    longest: reports.reduce((most, { longest }) => Math.max(most, longest), 0),
    rps: sum(({ rate }) => rate),
    messages,
    errors: messages.died + messages.unavailable + messages.mailboxFull,
    saves: {
      ok: sum(({ saves }) => saves.ok),
      failed: sum(({ saves }) => saves.failed),
      fenced: sum(({ saves }) => saves.fenced)
    },
    crashes: sum(({ crashes }) => crashes),
    lost: sum(({ lost }) => lost ?? 0),
    given: {
      ok: sum(({ given }) => given?.ok ?? 0),
      failed: sum(({ given }) => given?.failed ?? 0)
    },
    p50Ms: quantile(0.5),
    p99Ms: quantile(0.99)
  }
}

/** Of those that count by the same bounds as the first: others are of another release. */
const quantilesOf = (reports: ReadonlyArray<ActorReport>): ((q: number) => number | null) => {
  const [first] = reports
  if (first === undefined) return () => null
  const { bounds } = first.latency
  const counts = Array.from({ length: bounds.length + 1 }, () => 0)
  for (const { latency } of reports) {
    if (!hasBounds(latency, bounds)) continue
    latency.counts.forEach((count, at) => {
      counts[at]! += count
    })
  }
  const isEmpty = counts.every((count) => count === 0)
  return (q) => (isEmpty ? null : quantileOf(bounds, counts, q))
}

export const hasBounds = (
  { bounds, counts }: ActorReport["latency"],
  others: ReadonlyArray<number>
): boolean =>
  bounds.length === others.length &&
  counts.length === bounds.length + 1 &&
  bounds.every((bound, at) => bound === others[at])
