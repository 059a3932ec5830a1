/**
 * Values by the peer that they are of, as an immutable map. A change copies the path to what it changes, two
 * arrays of up to 32 places in a mesh of a thousand, and shares the rest. What is held is its own leaf and
 * carries its key, so that thousands of maps which differ in little (simulator) cost what they differ in.
 *
 * A hash array mapped trie, five bits of the peer's hash a level. Its order is that of the hashes, and of the
 * keys where hashes are the same: one and the same for the same peers, however they came.
 */
import { Hash } from "effect"
import type { PeerKey } from "../../model/Names.ts"
import { BoundedCache } from "../trust/BoundedCache.ts"

export interface OfPeer {
  readonly peer: PeerKey
}

const bitsPerLevel = 5
const mask = 31

/** Asked for all the time; more than a mesh has members. */
const hashes = new BoundedCache<number>(32_768)

const hashOf = (peer: PeerKey): number => {
  const known = hashes.peek(peer)
  if (known !== undefined) return known
  const hash = Hash.string(peer)
  hashes.set(peer, hash)
  return hash
}

/** Those with one and the same hash, in the order of their keys. */
class Same<A extends OfPeer> {
  readonly hash: number
  readonly all: ReadonlyArray<A>

  constructor(hash: number, all: ReadonlyArray<A>) {
    this.hash = hash
    this.all = all.toSorted((a, b) => (a.peer < b.peer ? -1 : 1))
  }
}

class Branch<A extends OfPeer> {
  /** A bit for each place that is taken. */
  readonly taken: number
  /** What is there, in order. */
  readonly places: ReadonlyArray<Node<A>>
  /** Values below it. */
  readonly size: number

  constructor(taken: number, places: ReadonlyArray<Node<A>>, size: number) {
    this.taken = taken
    this.places = places
    this.size = size
  }
}

type Node<A extends OfPeer> = Branch<A> | Same<A> | A

const isBranch = <A extends OfPeer>(node: Node<A> | undefined): node is Branch<A> =>
  node instanceof Branch
const isSame = <A extends OfPeer>(node: Same<A> | A): node is Same<A> => node instanceof Same

const sizeOf = <A extends OfPeer>(node: Node<A>): number =>
  isBranch(node) ? node.size : isSame(node) ? node.all.length : 1

/** Bits that are set below this one: its place among those that are taken. */
const placeOf = (taken: number, bit: number): number => {
  let bits = taken & (bit - 1)
  bits -= (bits >>> 1) & 0x55555555
  bits = (bits & 0x33333333) + ((bits >>> 2) & 0x33333333)
  bits = (bits + (bits >>> 4)) & 0x0f0f0f0f
  return Math.imul(bits, 0x01010101) >>> 24
}

const bitOf = (hash: number, level: number): number => 1 << ((hash >>> level) & mask)

/** Two that stood in one place, each in its own. */
const split = <A extends OfPeer>(
  level: number,
  held: Same<A> | A,
  heldHash: number,
  item: A,
  hash: number
): Node<A> => {
  if (heldHash === hash) return new Same(hash, [...(isSame(held) ? held.all : [held]), item])
  const [one, other] = [bitOf(heldHash, level), bitOf(hash, level)]
  const size = sizeOf<A>(held) + 1
  if (one === other) {
    return new Branch(one, [split(level + bitsPerLevel, held, heldHash, item, hash)], size)
  }
  const inOrder = one >>> 0 < other >>> 0
  return new Branch<A>(one | other, inOrder ? [held, item] : [item, held], size)
}

/** The same node when this very value is there. */
const put = <A extends OfPeer>(node: Node<A>, level: number, hash: number, item: A): Node<A> => {
  if (!isBranch(node)) {
    if (!isSame(node)) {
      return node.peer === item.peer ? item : split(level, node, hashOf(node.peer), item, hash)
    }
    const others = node.all.filter(({ peer }) => peer !== item.peer)
    return others.length < node.all.length
      ? new Same(hash, [...others, item])
      : split(level, node, node.hash, item, hash)
  }
  const bit = bitOf(hash, level)
  const place = placeOf(node.taken, bit)
  if ((node.taken & bit) === 0) {
    return new Branch(node.taken | bit, node.places.toSpliced(place, 0, item), node.size + 1)
  }
  const held = node.places[place]!
  const next = put(held, level + bitsPerLevel, hash, item)
  if (next === held) return node
  const places = node.places.slice()
  places[place] = next
  return new Branch(node.taken, places, node.size + sizeOf(next) - sizeOf(held))
}

/** Without one that is there; undefined: nothing is left. */
const take = <A extends OfPeer>(
  node: Node<A>,
  level: number,
  hash: number,
  gone: PeerKey
): Node<A> | undefined => {
  if (!isBranch(node)) {
    if (!isSame(node)) return undefined
    const others = node.all.filter(({ peer }) => peer !== gone)
    return others.length === 1 ? others[0] : new Same(hash, others)
  }
  const bit = bitOf(hash, level)
  const place = placeOf(node.taken, bit)
  const less = take(node.places[place]!, level + bitsPerLevel, hash, gone)
  const places =
    less === undefined ? node.places.toSpliced(place, 1) : node.places.with(place, less)
  if (places.length === 0) return undefined
  // One alone needs no branch: equal maps are of one shape.
  const [first] = places
  if (places.length === 1 && first !== undefined && !isBranch(first)) return first
  return new Branch(less === undefined ? node.taken & ~bit : node.taken, places, node.size - 1)
}

const visitAll = <A extends OfPeer>(node: Node<A>, visit: (item: A) => void): void => {
  if (isBranch(node)) for (const place of node.places) visitAll(place, visit)
  else if (isSame(node)) for (const item of node.all) visit(item)
  else visit(node)
}

export class PeerMap<A extends OfPeer> implements Iterable<A> {
  readonly #root: Node<A> | undefined

  private constructor(root: Node<A> | undefined) {
    this.#root = root
  }

  static of<A extends OfPeer>(items: Iterable<A> = []): PeerMap<A> {
    let map = new PeerMap<A>(undefined)
    for (const item of items) map = map.with(item)
    return map
  }

  get size(): number {
    return this.#root === undefined ? 0 : sizeOf(this.#root)
  }

  get(peer: PeerKey): A | undefined {
    let node = this.#root
    let hash = hashOf(peer)
    while (isBranch(node)) {
      const bit = 1 << (hash & mask)
      if ((node.taken & bit) === 0) return undefined
      node = node.places[placeOf(node.taken, bit)]
      hash >>>= bitsPerLevel
    }
    if (node === undefined) return undefined
    if (isSame(node)) return node.all.find((one) => one.peer === peer)
    return node.peer === peer ? node : undefined
  }

  has(peer: PeerKey): boolean {
    return this.get(peer) !== undefined
  }

  /** Instead of what there is of this peer. The same map when that is this very value. */
  with(item: A): PeerMap<A> {
    if (this.#root === undefined) return new PeerMap<A>(item)
    const root = put(this.#root, 0, hashOf(item.peer), item)
    return root === this.#root ? this : new PeerMap(root)
  }

  without(peer: PeerKey): PeerMap<A> {
    if (this.#root === undefined || !this.has(peer)) return this
    return new PeerMap(take(this.#root, 0, hashOf(peer), peer))
  }

  /** All of them, in the order of their peers' hashes. */
  each(visit: (item: A) => void): void {
    if (this.#root !== undefined) visitAll(this.#root, visit)
  }

  /** As an array of the caller's own. */
  values(): Array<A> {
    const all: Array<A> = []
    this.each((item) => all.push(item))
    return all
  }

  [Symbol.iterator](): Iterator<A> {
    return this.values()[Symbol.iterator]()
  }
}
