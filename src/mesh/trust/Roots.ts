/**
 * The roots of a mesh: the one that it was founded with, whose hash is the mesh's id for good, and those
 * that were added since. An immutable value, made of what roots have said (RootStatement.ts) in the order in
 * which it was heard.
 *
 * - A root in force may add another one. Chains under all of them are believed.
 * - A root in force may withdraw all but itself and those that it has added: what rests on the withdrawn
 *   counts for nothing then, nor does what they say of roots. So a stolen key of an old root withdraws no
 *   newer one.
 *
 * What was withdrawn stays so on whoever has heard of it, whatever is heard later. Two successors of one root
 * are *rivals*: only the holder of that root's key, or its thief, can make two, and everybody stands under the
 * newer until one withdraws the other. Of two that withdraw each other a node believes the one that it has
 * heard first.
 */
import { createHash } from "node:crypto"
import { Either } from "effect"
import type { MeshId } from "../../model/Names.ts"
import type { RootId } from "../../schema/TrustSchema.ts"
import { type CertificateError, describeInstant } from "./CertificateError.ts"
import { authorizedBy, firstRoot, type Root, rootIdOf } from "./Root.ts"
import {
  type AddedRoot,
  isRootSigned,
  type RootSaid,
  readRootStatement,
  type WithdrawnRoots
} from "./RootStatement.ts"
import { chainError, Delegation, openStatement } from "./SignedChain.ts"
import { meshIdOf, peerKeyOf } from "./SigningKey.ts"

/** Roots that may be in force at once: each is a signature more to try for what is under none. */
export const maxInForce = 4
/** Roots that a mesh may have had, the first included. */
export const maxRoots = 32

/** Where a path may begin, and how many of its delegations lie before that. */
export interface Anchor {
  readonly root: Root
  readonly skip: number
}

const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0

export class Roots {
  readonly mesh: MeshId
  /** Oldest first, the withdrawn too. */
  readonly all: ReadonlyArray<Root>
  /** What was said of them and believed, in this order. */
  readonly log: ReadonlyArray<Uint8Array>
  /** Names the keys that are known: under the same ones a chain comes out the same. */
  readonly keys: string
  readonly #inForce: ReadonlyArray<Root>
  readonly #anchors: ReadonlyArray<Root>
  #digest: Uint8Array | undefined

  private constructor(mesh: MeshId, all: ReadonlyArray<Root>, log: ReadonlyArray<Uint8Array>) {
    this.mesh = mesh
    this.all = all
    this.log = log
    this.keys = all.map(({ id }) => id).join()
    const newestFirst = all.toReversed()
    this.#inForce = newestFirst.filter(({ withdrawn }) => withdrawn === undefined)
    this.#anchors = [
      ...this.#inForce,
      ...newestFirst.filter(({ withdrawn }) => withdrawn !== undefined)
    ]
  }

  /** Of a mesh that nobody has rotated. */
  static founded(publicKey: Uint8Array): Roots {
    return new Roots(meshIdOf(publicKey), [firstRoot(publicKey)], [])
  }

  /**
   * As a token claims: the mesh, and one of its roots. Only for reading that token, and whom it leads to.
   */
  static claimed(mesh: MeshId, publicKey: Uint8Array): Roots {
    return new Roots(mesh, [firstRoot(publicKey)], [])
  }

  /** Those of a mesh of which no more is known than its id, by what was said from its first root on. */
  static fromLog(
    mesh: MeshId,
    log: ReadonlyArray<Uint8Array>
  ): Either.Either<Roots, CertificateError> {
    const first = log
      .flatMap((bytes) => Either.getOrUndefined(readRootStatement(bytes)) ?? [])
      .find(({ by }) => meshIdOf(by) === mesh)
    return first === undefined
      ? Either.left(chainError("foreign_mesh", `nothing leads to the first root of mesh ${mesh}`))
      : Either.right(Roots.founded(first.by).hear(log))
  }

  /** The first one's key: by it the mesh is named. */
  get founder(): Uint8Array {
    return this.all[0]!.publicKey
  }

  /** Newest first; never empty. */
  get inForce(): ReadonlyArray<Root> {
    return this.#inForce
  }

  /** Under which everybody is to stand. */
  get newest(): Root {
    return this.#inForce[0]!
  }

  get isRotating(): boolean {
    return this.#inForce.length > 1
  }

  get(id: RootId): Root | undefined {
    return this.all.find((root) => root.id === id)
  }

  isInForce(id: RootId): boolean {
    return this.#inForce.some((root) => root.id === id)
  }

  /** Is `a` to be stood under rather than `b`? One in force before one that is withdrawn, then the later. */
  isNewer(a: RootId, b: RootId): boolean {
    const counts = this.isInForce(a)
    if (counts !== this.isInForce(b)) return counts
    const order = (id: RootId) => this.all.findIndex((root) => root.id === id)
    return order(a) > order(b)
  }

  /** Did `on` add this root, itself or through others? */
  restsOn(id: RootId, on: RootId): boolean {
    const by = this.get(id)?.by
    return by !== undefined && (by === on || this.restsOn(by, on))
  }

  /** Those in force that neither have added this one nor were added by it, themselves or through others. */
  rivalsOf(id: RootId): ReadonlyArray<Root> {
    return this.#inForce.filter(
      (root) => root.id !== id && !this.restsOn(root.id, id) && !this.restsOn(id, root.id)
    )
  }

  /** Why what rests on this root counts for nothing; undefined: it counts. */
  whyWithdrawn(id: RootId): string | undefined {
    const withdrawn = this.get(id)?.withdrawn
    return (
      withdrawn &&
      `the root ${id} of this mesh was replaced by ${rootIdOf(withdrawn.by)} and withdrawn at ${describeInstant(withdrawn.at)}`
    )
  }

  /** Does a withdrawn root's member come over to the new one? */
  stays(id: RootId, mark: Uint8Array): boolean {
    return this.get(id)?.withdrawn?.stay.some((one) => same(one, mark)) ?? false
  }

  /** Does a setting under a withdrawn root hold on? */
  keeps(mark: Uint8Array): boolean {
    return this.all.some(({ withdrawn }) => withdrawn?.kept.some((one) => same(one, mark)))
  }

  /** Cross-certificates from the oldest root in force that leads to this one; empty for that itself. */
  crossesTo(id: RootId): ReadonlyArray<Uint8Array> {
    const root = this.get(id)
    if (root?.cross === undefined || root.by === undefined || !this.isInForce(root.by)) return []
    return [...this.crossesTo(root.by), root.cross]
  }

  /** Where a path may begin, the likeliest first. */
  anchorsOf(delegations: ReadonlyArray<Uint8Array>): ReadonlyArray<Anchor> {
    let known: Anchor | undefined
    for (const [index, bytes] of delegations.entries()) {
      const root = this.all.find(({ cross }) => cross !== undefined && same(cross, bytes))
      if (root === undefined) break
      known = { root, skip: index + 1 }
    }
    return known === undefined ? this.#anchors.map((root) => ({ root, skip: 0 })) : [known]
  }

  /** Delegations from where the path begins, without the cross-certificates before that. */
  lengthOf(delegations: ReadonlyArray<Uint8Array>): number {
    return delegations.length - (this.anchorsOf(delegations)[0]?.skip ?? 0)
  }

  /** Equal on nodes that believe the same of roots; 16 bytes. */
  digest(): Uint8Array {
    if (this.#digest === undefined) {
      const hash = createHash("sha256").update("skein roots\n")
      for (const { id, withdrawn } of this.all.toSorted((a, b) => (a.id < b.id ? -1 : 1))) {
        if (withdrawn === undefined) hash.update(`${id}\n`)
      }
      this.#digest = new Uint8Array(hash.digest().subarray(0, 16))
    }
    return this.#digest
  }

  /**
   * With what of these is believed, in whatever order they come. This very value when there is no news. A
   * forged one ends it: nobody can have more than one signature checked in vain.
   */
  hear(statements: ReadonlyArray<Uint8Array>): Roots {
    let roots: Roots = this
    let left = statements
    for (;;) {
      const unheard: Array<Uint8Array> = []
      for (const bytes of left) {
        const next = roots.take(bytes)
        if (Either.isRight(next)) roots = next.right
        else if (next.left.code === "bad_signature") return roots
        else unheard.push(bytes)
      }
      // One may have waited for another that came behind it.
      if (unheard.length === left.length || unheard.length === 0) return roots
      left = unheard
    }
  }

  /** With this statement; this very value when it says nothing new. */
  take(bytes: Uint8Array): Either.Either<Roots, CertificateError> {
    if (this.log.some((known) => same(known, bytes))) return Either.right(this)
    return Either.gen(this, function* () {
      const said = yield* readRootStatement(bytes)
      const by = rootIdOf(said.by)
      if (!this.isInForce(by)) {
        const withdrawn = this.whyWithdrawn(by)
        return yield* Either.left(
          withdrawn === undefined
            ? chainError("foreign_mesh", `${by} is no root of this mesh, as far as is known here`)
            : chainError("root_withdrawn", withdrawn)
        )
      }
      // Whoever is no root costs no more than this to refuse.
      if (!isRootSigned(bytes, this.mesh, said.by)) {
        const message = `what root ${by} is to have said of roots is not signed by it: it was altered or forged`
        return yield* Either.left(chainError("bad_signature", message))
      }
      const all = yield* this.#with(said, by)
      return all === this.all ? this : new Roots(this.mesh, all, [...this.log, bytes])
    })
  }

  #with(said: RootSaid, by: RootId): Either.Either<ReadonlyArray<Root>, CertificateError> {
    return said.say === "added"
      ? this.#withAdded(said, by)
      : Either.right(this.#withoutOthers(said, by))
  }

  #withAdded(said: AddedRoot, by: RootId): Either.Either<ReadonlyArray<Root>, CertificateError> {
    const id = rootIdOf(said.root)
    if (this.get(id) !== undefined) return Either.right(this.all)
    if (this.all.length >= maxRoots || this.#inForce.length >= maxInForce) {
      return Either.left(
        chainError(
          "too_deep",
          `this mesh has ${this.#inForce.length} roots in force of ${this.all.length} that it had; ${maxInForce} and ${maxRoots} are the limits`
        )
      )
    }
    return Either.gen(this, function* () {
      const under = authorizedBy(this.get(by)!)
      const cross = yield* openStatement(Delegation, "delegation", this.mesh, under, said.cross)
      if (cross.peer !== peerKeyOf(said.root)) {
        const message = `the cross-certificate of root ${id} is made out to another key`
        return yield* Either.left(chainError("wrong_peer", message))
      }
      const { at, cross: bytes, root: publicKey } = said
      const added = { id, publicKey, by, cross: bytes, at, withdrawn: undefined }
      return this.#inOrder([...this.all, added])
    })
  }

  /** The same on all nodes, whatever was heard first: a successor behind its predecessor, then by time. */
  #inOrder(all: ReadonlyArray<Root>): ReadonlyArray<Root> {
    const depthOf = ({ by }: Root): number => {
      const parent = by === undefined ? undefined : all.find(({ id }) => id === by)
      return parent === undefined ? 0 : depthOf(parent) + 1
    }
    return all.toSorted((a, b) => depthOf(a) - depthOf(b) || a.at - b.at || (a.id < b.id ? -1 : 1))
  }

  #withoutOthers(said: WithdrawnRoots, by: RootId): ReadonlyArray<Root> {
    const isOther = ({ id, withdrawn }: Root) =>
      withdrawn === undefined && id !== by && !this.restsOn(id, by)
    return this.all.some(isOther)
      ? this.all.map((root) => (isOther(root) ? { ...root, withdrawn: said } : root))
      : this.all
  }
}
