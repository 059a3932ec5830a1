/**
 * What nodes say of how calls to their services are made resilient. Of several that offer one service and
 * say different things, the one that has run longest is believed: a newcomer with a mistake in its config does not
 * change how all are called. Follows the catalogue; a change costs its own node's services.
 */
import { isDeepStrictEqual } from "node:util"
import type { EntryChange } from "../mesh/catalogue/CatalogueChange.ts"
import type { NodeName, PeerKey, ServiceName } from "../model/Names.ts"
import type { NodeRecord } from "../model/NodeRecord.ts"

export interface OwnerPolicy {
  readonly node: NodeName
  readonly written: Readonly<Record<string, unknown>>
}

interface Said extends OwnerPolicy {
  readonly peer: PeerKey
  /** Start of the node. */
  readonly epoch: number
}

export class OwnerPolicies {
  readonly #said = new Map<ServiceName, Map<PeerKey, Said>>()

  /** Services for which something else is said now. */
  follow(changes: Iterable<EntryChange>): ReadonlySet<ServiceName> {
    const touched = new Set<ServiceName>()
    for (const { before, after } of changes) {
      const names = new Set([before, after].flatMap((entry) => saidIn(entry?.record)))
      for (const name of names) {
        const old = this.of(name)
        this.#put(name, after?.record, before?.record.peer)
        if (!isDeepStrictEqual(this.of(name), old)) touched.add(name)
      }
    }
    return touched
  }

  /** Undefined: nobody says anything. */
  of(service: ServiceName): OwnerPolicy | undefined {
    const [first, ...others] = this.#said.get(service)?.values() ?? []
    if (first === undefined) return undefined
    const { node, written } = others.reduce((a, b) => (isBefore(b, a) ? b : a), first)
    return { node, written }
  }

  services(): Iterable<ServiceName> {
    return this.#said.keys()
  }

  #put(name: ServiceName, record: NodeRecord | undefined, gone: PeerKey | undefined): void {
    const nodes = this.#said.get(name) ?? new Map<PeerKey, Said>()
    if (gone !== undefined) nodes.delete(gone)
    const written = record?.services.find((service) => service.name === name)?.policy
    if (record !== undefined && written !== undefined) {
      const { epoch, name: node, peer } = record
      nodes.set(peer, { peer, node, epoch, written })
    }
    if (nodes.size === 0) this.#said.delete(name)
    else this.#said.set(name, nodes)
  }
}

const saidIn = (record: NodeRecord | undefined): ReadonlyArray<ServiceName> =>
  (record?.services ?? []).flatMap(({ name, policy }) => (policy === undefined ? [] : [name]))

const isBefore = (a: Said, b: Said): boolean =>
  a.epoch !== b.epoch ? a.epoch < b.epoch : a.peer < b.peer
