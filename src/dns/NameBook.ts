/** What is known of the services that names stand for: the request plane's view, as names need it. */
import type { ServiceName } from "../model/Names.ts"
import type { Protocol } from "../model/NodeRecord.ts"

export interface NamedService {
  readonly name: ServiceName
  readonly protocol: Protocol
  /** Where its name is called; undefined: a TCP service of which nobody has said a port. */
  readonly port: number | undefined
  /** Callers may speak anything, which is told by how they begin, or by their silence for so long, ms. */
  readonly detect?: number | undefined
  readonly endpoints: number
  /** Of those, how many take calls. */
  readonly healthy: number
}

export interface NameBook {
  /** Undefined: nobody offers it. */
  readonly find: (service: ServiceName) => NamedService | undefined
  /** Whose address of a block it is; of IPv6 in eight groups, without zeros before them. */
  readonly nameAt: (address: string) => ServiceName | undefined
}
