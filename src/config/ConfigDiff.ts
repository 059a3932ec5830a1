/**
 * What a changed config means for a running node: some of it can take effect now, with no request
 * lost; the rest was fixed at the start and is reported, not half-applied.
 */
import { isDeepStrictEqual } from "node:util"
import { formatAdminAddress, formatHostPort } from "./HostPort.ts"
import type { NodeConfig } from "./NodeConfig.ts"

export interface KeyedChange {
  readonly added: ReadonlyArray<string>
  readonly removed: ReadonlyArray<string>
  readonly changed: ReadonlyArray<string>
}

export interface ConfigDiff {
  /** By service name. */
  readonly services: KeyedChange
  readonly policies: KeyedChange
  /** By listen address. */
  readonly upstreams: KeyedChange
  /** Of `outbound.listeners`, by address. */
  readonly listeners: KeyedChange
  /** Paths of single live values that changed: `telemetry.sample`, `drain.deadline`. */
  readonly settings: ReadonlyArray<string>
  /** Paths whose change waits for a restart. */
  readonly restart: ReadonlyArray<string>
  /** The config to run on from now: everything live from the new one, the rest from the old. */
  readonly effective: NodeConfig
}

const keyed = <A>(before: ReadonlyMap<string, A>, after: ReadonlyMap<string, A>): KeyedChange => ({
  added: [...after.keys()].filter((key) => !before.has(key)),
  removed: [...before.keys()].filter((key) => !after.has(key)),
  changed: [...after].flatMap(([key, value]) =>
    before.has(key) && !isDeepStrictEqual(before.get(key), value) ? [key] : []
  )
})

const services = ({ services }: NodeConfig) => new Map(services.map((one) => [one.name, one]))
/** What is written again though it is the default may say something that others do not. */
const policies = ({ policies, writtenPolicies }: NodeConfig) =>
  new Map<string, unknown>(Object.entries(writtenPolicies ?? policies))
const upstreams = ({ upstreams }: NodeConfig) =>
  new Map(upstreams.map((one) => [formatHostPort(one.listen), one]))

const listeners = ({ outbound }: NodeConfig) =>
  new Map(outbound.listeners.map((one) => [formatAdminAddress(one.listen), one]))

/** Fixed while a node runs: its identity, its listeners, its exporters. */
const fixed: ReadonlyArray<readonly [path: string, get: (config: NodeConfig) => unknown]> = [
  ["node.name", ({ node }) => node.name],
  ["node.dataDir", ({ node }) => node.dataDir],
  ["node.listen", ({ node }) => node.listen],
  ["node.announce", ({ node }) => node.announce],
  ["node.threads", ({ node }) => node.threads],
  ["node.zone", ({ node }) => node.zone],
  ["node.discovery", ({ node }) => node.discovery],
  ["node.ephemeral", ({ node }) => node.ephemeral],
  ["admin", ({ admin }) => admin],
  ["outbound.http", ({ outbound }) => outbound.http],
  ["outbound.grpcWeb", ({ outbound }) => outbound.grpcWeb],
  ["programs", ({ programs }) => programs],
  ["dns", ({ dns }) => dns],
  ["telemetry.otlp", ({ telemetry }) => telemetry.otlp],
  ["telemetry.accessLog", ({ telemetry }) => telemetry.accessLog],
  ["audit", ({ audit }) => audit]
]

const live: typeof fixed = [
  ["telemetry.sample", ({ telemetry }) => telemetry.sample],
  ["drain.deadline", ({ drain }) => drain.deadline]
]

export const diffConfig = (before: NodeConfig, after: NodeConfig): ConfigDiff => {
  const differing = (values: typeof fixed) =>
    values.filter(([, get]) => !isDeepStrictEqual(get(before), get(after))).map(([path]) => path)
  return {
    services: keyed(services(before), services(after)),
    policies: keyed(policies(before), policies(after)),
    upstreams: keyed(upstreams(before), upstreams(after)),
    listeners: keyed(listeners(before), listeners(after)),
    settings: differing(live),
    restart: differing(fixed),
    effective: {
      ...before,
      services: after.services,
      policies: after.policies,
      ...(after.writtenPolicies === undefined ? {} : { writtenPolicies: after.writtenPolicies }),
      upstreams: after.upstreams,
      outbound: { ...before.outbound, listeners: after.outbound.listeners },
      telemetry: { ...before.telemetry, sample: after.telemetry.sample },
      drain: after.drain
    }
  }
}

const inWords = (what: string, { added, removed, changed }: KeyedChange): ReadonlyArray<string> => [
  ...added.map((key) => `${what} ${key} added`),
  ...removed.map((key) => `${what} ${key} removed`),
  ...changed.map((key) => `${what} ${key} changed`)
]

/** What took effect, one line each. */
export const describeChanges = (diff: ConfigDiff): ReadonlyArray<string> => [
  ...inWords("service", diff.services),
  ...inWords("policy", diff.policies),
  ...inWords("upstream", diff.upstreams),
  ...inWords("listener", diff.listeners),
  ...diff.settings.map((path) => `${path} changed`)
]

/** What did not, one line each. */
export const describeWarnings = (diff: ConfigDiff): ReadonlyArray<string> =>
  diff.restart.map((path) => `${path} changed, which takes effect when the node is restarted`)
