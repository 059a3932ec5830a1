/**
 * Which host an actor lives on. Every node works it out by itself from what the catalogue says, and equal
 * views give equal answers: nobody is asked, and nobody decides.
 *
 * An id falls into one of the type's shards, and a shard belongs to the host that has the highest score for
 * it (rendezvous hashing; weighted as by Schindelhauer and Schomaker, 2005). A host that comes takes shards
 * from the others and moves none between them, one that goes leaves its own to the others and moves none
 * besides, and each has its share by weight.
 */

/** A host that offers a type, as placement sees it. */
export interface PlacedHost {
  /** Of the endpoint: unique in the mesh, the same from start to start. */
  readonly key: string
  /** Relative share of the shards, from 1. */
  readonly weight: number
}

/**
 * Of each type, everywhere and for good: another number would put every actor elsewhere. Ten times the
 * hosts that a type is likely to have gives each of them nearly its share.
 */
export const shardCount = 256

export const allShards: ReadonlyArray<number> = Array.from({ length: shardCount }, (_, i) => i)

/** FNV-1a, then the finalizer of MurmurHash3, since the last characters of ids differ most. */
const hashText = (text: string): number => {
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    hash = Math.imul(hash ^ (code & 0xff), 0x01000193)
    if (code > 0xff) hash = Math.imul(hash ^ (code >>> 8), 0x01000193)
  }
  return mixed(hash)
}

const mixed = (value: number): number => {
  let hash = value
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}

/** From 0, below `shardCount`. */
export const shardOf = (id: string): number => hashText(id) % shardCount

interface RankedHost extends PlacedHost {
  readonly hash: number
}

export class Placement {
  readonly #type: string
  readonly #hosts: ReadonlyArray<RankedHost>
  /** By shard; made when they are asked for. */
  readonly #owners: Array<string | undefined> = []

  /** Of a type, for hosts in any order. */
  constructor(type: string, hosts: ReadonlyArray<PlacedHost>) {
    this.#type = type
    this.#hosts = hosts.map(({ key, weight }) => ({
      ...{ key, weight },
      // Types differ in who has the first shard, the second…
      hash: hashText(`${type} ${key}`)
    }))
  }

  static readonly nobody = new Placement("", [])

  get size(): number {
    return this.#hosts.length
  }

  /** As it would be if that host had not come. */
  without(key: string): Placement {
    return new Placement(
      this.#type,
      this.#hosts.filter((host) => host.key !== key)
    )
  }

  /** Is it made for these? */
  isOf(hosts: ReadonlyArray<PlacedHost>): boolean {
    return (
      hosts.length === this.#hosts.length &&
      hosts.every(({ key, weight }) =>
        this.#hosts.some((host) => host.key === key && host.weight === weight)
      )
    )
  }

  /** Key of the host the shard belongs to; undefined: there is none. */
  owner(shard: number): string | undefined {
    if (this.#hosts.length === 0) return undefined
    const known = this.#owners[shard]
    if (known !== undefined) return known
    const owner = this.#highest(shard)
    this.#owners[shard] = owner
    return owner
  }

  #highest(shard: number): string | undefined {
    let best: RankedHost | undefined
    let highest = 0
    const spread = mixed(Math.imul(shard + 1, 0x9e3779b1))
    for (const host of this.#hosts) {
      const score = scoreOf(host, spread)
      const wins =
        best === undefined || score > highest || (score === highest && host.key > best.key)
      if (!wins) continue
      best = host
      highest = score
    }
    return best?.key
  }
}

/** −weight / ln(u), with u in (0, 1) by hash: the highest of them falls to each by its weight. */
const scoreOf = ({ hash, weight }: RankedHost, spread: number): number => {
  const u = (mixed(hash ^ spread) + 0.5) / 0x1_0000_0000
  return -weight / Math.log(u)
}

/** Key of the one of these that the shard belongs to where it is not known what each weighs. */
export const ownerAmong = (
  type: string,
  keys: ReadonlyArray<string>,
  shard: number
): string | undefined =>
  new Placement(
    type,
    keys.map((key) => ({ key, weight: 1 }))
  ).owner(shard)
