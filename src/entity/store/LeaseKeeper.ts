/**
 * Which leases a host asks for, when it renews them, and when it must stop: decisions alone, with the time
 * passed in. Whoever runs it (LeaseLoop.ts, a simulation) carries its requests to the store and tells it what
 * came of them.
 *
 *     asked                renew             quiet              ends
 *       |------------------|-----------------|------------------|
 *       '- ttl of the store, less what the clocks may differ ---'
 *
 * A lease counts from *before* it was asked for, so it ends here before it does in the store. Until `quiet`
 * a renewal may fail and be tried again; from then on nothing new is begun, what runs may finish, and at
 * `ends` it is over. Fencing is what makes saves safe; this is what makes it rare that it is needed.
 */
import { type Lease, type Shard, storeLimits } from "./ActorStore.ts"
import {
  defaultLeaseTimes,
  type LeaseNews,
  type LeaseRequest,
  type LeaseStep,
  type LeaseTimes
} from "./LeaseStep.ts"
import { shardText } from "./StoreAnswer.ts"

interface Held {
  readonly lease: Lease
  renewAt: number
  quietAt: number
  endsAt: number
  isQuiet: boolean
  isLeaving: boolean
}

interface Wanted {
  readonly shard: Shard
  tryAt: number
}

/** Shards in one request. */
const batch = storeLimits.perSave

export class LeaseKeeper {
  readonly #times: LeaseTimes
  readonly #random: () => number
  readonly #wanted = new Map<string, Wanted>()
  readonly #held = new Map<string, Held>()
  /**
   * Let go here, and not yet in the store, for all one knows. Until it is known the shard is not asked for:
   * what the store gave would be the same lease, and a request that is late would take it away.
   */
  readonly #parting = new Map<string, { readonly lease: Lease; tryAt: number }>()
  /** Shards that the store is being asked about: one request at a time for each. */
  readonly #asking = new Set<string>()
  #news: Array<LeaseNews> = []

  /** `random`: uniform in [0, 1), so that hosts that wait for the same shard do not ask at the same time. */
  constructor(random: () => number, times: LeaseTimes = defaultLeaseTimes) {
    this.#random = random
    this.#times = times
  }

  /** The lease under which actors of the shard may begin something now. */
  mayBegin(shard: Shard, now: number): Lease | undefined {
    const held = this.#held.get(shardText(shard))
    return held !== undefined && !held.isLeaving && now < held.quietAt ? held.lease : undefined
  }

  /** May what was begun under it still answer? A read says what is true only then. */
  mayFinish(lease: Lease, now: number): boolean {
    const held = this.#held.get(shardText(lease.shard))
    return held?.lease.epoch === lease.epoch && now < held.endsAt
  }

  /** Leases that the store takes for this host's, as far as one knows: those that are being left too. */
  get leases(): ReadonlyArray<Lease> {
    return [...this.#held.values(), ...this.#parting.values()].map(({ lease }) => lease)
  }

  /** Has the store no lease of this host's for the shard, nor been asked for one, as far as one knows? */
  isBack(shard: Shard): boolean {
    const name = shardText(shard)
    return !this.#held.has(name) && !this.#parting.has(name) && !this.#asking.has(name)
  }

  /** The shards that are to be this host's, all of them; `step` next. Those that are new are asked for at once. */
  want(shards: ReadonlyArray<Shard>, now: number): void {
    const names = new Set(shards.map(shardText))
    for (const [name, held] of this.#held) {
      if (names.has(name)) {
        if (held.isLeaving) this.#news.push({ kind: "granted", lease: held.lease })
        held.isLeaving = false
      } else if (!held.isLeaving) {
        held.isLeaving = true
        this.#news.push({ kind: "leaving", lease: held.lease })
      }
    }
    for (const name of this.#wanted.keys()) if (!names.has(name)) this.#wanted.delete(name)
    for (const shard of shards) {
      const name = shardText(shard)
      if (!this.#wanted.has(name)) this.#wanted.set(name, { shard, tryAt: now })
    }
  }

  /** Its last owner has let go, or so one hears: ask now. */
  hurry(shards: ReadonlyArray<Shard>, now: number): void {
    for (const shard of shards) {
      const wanted = this.#wanted.get(shardText(shard))
      if (wanted !== undefined) wanted.tryAt = now
    }
  }

  /** Nothing runs under it any more, and all is saved. */
  letGo(lease: Lease, now: number): void {
    const name = shardText(lease.shard)
    const held = this.#held.get(name)
    if (held === undefined || held.lease.epoch !== lease.epoch) return
    this.#held.delete(name)
    this.#parting.set(name, { lease, tryAt: now })
  }

  /** The store refuses what is saved under it (`Fenced`). */
  fenced(lease: Lease, now: number): void {
    const held = this.#held.get(shardText(lease.shard))
    if (held?.lease.epoch === lease.epoch) this.#lose(held, now)
  }

  /** What is to be done now. */
  step(now: number): LeaseStep {
    for (const held of [...this.#held.values()]) {
      if (now >= held.endsAt) this.#lose(held, now)
      else if (now >= held.quietAt && !held.isQuiet) {
        held.isQuiet = true
        this.#news.push({ kind: "quiet", lease: held.lease })
      }
    }
    const requests = [...this.#releases(now), ...this.#renewals(now), ...this.#acquisitions(now)]
    const news = this.#news
    this.#news = []
    return { requests, news, at: this.#next(now) }
  }

  /** What the store answered: leases that hold, or that it did not; `step` next. */
  answered(request: LeaseRequest, leases: ReadonlyArray<Lease> | undefined, now: number): void {
    const { retry } = this.#times
    const later = now + retry * (0.5 + this.#random())
    const told = new Map(leases?.map((lease) => [shardText(lease.shard), lease]))
    if (request.kind === "acquire") {
      for (const shard of request.shards) {
        const name = shardText(shard)
        this.#asking.delete(name)
        const lease = told.get(name)
        const wanted = this.#wanted.get(name)
        if (lease !== undefined) this.#got(lease, request.asked, now)
        // Whoever has been told to hurry meanwhile knows more than this answer does.
        else if (wanted !== undefined) wanted.tryAt = wanted.tryAt > request.asked ? now : later
      }
      return
    }
    for (const lease of request.leases) {
      const name = shardText(lease.shard)
      this.#asking.delete(name)
      if (request.kind === "release") {
        const parting = this.#parting.get(name)
        if (leases !== undefined) this.#parting.delete(name)
        else if (parting !== undefined) parting.tryAt = later
        continue
      }
      const held = this.#held.get(name)
      if (held === undefined || held.lease.epoch !== lease.epoch) continue
      if (leases === undefined) held.renewAt = later
      else if (told.get(name)?.epoch === lease.epoch) this.#prolong(held, request.asked, now)
      else this.#lose(held, now)
    }
  }

  #got(lease: Lease, asked: number, now: number): void {
    const name = shardText(lease.shard)
    const held: Held = {
      ...{ lease, renewAt: 0, quietAt: 0, endsAt: 0 },
      ...{ isQuiet: false, isLeaving: false }
    }
    this.#prolong(held, asked, now)
    // The answer has taken so long that it is of no use, or nobody wants it any more.
    if (now >= held.quietAt || !this.#wanted.has(name)) {
      this.#parting.set(name, { lease, tryAt: now })
      return
    }
    this.#parting.delete(name)
    this.#held.set(name, held)
    this.#news.push({ kind: "granted", lease })
  }

  #prolong(held: Held, asked: number, now: number): void {
    const { drift, finish, renew, ttl } = this.#times
    held.endsAt = asked + ttl * (1 - drift)
    held.quietAt = held.endsAt - finish
    held.renewAt = asked + renew
    if (!held.isQuiet || now >= held.quietAt) return
    held.isQuiet = false
    this.#news.push({ kind: "restored", lease: held.lease })
  }

  #lose(held: Held, now: number): void {
    const name = shardText(held.lease.shard)
    this.#held.delete(name)
    this.#news.push({ kind: "lost", lease: held.lease })
    const wanted = this.#wanted.get(name)
    if (wanted !== undefined) wanted.tryAt = now
  }

  #acquisitions(now: number): ReadonlyArray<LeaseRequest> {
    const due: Array<Shard> = []
    for (const [name, { shard, tryAt }] of this.#wanted) {
      const isBusy = this.#held.has(name) || this.#parting.has(name) || this.#asking.has(name)
      if (!isBusy && tryAt <= now) due.push(shard)
    }
    return this.#inBatches(due, (it) => it).map((shards) => ({
      kind: "acquire",
      shards,
      asked: now
    }))
  }

  #renewals(now: number): ReadonlyArray<LeaseRequest> {
    // Those that are nearly due go along, so that a host with many soon asks once for all of them.
    const soon = now + this.#times.renew / 4
    const free = [...this.#held].filter(([name]) => !this.#asking.has(name)).map(([, held]) => held)
    if (!free.some(({ renewAt }) => renewAt <= now)) return []
    const due = free.filter(({ renewAt }) => renewAt <= soon).map(({ lease }) => lease)
    return this.#inBatches(due, ({ shard }) => shard).map((leases) => ({
      ...{ kind: "renew", leases, asked: now }
    }))
  }

  #releases(now: number): ReadonlyArray<LeaseRequest> {
    const due = [...this.#parting]
      .filter(([name, { tryAt }]) => tryAt <= now && !this.#asking.has(name))
      .map(([, { lease }]) => lease)
    return this.#inBatches(due, ({ shard }) => shard).map((leases) => ({
      ...{ kind: "release", leases, asked: now }
    }))
  }

  #inBatches<A>(
    due: ReadonlyArray<A>,
    shardOf: (item: A) => Shard
  ): ReadonlyArray<ReadonlyArray<A>> {
    for (const item of due) this.#asking.add(shardText(shardOf(item)))
    return Array.from({ length: Math.ceil(due.length / batch) }, (_, index) =>
      due.slice(index * batch, (index + 1) * batch)
    )
  }

  #next(now: number): number {
    let at = now + this.#times.renew
    const consider = (time: number) => {
      if (time < at) at = time
    }
    for (const [name, held] of this.#held) {
      if (!this.#asking.has(name)) consider(held.renewAt)
      consider(held.isQuiet ? held.endsAt : held.quietAt)
    }
    for (const [name, { tryAt }] of this.#parting) if (!this.#asking.has(name)) consider(tryAt)
    for (const [name, { tryAt }] of this.#wanted) {
      if (!this.#held.has(name) && !this.#parting.has(name) && !this.#asking.has(name))
        consider(tryAt)
    }
    return Math.max(at, now)
  }
}
