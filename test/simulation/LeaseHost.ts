/**
 * A host with actors under leases, as far as leases matter: the keeper of production, and an engine that
 * loads, counts, saves and stops as it is told. Each shard has one actor, a counter.
 */
import { Either } from "effect"
import type { ActorAddress, Lease, LoadedActor, Shard } from "../../src/entity/store/ActorStore.ts"
import { LeaseKeeper } from "../../src/entity/store/LeaseKeeper.ts"
import type { LeaseNews, LeaseRequest } from "../../src/entity/store/LeaseStep.ts"
import type { MemoryTables } from "../../src/entity/store/MemoryTables.ts"
import type { SaveError } from "../../src/entity/store/StoreError.ts"
import type { LeaseMesh } from "./LeaseMesh.ts"

/** Of a call; undefined: it was not answered by the counter, ask again. */
export type Answer = (value: number | undefined) => void

interface Counter {
  readonly lease: Lease
  /** Undefined: it is being loaded. */
  loaded: { version: number; count: number; readonly keys: Map<string, number> } | undefined
  isSaving: boolean
  isLeaving: boolean
}

/** The one actor of a shard. */
export const counterOf = (shard: Shard): ActorAddress => ({ shard, id: `counter-${shard.index}` })

const numberOf = (bytes: Uint8Array | undefined): number =>
  bytes === undefined ? 0 : Number(new TextDecoder().decode(bytes))
const bytesOf = (value: number): Uint8Array => new TextEncoder().encode(String(value))

export class LeaseHost {
  readonly index: number
  readonly #mesh: LeaseMesh
  /** How fast its clock is. */
  readonly #rate: number
  #keeper: LeaseKeeper
  #owner: string
  /** A new process is another one: what was under way for the old one is not heard. */
  #life = 0
  /** So that only the latest look is followed by another. */
  #looks = 0
  #counters = new Map<number, Counter>()
  #backlog: Array<() => void> = []
  isPaused = false
  /** From the store. */
  isCut = false
  /** From the other hosts, which take it for gone; those who call on its side still reach it. */
  isAlone = false
  isUp = true

  constructor(mesh: LeaseMesh, index: number, rate: number) {
    this.#mesh = mesh
    this.index = index
    this.#rate = rate
    this.#owner = `host-${index}/0`
    this.#keeper = this.#newKeeper()
  }

  #newKeeper(): LeaseKeeper {
    return new LeaseKeeper(this.#mesh.random, this.#mesh.times)
  }

  /** Monotonic, and its own. */
  get now(): number {
    return this.#mesh.queue.now * this.#rate
  }

  /** By its own clock. While it stands still, nothing is done; then all that was due is, in order. */
  after(millis: number, task: () => void): void {
    const life = this.#life
    this.#mesh.queue.after(millis / this.#rate, () => {
      this.run(() => {
        if (life === this.#life) task()
      })
    })
  }

  run(task: () => void): void {
    if (this.isPaused) this.#backlog.push(task)
    else task()
  }

  resume(): void {
    this.isPaused = false
    const backlog = this.#backlog
    this.#backlog = []
    for (const task of backlog) task()
  }

  crash(): void {
    this.isUp = false
    this.#life++
    this.#counters = new Map()
  }

  start(): void {
    this.isUp = true
    this.#owner = `host-${this.index}/${this.#life}`
    this.#keeper = this.#newKeeper()
  }

  want(shards: ReadonlyArray<Shard>): void {
    this.run(() => {
      if (!this.isUp) return
      this.#keeper.want(shards, this.now)
      this.#look()
    })
  }

  /** Could it begin something for the shard in this moment? */
  runs(shard: Shard): boolean {
    return this.isUp && !this.isPaused && this.#keeper.mayBegin(shard, this.now) !== undefined
  }

  /** Is there an actor that would answer? */
  serves(shard: Shard): boolean {
    return this.runs(shard) && this.#counters.get(shard.index)?.loaded !== undefined
  }

  /** Counts once for each key. */
  increment(shard: Shard, key: string, answer: Answer): void {
    const lease = this.#keeper.mayBegin(shard, this.now)
    const counter = this.#counters.get(shard.index)
    const loaded = counter?.loaded
    if (lease === undefined || counter === undefined || loaded === undefined || counter.isSaving) {
      answer(undefined)
      return
    }
    const known = loaded.keys.get(key)
    if (known !== undefined) {
      answer(this.#keeper.mayFinish(lease, this.now) ? known : undefined)
      return
    }
    this.#mesh.onBegin(this, shard)
    const count = loaded.count + 1
    counter.isSaving = true
    this.#ask<Either.Either<number, SaveError>>(
      (tables, now) =>
        tables.save(
          {
            ...{ actor: counterOf(shard), lease, version: loaded.version },
            state: { bytes: bytesOf(count), schema: 1 },
            keys: { put: [{ key, result: bytesOf(count), left: 1e9 }], drop: [] }
          },
          now
        ),
      (result) => {
        counter.isSaving = false
        if (result !== undefined && Either.isRight(result)) {
          // It is acknowledged by the store, whoever runs the actor now.
          this.#mesh.onSaved(shard, lease, result.right)
          Object.assign(loaded, { version: result.right, count })
          loaded.keys.set(key, count)
          answer(count)
        } else {
          answer(undefined)
          if (result?.left._tag === "Fenced") this.#keeper.fenced(lease, this.now)
          // It may have been saved, or somebody else has saved: what is in memory is worth nothing.
          else if (this.#counters.get(shard.index) === counter) this.#load(counter)
        }
        this.#leaveIfDone(counter)
        this.#look()
      }
    )
  }

  /** Takes its time, and answers only what is still true. */
  read(shard: Shard, answer: Answer): void {
    const lease = this.#keeper.mayBegin(shard, this.now)
    const loaded = this.#counters.get(shard.index)?.loaded
    if (lease === undefined || loaded === undefined) {
      answer(undefined)
      return
    }
    this.after(50, () => {
      const counter = this.#counters.get(shard.index)
      const isSame = counter?.loaded === loaded && this.#keeper.mayFinish(lease, this.now)
      answer(isSame ? loaded.count : undefined)
    })
  }

  #look(): void {
    const look = ++this.#looks
    const { at, news, requests } = this.#keeper.step(this.now)
    for (const request of requests) this.#carry(request)
    for (const one of news) this.#hear(one)
    const due = at - this.now
    this.after(Math.max(1, due), () => {
      if (look === this.#looks) this.#look()
    })
  }

  #carry(request: LeaseRequest): void {
    const { ttl } = this.#mesh.times
    const keeper = this.#keeper
    const owner = this.#owner
    this.#ask<ReadonlyArray<Lease>>(
      (tables, now) => {
        if (request.kind === "acquire") return tables.acquire(owner, request.shards, ttl, now)
        if (request.kind === "renew") return tables.renew(request.leases, ttl, now)
        tables.release(request.leases)
        return []
      },
      (leases) => {
        keeper.answered(request, leases, this.now)
        this.#look()
      }
    )
  }

  #hear({ kind, lease }: LeaseNews): void {
    const { index } = lease.shard
    const counter = this.#counters.get(index)
    if (kind === "granted") {
      this.#mesh.onBegin(this, lease.shard)
      if (counter !== undefined && counter.lease.epoch === lease.epoch) counter.isLeaving = false
      else {
        const fresh = { lease, loaded: undefined, isSaving: false, isLeaving: false }
        this.#counters.set(index, fresh)
        this.#load(fresh)
      }
    } else if (kind === "lost") this.#counters.delete(index)
    else if (kind === "leaving" && counter !== undefined) {
      counter.isLeaving = true
      this.#leaveIfDone(counter)
    }
  }

  #load(counter: Counter): void {
    counter.loaded = undefined
    const { shard } = counter.lease
    this.#ask<LoadedActor>(
      (tables, now) => tables.load(counterOf(shard), now),
      (found) => {
        if (this.#counters.get(shard.index) !== counter) return
        if (found === undefined) {
          this.after(200, () => {
            if (this.#counters.get(shard.index) === counter) this.#load(counter)
          })
          return
        }
        const keys = new Map(found.keys.map(({ key, result }) => [key, numberOf(result)]))
        counter.loaded = { version: found.version, count: numberOf(found.state?.bytes), keys }
      }
    )
  }

  #leaveIfDone(counter: Counter): void {
    if (!counter.isLeaving || counter.isSaving) return
    if (this.#counters.get(counter.lease.shard.index) !== counter) return
    this.#counters.delete(counter.lease.shard.index)
    this.#keeper.letGo(counter.lease, this.now)
    this.after(1, () => this.#look())
  }

  /** Undefined: no answer in time. */
  #ask<A>(
    work: (tables: MemoryTables, now: number) => A,
    then: (answer: A | undefined) => void
  ): void {
    let isOver = false
    const once = (answer: A | undefined) => {
      if (isOver) return
      isOver = true
      then(answer)
    }
    this.after(this.#mesh.times.renew, () => once(undefined))
    const life = this.#life
    this.#mesh.request(this, work, (answer) => {
      this.run(() => {
        if (life === this.#life) once(answer)
      })
    })
  }
}
