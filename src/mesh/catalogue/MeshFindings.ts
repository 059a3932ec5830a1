/**
 * What is wrong between nodes: each alone is as its operator wanted it, together they contradict.
 * Somebody then gets no calls, and every node leaves out the same, since all read the same records.
 * What is left out is said here, on every node, with who says what and the mend. Pure.
 */
import type { NodeName, ServiceName } from "../../model/Names.ts"
import type { Protocol } from "../../model/NodeRecord.ts"
import type { MemberLookup, ProtocolConflict } from "./MeshViewBuilder.ts"
import type { NodeEntry } from "./RecordEntry.ts"

export const findingKinds = [
  /** Nodes offer one service under different protocols. */
  "protocol_conflict",
  /** A node offers what its certificate does not grant. */
  "service_not_granted",
  /** Two living nodes have one name. */
  "name_not_unique",
  /** Everything under which a node can be reached, another announces too. */
  "address_not_unique",
  /** Another process uses this node's key. */
  "record_contested",
  /** Records from the mesh that this node did not believe, lately. */
  "records_refused",
  /** Records found no room. */
  "catalogue_full"
] as const

export type FindingKind = (typeof findingKinds)[number]

export interface MeshFinding {
  readonly kind: FindingKind
  readonly service: ServiceName | undefined
  /** Whom it is about, in order. */
  readonly nodes: ReadonlyArray<NodeName>
  /** What is wrong and what follows from it, one line. */
  readonly message: string
  readonly hint: string
}

/** Told of each kind; a mesh with more has one mistake many times. */
export const maxTold = 32

/** Names in one sentence. */
const maxNames = 5

export interface FindingsInput {
  readonly entries: Iterable<NodeEntry>
  readonly memberOf: MemberLookup
  readonly conflicts: ReadonlyArray<ProtocolConflict>
}

export const findInMesh = ({ entries, memberOf, conflicts }: FindingsInput) => {
  const living = Array.from(entries)
    .filter(({ record }) => record.state !== "left" && !isGone(memberOf(record.peer)))
    .sort((a, b) => (a.record.peer < b.record.peer ? -1 : 1))
  return [
    ...conflicts.slice(0, maxTold).map(ofConflict),
    ...living
      .filter(({ withheld }) => withheld.length > 0)
      .slice(0, maxTold)
      .map(ofWithheld),
    ...sharedNames(living).slice(0, maxTold),
    ...sharedAddresses(living).slice(0, maxTold)
  ]
}

const isGone = (state: ReturnType<MemberLookup>): boolean => state === "dead" || state === "left"

const listed = (names: ReadonlyArray<string>): string =>
  names.length <= maxNames
    ? names.join(", ")
    : `${names.slice(0, maxNames).join(", ")} and ${names.length - maxNames} more`

const ofConflict = ({ service, used, said }: ProtocolConflict): MeshFinding => {
  const byProtocol = new Map<Protocol, Array<NodeName>>()
  for (const { node, protocol } of said) {
    const nodes = byProtocol.get(protocol)
    if (nodes === undefined) byProtocol.set(protocol, [node])
    else nodes.push(node)
  }
  const others = said.filter(({ protocol }) => protocol !== used).map(({ node }) => node)
  const sayings = Array.from(byProtocol, ([protocol, nodes]) => `${protocol} on ${listed(nodes)}`)
  return {
    kind: "protocol_conflict",
    service,
    nodes: others,
    message: `${service} is ${sayings.join(", but ")}: calls use ${used}, and ${listed(others)} ${others.length === 1 ? "gets" : "get"} none`,
    hint: `Set protocol of ${service} in the config of ${listed(others)} to ${used} and reload, or give what differs a name of its own.`
  }
}

const ofWithheld = ({ record, withheld }: NodeEntry): MeshFinding => ({
  kind: "service_not_granted",
  service: withheld.length === 1 ? withheld[0] : undefined,
  nodes: [record.name],
  message: `${record.name} offers ${listed(withheld)}, which its certificate does not grant: no node sends calls there`,
  hint: `Take it off the config of ${record.name}, or let the node join anew with an invite for it: \`skein invite --services ${withheld.slice(0, maxNames).join(",")}\`.`
})

/** What several have in common, by what it is. */
const together = (
  all: ReadonlyArray<NodeEntry>,
  keyOf: (entry: NodeEntry) => string | undefined
): ReadonlyArray<readonly [string, ReadonlyArray<NodeEntry>]> => {
  const groups = new Map<string, Array<NodeEntry>>()
  for (const entry of all) {
    const key = keyOf(entry)
    if (key === undefined) continue
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [entry])
    else group.push(entry)
  }
  return Array.from(groups).filter(([, group]) => group.length > 1)
}

const sharedNames = (living: ReadonlyArray<NodeEntry>): ReadonlyArray<MeshFinding> =>
  together(living, ({ record }) => record.name).map(([name, group]) => ({
    kind: "name_not_unique",
    service: undefined,
    nodes: group.map(({ record }) => record.name),
    message: `${group.length} nodes are named ${name} (${listed(group.map(({ record }) => record.peer))}): logs, metrics and tables cannot tell them apart`,
    hint: "Let one of them leave, and join again under another node.name. Calls are not affected."
  }))

/**
 * All addresses of one are all those of another. Some may rightly be the same: that of a container
 * bridge is on every host.
 */
const sharedAddresses = (living: ReadonlyArray<NodeEntry>): ReadonlyArray<MeshFinding> =>
  together(living, ({ record }) =>
    record.addresses.length === 0 ? undefined : record.addresses.toSorted().join(" ")
  ).map(([addresses, group]) => {
    const nodes = group.map(({ record }) => record.name)
    return {
      kind: "address_not_unique",
      service: undefined,
      nodes,
      message: `${listed(nodes)} announce the same addresses (${listed(addresses.split(" "))}): one of them cannot be reached`,
      hint: "Is node.announce or node.listen copied from another host? Each needs an address of its own."
    }
  })
