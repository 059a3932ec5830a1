/** What a node tells others of how its access rules are met: over its threads, and within bounds. */
import type { PeerAccessUse, PeerTraffic } from "../mesh/host/MeshRpc.ts"
import type { ServiceName } from "../model/Names.ts"
import type { TrafficRow } from "../request/access/Traffic.ts"
import type { AccessUse } from "../request/inbound/AccessGuard.ts"

export const answerLimits = {
  rules: 4_096,
  rows: 1_024,
  /** Characters of all rows, as JSON. */
  text: 256 * 1_024
} as const

/** Who calls what of whom is for those who may write rules about it. */
export const mayHearTraffic = (
  asker: { readonly capabilities: ReadonlyArray<string> } | undefined
) => asker?.capabilities.includes("policy") === true

/** `traffic` false: the rules alone. `only`: traffic of this service. */
export const accessUseAnswer = (
  use: ReadonlyArray<AccessUse>,
  traffic: boolean,
  only: ServiceName | undefined
): PeerAccessUse => ({
  rules: rulesOf(use),
  ...(traffic ? trafficOf(use, only) : { traffic: [], left: 0 })
})

const rulesOf = (use: ReadonlyArray<AccessUse>): PeerAccessUse["rules"] => {
  const rules = new Map<string, number>()
  for (const one of use) {
    for (const [rule, calls] of one.rules) rules.set(rule, (rules.get(rule) ?? 0) + calls)
  }
  return Array.from(rules, ([rule, calls]) => ({ rule, calls }))
    .sort((a, b) => b.calls - a.calls)
    .slice(0, answerLimits.rules)
}

const trafficOf = (
  use: ReadonlyArray<AccessUse>,
  only: ServiceName | undefined
): Pick<PeerAccessUse, "traffic" | "left"> => {
  const rows = new Map<string, PeerTraffic>()
  let left = 0
  for (const one of use) {
    left += one.traffic.left
    for (const row of one.traffic.rows) {
      if (only !== undefined && row.service !== only) continue
      const key = JSON.stringify([
        row.service,
        row.caller,
        row.method ?? "",
        row.path ?? "",
        row.grpc
      ])
      rows.set(key, { ...told(row), calls: row.calls + (rows.get(key)?.calls ?? 0) })
    }
  }
  const traffic: Array<PeerTraffic> = []
  let text = 0
  for (const [key, row] of [...rows].sort(([, a], [, b]) => b.calls - a.calls)) {
    text += key.length
    if (traffic.length < answerLimits.rows && text <= answerLimits.text) traffic.push(row)
    else left += row.calls
  }
  return { traffic, left }
}

/** What is absent is not said. */
const told = ({ calls, caller, grpc, method, path, service }: TrafficRow): PeerTraffic => ({
  ...{ caller, service, calls },
  ...(method === undefined ? {} : { method }),
  ...(path === undefined ? {} : { path }),
  ...(grpc === undefined ? {} : { grpc })
})
