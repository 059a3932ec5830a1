/**
 * Nodes that know the same hold the same catalogue. It is an immutable value; when two nodes come to equal
 * ones in different ways, both get the first. So ten thousand nodes that know ten thousand cost one
 * catalogue, and a change at all of them costs one more. So do rings of observers (SharedRings.ts).
 */
import type { Catalogue } from "../../mesh/catalogue/Catalogue.ts"
import type { AnyChange } from "../../mesh/catalogue/CatalogueChange.ts"
import type { CatalogueEntry } from "../../mesh/catalogue/RecordEntry.ts"
import { Remembered } from "./Remembered.ts"
import { SharedRings } from "./SharedRings.ts"

/** A set's identity: the exclusive or of its elements' random numbers, in two halves of 30 bits. */
interface Identity {
  readonly high: number
  readonly low: number
}

const none: Identity = { high: 0, low: 0 }

const combine = (a: Identity, b: Identity): Identity => ({
  high: a.high ^ b.high,
  low: a.low ^ b.low
})

const keyOf = ({ high, low }: Identity): number => (high >>> 2) * 2 ** 22 + (low & 0x3fffff)

/** So few are not worth it, and there their order may matter. */
const fewest = 16

/** FNV-1a over a text, twice. */
const identityOf = (text: string, salt: number): Identity => {
  let high = 0x811c9dc5 ^ salt
  let low = 0x01000193 ^ salt
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    high = Math.imul(high ^ code, 0x01000193)
    low = Math.imul(low ^ (code + at), 0x85ebca6b)
  }
  high ^= high >>> 15
  low ^= low >>> 13
  return { high: Math.imul(high, 0x2c1b3c6d), low: Math.imul(low, 0x297a2d39) }
}

/** Catalogues that can be found: two for each of a thousand nodes of different minds. */
const mostCatalogues = 2_048

class Interned<A extends object> {
  readonly #identities = new WeakMap<A, Identity>()
  readonly #values = new Remembered<A>(mostCatalogues)

  identity(value: A): Identity {
    return this.#identities.get(value) ?? none
  }

  find(identity: Identity): A | undefined {
    return this.#values.get(keyOf(identity))
  }

  add(value: A, identity: Identity): A {
    this.#identities.set(value, identity)
    this.#values.set(keyOf(identity), value)
    return value
  }
}

export class Sharing {
  readonly rings = new SharedRings()
  readonly #catalogues = new Interned<Catalogue>()
  readonly #entries = new WeakMap<CatalogueEntry, Identity>()
  #made = 0

  /** `next`, or one that is equal to it. */
  catalogue(before: Catalogue, next: Catalogue, changes: ReadonlyArray<AnyChange>): Catalogue {
    if (next.size < fewest) return next
    let identity = this.#catalogues.identity(before)
    if (identity === none && before.size > 0) identity = this.#whole(before)
    for (const { after, before: held } of changes) {
      if (held !== undefined) identity = combine(identity, this.#entry(held))
      if (after !== undefined) identity = combine(identity, this.#entry(after))
    }
    return this.#catalogues.find(identity) ?? this.#catalogues.add(next, identity)
  }

  /** The same number for equal ones. */
  identity(catalogue: Catalogue): number {
    const known = this.#catalogues.identity(catalogue)
    return keyOf(known === none ? this.#whole(catalogue) : known)
  }

  #whole(catalogue: Catalogue): Identity {
    let identity = none
    for (const entry of catalogue.all()) identity = combine(identity, this.#entry(entry))
    return identity
  }

  #entry(entry: CatalogueEntry): Identity {
    const known = this.#entries.get(entry)
    if (known !== undefined) return known
    const identity = identityOf(entry.key, ++this.#made)
    this.#entries.set(entry, identity)
    return identity
  }
}
