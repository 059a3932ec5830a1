/**
 * What is wrong between nodes: each alone is as its operator wanted it, together they contradict.
 * Somebody then gets no calls, and every node leaves out the same, since all read the same records.
 * What is left out is said here, on every node, with who says what and the mend. Pure apart from its
 * memory.
 */
import type { NodeName, PeerKey, ServiceName } from "../../model/Names.ts"
import type { Protocol } from "../../model/NodeRecord.ts"
import type { EntryChange } from "./CatalogueChange.ts"
import type { MemberLookup } from "./MeshViewBuilder.ts"
import type { NodeEntry } from "./RecordEntry.ts"
import type { ProtocolConflict } from "./ServiceOffers.ts"

export const findingKinds = [
  /** Nodes offer one service under different protocols. */
  "protocol_conflict",
  /** A node offers what its certificate does not grant. */
  "service_not_granted",
  /** Two living nodes have one name. */
  "name_not_unique",
  /** Everything under which a node can be reached, another announces too. */
  "address_not_unique",
  /** A token has let in more hosts than it may: members that did not hear each other did. */
  "invite_overused",
  /** A mesh-wide setting was changed apart by two who did not know of each other. */
  "setting_conflict",
  /** Another process uses this node's key. */
  "record_contested",
  /** Records from the mesh that this node did not believe, lately. */
  "records_refused",
  /** A member sends what no honest one sends, or far too much. */
  "peer_misbehaves",
  /** This node does not belong to the mesh any more. */
  "thrown_out",
  /** A root of the mesh was to be replaced, and still counts long after. */
  "root_unfinished",
  /** One root of the mesh has two successors. */
  "root_forked",
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

/** Nodes that have something in common, by what it is. */
class Groups {
  readonly #groups = new Map<string, Map<PeerKey, NodeEntry>>()
  /** With more than one node. */
  readonly #shared = new Set<string>()

  put(key: string, entry: NodeEntry): void {
    const group = this.#groups.get(key) ?? new Map<PeerKey, NodeEntry>()
    this.#groups.set(key, group.set(entry.record.peer, entry))
    if (group.size > 1) this.#shared.add(key)
  }

  take(key: string, { record }: NodeEntry): void {
    const group = this.#groups.get(key)
    group?.delete(record.peer)
    if (group?.size === 0) this.#groups.delete(key)
    if (group === undefined || group.size < 2) this.#shared.delete(key)
  }

  any(key: string): NodeEntry | undefined {
    return this.#groups.get(key)?.values().next().value
  }

  /** Those of several nodes, in the order of the first ones' keys. */
  shared(): ReadonlyArray<readonly [string, ReadonlyArray<NodeEntry>]> {
    const groups = Array.from(this.#shared, (key) => {
      const group = inOrder(this.#groups.get(key)?.values() ?? [])
      return [key, group] as const
    })
    return groups.sort(([, [a]], [, [b]]) => (a!.record.peer < b!.record.peer ? -1 : 1))
  }
}

/** Follows the catalogue and membership: a change costs what changed, a look costs what is found. */
export class MeshFindings {
  readonly #memberOf: MemberLookup
  readonly #entries = new Map<PeerKey, NodeEntry>()
  /** Of those that are not dead. */
  readonly #living = new Map<PeerKey, NodeEntry>()
  readonly #names = new Groups()
  readonly #addresses = new Groups()
  readonly #withheld = new Groups()
  readonly #withholding = new Map<PeerKey, NodeEntry>()

  constructor(memberOf: MemberLookup) {
    this.#memberOf = memberOf
  }

  /** What changed in the catalogue. */
  records(changes: Iterable<EntryChange>): void {
    for (const { before, after } of changes) {
      const peer = (after ?? before)?.record.peer
      if (peer === undefined) continue
      for (const service of this.#entries.get(peer)?.withheld ?? []) {
        this.#withheld.take(service, this.#entries.get(peer)!)
      }
      const present = after?.record.state === "left" ? undefined : after
      if (present === undefined) this.#entries.delete(peer)
      else {
        this.#entries.set(peer, present)
        for (const service of present.withheld) this.#withheld.put(service, present)
      }
      this.#judge(peer)
    }
  }

  /** Those of whom membership may say something else than before. */
  members(peers: Iterable<PeerKey>): void {
    for (const peer of peers) this.#judge(peer)
  }

  /** A node that means to offer the service and may not. */
  withholder(service: ServiceName): NodeName | undefined {
    return this.#withheld.any(service)?.record.name
  }

  all(conflicts: ReadonlyArray<ProtocolConflict>): ReadonlyArray<MeshFinding> {
    return [
      ...conflicts.slice(0, maxTold).map(ofConflict),
      ...inOrder(this.#withholding.values()).slice(0, maxTold).map(ofWithheld),
      ...this.#names.shared().slice(0, maxTold).map(ofSharedName),
      ...this.#addresses.shared().slice(0, maxTold).map(ofSharedAddresses)
    ]
  }

  #judge(peer: PeerKey): void {
    const before = this.#living.get(peer)
    const entry = this.#entries.get(peer)
    const after = entry === undefined || isGone(this.#memberOf(peer)) ? undefined : entry
    if (before === after) return
    if (before !== undefined) {
      this.#names.take(before.record.name, before)
      this.#addresses.take(addressesOf(before), before)
      this.#withholding.delete(peer)
      this.#living.delete(peer)
    }
    if (after === undefined) return
    this.#living.set(peer, after)
    this.#names.put(after.record.name, after)
    if (after.record.addresses.length > 0) this.#addresses.put(addressesOf(after), after)
    if (after.withheld.length > 0) this.#withholding.set(peer, after)
  }
}

const inOrder = (entries: Iterable<NodeEntry>): ReadonlyArray<NodeEntry> =>
  Array.from(entries).sort((a, b) => (a.record.peer < b.record.peer ? -1 : 1))

const addressesOf = ({ record }: NodeEntry): string => record.addresses.toSorted().join(" ")

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

const ofSharedName = ([name, group]: readonly [string, ReadonlyArray<NodeEntry>]): MeshFinding => ({
  kind: "name_not_unique",
  service: undefined,
  nodes: group.map(({ record }) => record.name),
  message: `${group.length} nodes are named ${name} (${listed(group.map(({ record }) => record.peer))}): logs, metrics and tables cannot tell them apart`,
  hint: "Let one of them leave, and join again under another node.name. Calls are not affected."
})

/**
 * All addresses of one are all those of another. Some may rightly be the same: that of a container
 * bridge is on every host.
 */
const ofSharedAddresses = ([addresses, group]: readonly [
  string,
  ReadonlyArray<NodeEntry>
]): MeshFinding => {
  const nodes = group.map(({ record }) => record.name)
  return {
    kind: "address_not_unique",
    service: undefined,
    nodes,
    message: `${listed(nodes)} announce the same addresses (${listed(addresses.split(" "))}): one of them cannot be reached`,
    hint: "Is node.announce or node.listen copied from another host? Each needs an address of its own."
  }
}
