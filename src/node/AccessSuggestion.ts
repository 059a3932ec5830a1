/** Rules that allow what was seen, and nothing else, for a person to look over. */

import type { PeerTraffic } from "../mesh/host/MeshRpc.ts"
import { parseCaller } from "../model/Caller.ts"
import { formatPathPattern } from "../model/PathPattern.ts"
import { type AccessBodyInput, isGrpcName } from "../schema/AccessSchema.ts"

type RuleInput = NonNullable<AccessBodyInput["allow"]>[number]

export interface SuggestedRule {
  readonly rule: RuleInput
  /** That it would have met. */
  readonly calls: number
}

/** From so many on, what differs in one place of a path is taken for an id. */
const manyValues = 8

/** Of one service: the busiest first. Rows of several nodes may say the same. */
export const suggestRules = (rows: ReadonlyArray<PeerTraffic>): ReadonlyArray<SuggestedRule> => {
  const rules = new Map<
    string,
    { from: string; path: string | undefined; methods: Map<string, number> }
  >()
  let tunnels: ReadonlyMap<string, number> = new Map()
  for (const [caller, of] of groupBy(rows.filter(canBeRule), (row) => row.caller)) {
    if (parseCaller(caller) === undefined) continue
    const open = of.filter(({ method }) => method === undefined)
    if (open.length > 0) tunnels = new Map([...tunnels, [caller, sumOf(open)]])
    const http = of.filter((row) => row.method !== undefined && grpcName(row) === undefined)
    for (const row of joinIds(http)) {
      const path =
        row.path === undefined ? undefined : formatPathPattern({ segments: row.path, open: false })
      const key = JSON.stringify([caller, path ?? ""])
      const rule = rules.get(key) ?? { from: caller, path, methods: new Map<string, number>() }
      const method = row.method ?? ""
      rule.methods.set(method, (rule.methods.get(method) ?? 0) + row.calls)
      rules.set(key, rule)
    }
  }
  const http = Array.from(rules.values(), ({ from, methods, path }): SuggestedRule => {
    const named = [...methods.keys()].sort()
    const [first, ...rest] = named
    return {
      rule: {
        from,
        ...(first === undefined ? {} : { methods: [first, ...rest] }),
        ...(path === undefined ? {} : { path })
      },
      calls: [...methods.values()].reduce((sum, calls) => sum + calls, 0)
    }
  })
  const tcp = Array.from(
    tunnels,
    ([from, calls]): SuggestedRule => ({
      rule: { from, methods: ["CONNECT"] },
      calls
    })
  )
  return [...http, ...grpcRules(rows), ...tcp].sort((a, b) => b.calls - a.calls)
}

/** A rule for each method that a caller has called. */
const grpcRules = (rows: ReadonlyArray<PeerTraffic>): ReadonlyArray<SuggestedRule> => {
  const known = rows.filter((row) => parseCaller(row.caller) !== undefined && canBeRule(row))
  const groups = groupBy(known, (row) => `${row.caller} ${grpcName(row) ?? ""}`)
  return Array.from(groups.values()).flatMap((group): ReadonlyArray<SuggestedRule> => {
    const [first] = group
    const grpc = first && grpcName(first)
    if (first === undefined || grpc === undefined) return []
    return [{ rule: { from: first.caller, grpc }, calls: sumOf(group) }]
  })
}

/** `shop.v1.Payments/Charge`; undefined: no rule about gRPC would meet it. */
const grpcName = ({ grpc, path }: PeerTraffic): string | undefined => {
  const [service, method, ...more] = path ?? []
  if (grpc !== true || typeof service !== "string" || typeof method !== "string") return undefined
  const name = `${service}/${method}`
  return more.length === 0 && isGrpcName(name) ? name : undefined
}

/** A rule can say it. Without its method a rule would allow all of them. */
export const canBeRule = ({ method }: PeerTraffic): boolean =>
  method === undefined || isMethod(method)

const isMethod = (method: string): boolean => /^[A-Z][A-Z-]{0,31}$/.test(method)

const sumOf = (rows: ReadonlyArray<PeerTraffic>): number =>
  rows.reduce((sum, { calls }) => sum + calls, 0)

const groupBy = <A>(items: ReadonlyArray<A>, keyOf: (item: A) => string) => {
  const groups = new Map<string, Array<A>>()
  for (const item of items) {
    const key = keyOf(item)
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [item])
    else group.push(item)
  }
  return groups
}

/** One caller's rows, in which a place that has many values has any. */
const joinIds = (rows: ReadonlyArray<PeerTraffic>): ReadonlyArray<PeerTraffic> => {
  const longest = Math.max(0, ...rows.map(({ path }) => path?.length ?? 0))
  let joined = rows
  for (let place = 0; place < longest; place++) {
    joined = [...groupBy(joined, (row) => keyWithout(row, place)).values()].flatMap((group) => {
      const values = new Set(group.map(({ path }) => path?.[place]))
      const [first] = group
      if (first?.path === undefined || values.size < manyValues || values.has("")) return group
      const path = first.path.map((segment, index) => (index === place ? null : segment))
      return [{ ...first, path, calls: sumOf(group) }]
    })
  }
  return joined
}

const keyWithout = ({ method, path }: PeerTraffic, place: number): string =>
  JSON.stringify([
    method,
    path === undefined || path.length <= place ? place : null,
    path?.map((segment, index) => (index === place ? "*" : (segment ?? 0)))
  ])
