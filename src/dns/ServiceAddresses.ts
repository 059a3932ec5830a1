/**
 * Which loopback address is whose: found by the service's name, so that it is the same on every host
 * and after every start. Of two names that are drawn to one address the first by the alphabet has it,
 * and the other goes where it is drawn to next; what comes of it depends on the set of the names alone
 * and not on the order in which they were heard of (each name proposes, each address keeps the best:
 * Gale and Shapley 1962).
 */
import { createHash } from "node:crypto"
import { type AddressRange, addressAt, indexOf } from "../model/AddressRange.ts"
import type { ServiceName } from "../model/Names.ts"

/** Addresses a name tries; with half of them taken, one in a million names finds none in 20. */
const mostTries = 32

interface Place {
  readonly index: number
  readonly tries: number
}

/** Where a name is drawn to at its nth try. The first address of the block is nobody's. */
const drawn = (name: ServiceName, tries: number, size: number): number =>
  1 + (createHash("sha256").update(`${name}/${tries}`).digest().readUInt32BE(0) % (size - 1))

export class ServiceAddresses {
  readonly #range: AddressRange
  readonly #places = new Map<ServiceName, Place>()
  readonly #holders = new Map<number, ServiceName>()
  /** Those that are not where they were drawn to first, or are nowhere. */
  readonly #displaced = new Set<ServiceName>()
  /** An address became free that somebody may have been kept from. */
  #isFreed = false

  constructor(range: AddressRange) {
    this.#range = range
  }

  /** Undefined: there is no such name, or no address was left for it. */
  addressOf(name: ServiceName): string | undefined {
    this.#resettle()
    const place = this.#places.get(name)
    return place && addressAt(this.#range, place.index)
  }

  nameAt(address: string): ServiceName | undefined {
    this.#resettle()
    const index = indexOf(this.#range, address)
    return index === undefined ? undefined : this.#holders.get(index)
  }

  holds(address: string): boolean {
    return indexOf(this.#range, address) !== undefined
  }

  add(name: ServiceName): void {
    if (!this.#places.has(name)) this.#settle(name, 0)
  }

  remove(name: ServiceName): void {
    if (this.#leave(name)) this.#isFreed = true
  }

  /** Whoever is displaced looks anew, all of them at once and when it matters: many go together. */
  #resettle(): void {
    if (!this.#isFreed) return
    this.#isFreed = false
    const displaced = [...this.#displaced]
    for (const name of displaced) this.#leave(name)
    for (const name of displaced) this.#settle(name, 0)
  }

  /** Whether it had an address. */
  #leave(name: ServiceName): boolean {
    const place = this.#places.get(name)
    this.#places.delete(name)
    this.#displaced.delete(name)
    return place !== undefined && this.#holders.delete(place.index)
  }

  #settle(first: ServiceName, from: number): void {
    let name = first
    let tries = from
    while (tries < mostTries) {
      const index = drawn(name, tries, this.#range.size)
      const holder = this.#holders.get(index)
      if (holder !== undefined && holder < name) {
        tries++
        continue
      }
      const displaced = holder && this.#places.get(holder)
      this.#holders.set(index, name)
      this.#places.set(name, { index, tries })
      if (tries > 0) this.#displaced.add(name)
      if (holder === undefined || displaced === undefined) return
      this.#places.delete(holder)
      name = holder
      tries = displaced.tries + 1
    }
    this.#displaced.add(name)
  }
}
