/**
 * Hosts, their store and those who call, on a virtual clock: what goes wrong between them, and what was seen
 * of it. A seed gives the same run on every machine.
 */
import type { Lease, Shard } from "../../src/entity/store/ActorStore.ts"
import type { LeaseTimes } from "../../src/entity/store/LeaseStep.ts"
import { MemoryTables } from "../../src/entity/store/MemoryTables.ts"
import { type Attempt, judgeCounters, type Read } from "../../src/testing/CounterHistory.ts"
import { EventQueue, seededRandom } from "../../src/testing/simulator/EventQueue.ts"
import { counterOf, LeaseHost } from "./LeaseHost.ts"

export interface LeaseMeshOptions {
  readonly seed: number
  readonly hosts: number
  readonly shards: number
  readonly times: LeaseTimes
}

/** Until others notice that a host is gone, or is there, ms; and each host its own time later. */
const noticed = 3_000

export class LeaseMesh {
  readonly queue = new EventQueue()
  readonly random: () => number
  readonly times: LeaseTimes
  readonly hosts: ReadonlyArray<LeaseHost>
  readonly shards: ReadonlyArray<Shard>
  readonly tables = new MemoryTables()
  /** The store's clock is off by so much, ms. */
  clockOff = 0
  isStoreDown = false
  /** Beside what the network takes, ms at most. */
  storeDelay = 0
  readonly attempts: Array<Attempt> = []
  readonly reads: Array<Read> = []
  readonly faults: Array<string> = []
  /** Two hosts may run a shard at a time when the store's clock jumps; then it is not a fault. */
  mayOverlap = false
  overlaps = 0
  /** By shard and version. */
  readonly #saves = new Map<number, Array<{ readonly version: number; readonly lease: Lease }>>()
  #calls = 0

  constructor({ hosts, seed, shards, times }: LeaseMeshOptions) {
    this.random = seededRandom(seed)
    this.times = times
    this.shards = Array.from({ length: shards }, (_, index) => ({ type: "Counter", index }))
    // Half of what the keeper allows for, in both directions: two hosts differ by all of it.
    const rate = () => 1 + (this.random() - 0.5) * times.drift
    this.hosts = Array.from({ length: hosts }, (_, index) => new LeaseHost(this, index, rate()))
    this.place()
  }

  /** By its own clock, which need not be anybody's. */
  get #storeNow(): number {
    return 1e12 + this.queue.now + this.clockOff
  }

  /** Carries a question to the store and its answer back; either may be lost, or late. */
  request<A>(
    host: LeaseHost,
    work: (tables: MemoryTables, now: number) => A,
    answer: (answer: A) => void
  ): void {
    const way = () => 0.2 + this.random() * 10
    if (host.isCut) return
    this.queue.after(way() + this.random() * this.storeDelay, () => {
      if (this.isStoreDown) return
      const result = work(this.tables, this.#storeNow)
      this.queue.after(way() + this.random() * this.storeDelay, () => {
        if (!host.isCut && !this.isStoreDown) answer(result)
      })
    })
  }

  /** The hosts that seem to be there share the shards; each hears of it at a time of its own. */
  place(): void {
    const there = this.hosts.filter((it) => it.isUp && !it.isPaused && !it.isAlone)
    for (const host of this.hosts) {
      const place = there.indexOf(host)
      const mine = this.shards.filter(({ index }) => index % there.length === place)
      // Who is alone takes everything for its own.
      const wanted = host.isAlone ? this.shards : place < 0 ? [] : mine
      this.queue.after(noticed * this.random(), () => host.want(wanted))
    }
  }

  /** Others hear of it after a while. */
  changed(): void {
    this.queue.after(noticed, () => this.place())
  }

  /** A host begins something under its lease: is it the only one that would? */
  onBegin(host: LeaseHost, shard: Shard): void {
    for (const other of this.hosts) {
      if (other === host || !other.runs(shard)) continue
      this.overlaps++
      if (this.mayOverlap) continue
      this.faults.push(
        `at ${Math.round(this.queue.now)} host ${host.index} and ${other.index} both run shard ${shard.index}`
      )
    }
  }

  onSaved({ index }: Shard, lease: Lease, version: number): void {
    const saves = this.#saves.get(index) ?? []
    this.#saves.set(index, saves)
    saves.push({ version, lease })
  }

  /** Somebody increments a counter, and asks one host after the other until it is answered. */
  call(patience = 90_000): void {
    const shard = this.shards[Math.floor(this.random() * this.shards.length)]!
    const key = `call-${this.#calls++}`
    const until = this.queue.now + patience
    const counter = String(shard.index)
    const ask = (): void => {
      if (this.queue.now >= until) return
      const host = this.#pick(shard)
      const began = this.queue.now
      const place = this.attempts.push({ counter, key, began }) - 1
      let isOver = false
      this.queue.after(3_000, () => {
        if (isOver) return
        isOver = true
        ask()
      })
      this.queue.after(this.random() * 5, () =>
        host.run(() => {
          if (!host.isUp) return
          host.increment(shard, key, (value) => {
            this.queue.after(this.random() * 5, () => {
              if (isOver) return
              isOver = true
              if (value === undefined) this.queue.after(100 + this.random() * 200, ask)
              else
                this.attempts[place] = {
                  counter,
                  key,
                  began,
                  answer: { at: this.queue.now, value }
                }
            })
          })
        })
      )
    }
    ask()
  }

  /** Somebody reads one, once. */
  look(): void {
    const shard = this.shards[Math.floor(this.random() * this.shards.length)]!
    const host = this.#pick(shard)
    const began = this.queue.now
    host.run(() => {
      if (!host.isUp) return
      host.read(shard, (value) => {
        if (value === undefined || this.mayOverlap) return
        this.reads.push({ counter: String(shard.index), began, at: this.queue.now, value })
      })
    })
  }

  /** Mostly one that would answer, for callers are redirected; else any. */
  #pick(shard: Shard): LeaseHost {
    const serving = this.hosts.filter((host) => host.serves(shard))
    const from = serving.length > 0 && this.random() < 0.7 ? serving : this.hosts
    return from[Math.floor(this.random() * from.length)]!
  }

  get isServed(): boolean {
    return this.shards.every((shard) => this.hosts.some((host) => host.serves(shard)))
  }

  /** What is wrong with all that was seen. */
  judge(): ReadonlyArray<string> {
    const ends = new Map<string, number>()
    for (const shard of this.shards) {
      const { state, version } = this.tables.load(counterOf(shard), this.#storeNow)
      const count = state === undefined ? 0 : Number(new TextDecoder().decode(state.bytes))
      if (count !== version)
        this.faults.push(`shard ${shard.index}: ${version} saves led to ${count}`)
      ends.set(String(shard.index), count)
    }
    return [...this.faults, ...this.#fencing(), ...judgeCounters(this.attempts, this.reads, ends)]
  }

  #fencing(): ReadonlyArray<string> {
    const found: Array<string> = []
    for (const [shard, saves] of this.#saves) {
      const inOrder = saves.sort((a, b) => a.version - b.version)
      for (const [index, { lease, version }] of inOrder.entries()) {
        const before = inOrder[index - 1]
        if (before === undefined) continue
        const isOrdered =
          before.version < version &&
          (before.lease.epoch < lease.epoch ||
            (before.lease.epoch === lease.epoch && before.lease.owner === lease.owner))
        if (!isOrdered) {
          found.push(
            `shard ${shard}: ${lease.owner} saved ${version} in epoch ${lease.epoch} after ${before.lease.owner} in ${before.lease.epoch}`
          )
        }
      }
    }
    return found
  }
}
