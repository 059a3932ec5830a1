/** What is said of a type's actors in this program, when somebody looks: looked up then, and not before. */

import type { ServiceName } from "../model/Names.ts"
import {
  type ActivationReport,
  type ActorQuestion,
  type ActorReport,
  actorLimits
} from "../schema/ActorReportSchema.ts"
import type { Activation } from "./Activation.ts"
import { addressOf } from "./ActorAddress.ts"
import type { ActorHost } from "./ActorHost.ts"
import { allShards } from "./Placement.ts"

export interface ReportedType {
  readonly host: ActorHost
  readonly service: ServiceName
  readonly guarantee: string
  readonly placed: string
  /** Of the type's endpoint here. */
  readonly key: string
  /** Key of the endpoint that a shard belongs to. */
  readonly owner: (shard: number) => string | undefined
  /** Shards that are run here. */
  readonly open: () => number
}

export const actorReport = (
  { guarantee, host, key, open, owner, placed, service }: ReportedType,
  { id, type }: ActorQuestion
): ActorReport => {
  const { latency, lastError, ...stats } = host.stats
  const load = loadOf(host, type !== undefined && id === undefined)
  const { crashes, fenced, given, lost, notGiven, saves, savesFailed, shardsIn, shardsOut } = stats
  const { cancelled, died, failed, mailboxFull, moved, ok, unavailable } = stats
  return {
    ...{ type: host.type, service, key, guarantee, placed, crashes, lost },
    given: { ok: given, failed: notGiven },
    shards: {
      owned: allShards.filter((shard) => owner(shard) === key).length,
      open: open(),
      in: shardsIn,
      out: shardsOut
    },
    activations: host.size,
    waiting: load.waiting,
    longest: load.longest,
    messages: { ok, failed, died, cancelled, mailboxFull, moved, unavailable },
    saves: { ok: saves, failed: savesFailed, fenced },
    rate: host.stats.rate,
    latency: { bounds: latency.bounds, counts: latency.counts, sum: latency.sum },
    lastError: lastError ?? null,
    ...(load.busiest === undefined ? {} : { busiest: load.busiest.map(stateOf) }),
    ...(id === undefined ? {} : { actor: actorOf(host, owner, id) })
  }
}

const actorOf = (
  host: ActorHost,
  owner: ReportedType["owner"],
  id: string
): NonNullable<ActorReport["actor"]> => {
  const { shardId } = addressOf(host.type, id)
  const known = host.get(id)
  return {
    shard: shardId,
    owner: owner(shardId) ?? null,
    state: known === undefined ? null : stateOf(known)
  }
}

const stateOf = (activation: Activation): ActivationReport => {
  const { address, handled, kept, lastError, memory, phase } = activation
  const { running, since, usedAt, waiting } = activation
  return {
    id: address.entityId.slice(0, actorLimits.id),
    shard: address.shardId,
    ...{ phase, waiting, running, handled, since, usedAt, kept },
    version: memory?.version ?? 0,
    lastError: lastError ?? null
  }
}

interface HostLoad {
  readonly waiting: number
  readonly longest: number
  readonly busiest: ReadonlyArray<Activation> | undefined
}

/** One pass over all that are in memory. */
const loadOf = (host: ActorHost, named: boolean): HostLoad => {
  let [all, longest] = [0, 0]
  const busiest: Array<Activation> = []
  for (const activation of host.activations()) {
    const { waiting } = activation
    all += waiting
    if (waiting > longest) longest = waiting
    if (named) addBusy(busiest, activation)
  }
  return { waiting: all, longest, busiest: named ? busiest : undefined }
}

/** Keeps the list in order, and no longer than it is told. */
const addBusy = (busiest: Array<Activation>, one: Activation): void => {
  const last = busiest.at(-1)
  const isFull = busiest.length === actorLimits.busiest
  if (isFull && last !== undefined && !isBusier(one, last)) return
  const at = busiest.findIndex((other) => isBusier(one, other))
  busiest.splice(at === -1 ? busiest.length : at, 0, one)
  if (busiest.length > actorLimits.busiest) busiest.pop()
}

const isBusier = (a: Activation, b: Activation): boolean =>
  a.waiting + a.running === b.waiting + b.running
    ? a.handled > b.handled
    : a.waiting + a.running > b.waiting + b.running
