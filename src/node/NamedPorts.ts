/**
 * At which port a service is called by its name, as the nodes that offer it say. Of several that say
 * different ports, the one that has run longest is believed, as with policies (OwnerPolicies.ts).
 */
import type { EntryChange } from "../mesh/catalogue/CatalogueChange.ts"
import type { PeerKey, ServiceName } from "../model/Names.ts"
import type { Protocol } from "../model/NodeRecord.ts"

interface Said {
  readonly port: number | undefined
  readonly detect: number | undefined
  /** Start of the node. */
  readonly epoch: number
}

/** Of what speaks HTTP; callers write no port then. */
const httpPort = 80

export class NamedPorts {
  readonly #said = new Map<ServiceName, Map<PeerKey, Said>>()

  follow(changes: Iterable<EntryChange>): void {
    for (const { before, after } of changes) {
      for (const { name } of before?.record.services ?? []) {
        const nodes = this.#said.get(name)
        if (before !== undefined) nodes?.delete(before.record.peer)
        if (nodes?.size === 0) this.#said.delete(name)
      }
      if (after === undefined || after.record.state === "left") continue
      const { epoch, peer, services } = after.record
      for (const { detect, name, port } of services) {
        if (port === undefined && detect === undefined) continue
        const nodes = this.#said.get(name) ?? new Map<PeerKey, Said>()
        this.#said.set(name, nodes.set(peer, { detect, port, epoch }))
      }
    }
  }

  /** Undefined: nobody has said one, and it is TCP, which has no usual one. */
  of(service: ServiceName, protocol: Protocol): number | undefined {
    return this.#first(service, ({ port }) => port) ?? (protocol === "tcp" ? undefined : httpPort)
  }

  /** Callers may speak anything to it, and who says nothing for so long waits for the server, ms. */
  detectOf(service: ServiceName): number | undefined {
    return this.#first(service, ({ detect }) => detect)
  }

  #first(service: ServiceName, what: (said: Said) => number | undefined): number | undefined {
    return Array.from(this.#said.get(service) ?? [])
      .filter(([, said]) => what(said) !== undefined)
      .sort(([a, one], [b, other]) => one.epoch - other.epoch || (a < b ? -1 : 1))
      .map(([, said]) => what(said))[0]
  }
}
