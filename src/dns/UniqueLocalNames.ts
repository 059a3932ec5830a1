/** Whose addresses of a block of IPv6 are (UniqueLocal.ts), of the services there are. */
import type { ServiceName } from "../model/Names.ts"
import { uniqueLocalOf } from "../model/UniqueLocal.ts"

export class UniqueLocalNames {
  readonly block: string
  readonly #names = new Map<string, ServiceName>()

  constructor(block: string) {
    this.block = block
  }

  /** Of any name, whether or not it was added. */
  addressOf(name: ServiceName): string {
    return uniqueLocalOf(this.block, name)
  }

  /** Undefined: nobody's, as far as is known. */
  nameAt(address: string): ServiceName | undefined {
    return this.#names.get(address)
  }

  add(name: ServiceName): void {
    this.#names.set(this.addressOf(name), name)
  }

  remove(name: ServiceName): void {
    this.#names.delete(this.addressOf(name))
  }
}
