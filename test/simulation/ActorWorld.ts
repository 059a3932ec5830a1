/**
 * The engine of actors in a world where everything happens that happens to hosts, networks and databases: hosts with
 * the code of production (WorldHost.ts), what is between them and the store, those who call, and what was seen of it
 * all. Time is virtual and chance has a seed, which gives the same run on every machine.
 */
import { Effect, Either } from "effect"
import { addressOf } from "../../src/entity/ActorAddress.ts"
import type { ActorFailure } from "../../src/entity/Actors.ts"
import type { ActorStoreShape, Lease, Save } from "../../src/entity/store/ActorStore.ts"
import { MemoryTables } from "../../src/entity/store/MemoryTables.ts"
import { StoreUnavailable } from "../../src/entity/store/StoreError.ts"
import { refusedLoad } from "../../src/entity/store/StoreRequest.ts"
import type { Call, RequestStream, ResponseReceiver } from "../../src/model/Exchange.ts"
import type { Fault } from "../../src/model/Fault.ts"
import { type Attempt, judgeCounters, type Read } from "../../src/testing/CounterHistory.ts"
import { EventQueue, seededRandom } from "../../src/testing/simulator/EventQueue.ts"
import { epoch, WorldHost } from "./WorldHost.ts"

/** Saves of stale owners are taken, whatever was saved since, or one in twenty is acknowledged and not done. */
export type Broken = "fencing" | "saves"

export interface ActorWorldOptions {
  readonly seed: number
  readonly hosts: number
  readonly counters: number
  /** Something is broken, to see that it is found: */
  readonly broken?: Broken | undefined
}

/** Until the others notice that a host is gone, or is there, ms at most. */
const noticed = 3_000
/** Until what a host says of itself is everywhere, ms at most. */
const gossip = 200
/** After so long a silence a link is given up, ms; and a call after so long, whatever it waits for. */
const silence = 3_000
const callLimit = 15_000
/** The store's client waits so long, ms. */
const storePatience = 2_000

export class ActorWorld {
  readonly queue = new EventQueue()
  readonly random: () => number
  readonly hosts: ReadonlyArray<WorldHost>
  readonly ids: ReadonlyArray<string>
  readonly tables = new MemoryTables()
  readonly #broken: Broken | undefined
  /** The store's clock is off by so much, ms. */
  storeClockOff = 0
  isStoreDown = false
  /** Beside what the network takes, ms at most. */
  storeDelay = 0
  readonly attempts: Array<Attempt> = []
  readonly reads: Array<Read> = []
  readonly faults: Array<string> = []
  /** What calls have failed with, by code. */
  readonly failures: Array<string> = []
  /** The latest that the store has granted, by shard. */
  readonly #epochs = new Map<number, number>()
  /** What each host knows of the others, by their keys. */
  readonly #known = new Map<WorldHost, Map<WorldHost, ReturnType<WorldHost["seen"]>>>()
  #keys = 0

  constructor({ broken, counters, hosts, seed }: ActorWorldOptions) {
    this.random = seededRandom(seed)
    this.#broken = broken
    this.ids = Array.from({ length: counters }, (_, index) => `c-${index}`)
    // Half of what leases allow for, in both directions: two hosts differ by all of it.
    const rate = () => 1 + (this.random() - 0.5) * 0.01
    this.hosts = Array.from({ length: hosts }, (_, index) => new WorldHost(this, index, rate()))
  }

  /** All that is due by then, and after each moment what it has set off in fibers. */
  async advance(millis: number): Promise<void> {
    const end = this.queue.now + millis
    const drained = () => new Promise<void>((resolve) => setImmediate(resolve))
    await drained()
    for (let { next } = this.queue; next !== undefined && next <= end; next = this.queue.next) {
      this.queue.advance(next - this.queue.now)
      await drained()
    }
    this.queue.advance(end - this.queue.now)
  }

  // ── The mesh ────────────────────────────────────────────────────────────────────────────────

  isReached(from: WorldHost, to: WorldHost): boolean {
    return from === to || (to.isUp && !to.isPaused && !from.isPaused && from.side === to.side)
  }

  /** A host says something new of itself. */
  told(host: WorldHost): void {
    for (const other of this.hosts) {
      if (other === host) this.#look(other)
      else this.queue.after(gossip * this.random(), () => other.run(() => this.#look(other)))
    }
  }

  /** Somebody is gone, or there: all notice, each at a time of its own. */
  changed(): void {
    for (const host of this.hosts) {
      const after = noticed * (0.3 + 0.7 * this.random())
      this.queue.after(after, () => host.run(() => this.#look(host)))
    }
  }

  #look(host: WorldHost): void {
    if (!host.isUp || host.isDeaf) return
    const known = this.#known.get(host) ?? new Map<WorldHost, ReturnType<WorldHost["seen"]>>()
    this.#known.set(host, known)
    for (const other of this.hosts) {
      const before = known.get(other)
      if (this.isReached(host, other)) known.set(other, other.seen("alive", host))
      else if (before !== undefined) known.set(other, { ...before, member: "dead" })
    }
    host.show(this.hosts.flatMap((other) => known.get(other) ?? []))
  }

  /** Carries a call and its answer, each after a while and in order; neither, when they do not reach each other. */
  carry(from: WorldHost, call: Call, receiver: ResponseReceiver): RequestStream {
    const to = this.hosts.find(({ key }) => key === call.only)
    const [there, back] = [this.#way(from, to), this.#way(to, from)]
    let served: RequestStream | undefined
    let over = false
    const fail = (code: Fault["code"], sent: boolean): void => {
      if (over) return
      over = true
      const fault = { code, message: code, node: to?.name ?? "", service: call.service, sent }
      from.run(() => receiver.onFault(fault), life)
      if (sent) there(() => served?.cancel(fault))
    }
    const { life } = from
    const dispatch = to?.offered?.served.dispatch
    if (to === undefined || dispatch === undefined || !this.isReached(from, to)) {
      this.queue.after(to?.isUp === true ? silence : 1, () => fail("upstream_connect", false))
    }
    const told = (tell: () => void): void =>
      back(() => {
        if (!over) tell()
      })
    there(() => {
      // It may offer it no more, or anew.
      const { offered } = to ?? {}
      if (offered === undefined) {
        back(() => fail("no_healthy_endpoint", false))
        return
      }
      served = offered.served.dispatch(
        { ...call, only: undefined, endpoint: "program", caller: from.peer },
        {
          onInfo: () => undefined,
          onHead: (head) => told(() => receiver.onHead(head)),
          onData: (chunk) => {
            const kept = Uint8Array.from(chunk)
            told(() => receiver.onData(kept))
            return true
          },
          onEnd: (trailers) =>
            told(() => {
              over = true
              receiver.onEnd(trailers)
            }),
          onFault: (fault) =>
            told(() => {
              over = true
              receiver.onFault(fault)
            }),
          onWritable: () => undefined
        }
      )
    })
    const until = this.queue.now + Math.min(callLimit, call.deadline ?? callLimit)
    let silent = 0
    const watch = (): void => {
      if (over) return
      silent = to !== undefined && this.isReached(from, to) ? 0 : silent + 500
      if (silent >= silence) fail("upstream_reset", true)
      else if (this.queue.now >= until) fail("upstream_timeout", true)
      else this.queue.after(Math.min(500, Math.max(1, until - this.queue.now)), watch)
    }
    this.queue.after(500, watch)
    return {
      write: (chunk) => {
        const kept = Uint8Array.from(chunk)
        there(() => served?.write(kept))
        return true
      },
      end: (trailers) => there(() => served?.end(trailers)),
      resume: () => undefined,
      cancel: (fault) => {
        over = true
        there(() => served?.cancel(fault))
      }
    }
  }

  /** What is sent first comes first. */
  #way(from: WorldHost | undefined, to: WorldHost | undefined): (task: () => void) => void {
    if (from === undefined || to === undefined) return () => undefined
    const lives = [from.life, to.life]
    const isSame = () => from.life === lives[0] && to.life === lives[1]
    let last = 0
    return (task) => {
      if (!this.isReached(from, to)) return
      last = Math.max(last, this.queue.now + (from === to ? 0 : 0.2 + this.random() * 3))
      this.queue.at(last, () => {
        if (isSame() && (this.isReached(from, to) || to.isPaused)) to.run(task)
      })
    }
  }

  // ── The store ───────────────────────────────────────────────────────────────────────────────

  /** By its own clock, which need not be anybody's. */
  get #storeNow(): number {
    return epoch + this.queue.now + this.storeClockOff
  }

  storeOf(host: WorldHost): ActorStoreShape {
    const ask = <A>(work: (now: number) => A): Effect.Effect<A, StoreUnavailable> =>
      Effect.async((resume) => {
        const late = { code: "store_unavailable", message: "no answer", unknown: true } as const
        host.after(storePatience, () => resume(new StoreUnavailable(late)))
        const way = () => 0.2 + this.random() * 10 + this.random() * this.storeDelay
        const { life } = host
        // What is sent into a cut is lost with its connection, or sent again by TCP until somebody takes it.
        const arrive = (): void => {
          if (!host.isCut && !this.isStoreDown) {
            const answer = work(this.#storeNow)
            this.queue.after(way(), () => {
              if (!host.isCut) host.run(() => resume(Effect.succeed(answer)), life)
            })
          } else if (this.random() < 0.97) this.queue.after(500, arrive)
        }
        this.queue.after(way(), arrive)
      })
    const { tables } = this
    return {
      load: (actor) => refusedLoad(actor) ?? ask((now) => tables.load(actor, now)),
      save: (save) => Effect.flatten(ask((now) => this.#saved(save, now))),
      acquire: (owner, shards, ttl) =>
        ask((now) => this.#granted(tables.acquire(owner, shards, ttl, now))),
      renew: (leases, ttl) => ask((now) => tables.renew(leases, ttl, now)),
      release: (leases) => ask(() => tables.release(leases)),
      leases: (type) => ask((now) => tables.leases(type, now)),
      reminders: (shards, limit, after) =>
        ask((now) => tables.reminders(shards, limit, after, now)),
      sweep: (limit) => ask((now) => tables.sweep(limit, now))
    }
  }

  #granted(leases: ReadonlyArray<Lease>): ReadonlyArray<Lease> {
    for (const lease of leases) this.#epochs.set(lease.shard.index, lease.epoch)
    return leases
  }

  /** Whoever saves is the latest that was granted the shard, or nobody saves. */
  #saved(save: Save, now: number) {
    const { actor, lease } = save
    if (this.#broken === "saves" && this.random() < 0.05) return Either.right(save.version + 1)
    const isUnfenced = this.#broken === "fencing"
    const { version } = isUnfenced ? this.tables.load(actor, now) : save
    const taken = isUnfenced ? { ...save, lease: undefined, version } : save
    const saved = this.tables.save(taken, now)
    const latest = this.#epochs.get(actor.shard.index) ?? 0
    if (Either.isRight(saved) && lease?.epoch !== latest) {
      const by = lease === undefined ? "no lease" : `epoch ${lease.epoch}`
      this.faults.push(`${actor.id} was saved under ${by}, when the latest was ${latest}`)
    }
    return saved
  }

  // ── Those who call ──────────────────────────────────────────────────────────────────────────

  /** Somebody increments a counter, from one host after the other until it is answered. */
  call(patience = 90_000, id = this.#any(this.ids), then: () => void = () => undefined): void {
    const key = `call-${this.#keys++}`
    const until = this.queue.now + patience
    const ask = (): void => {
      if (this.queue.now >= until) return
      const began = this.queue.now
      const place = this.attempts.push({ counter: id, key, began }) - 1
      let isOver = false
      const again = (why: string | undefined): void => {
        if (isOver) return
        isOver = true
        if (why !== undefined) this.failures.push(why)
        this.queue.after(100 + this.random() * 200, ask)
      }
      const host = this.#any(this.hosts.filter((it) => it.client !== undefined && !it.isPaused))
      const life = host?.life
      // Whoever calls from a host that stands still asks another; whose own process has ended was failed by nobody.
      this.queue.after(20_000, () => again(host?.life === life ? "no answer" : undefined))
      if (host?.client === undefined) {
        again("no host")
        return
      }
      const headers = { "idempotency-key": key }
      const add = host.client(id).Add(undefined, { headers })
      host.perform(Effect.either(add), (answer) => {
        if (isOver) return
        if (Either.isLeft(answer)) {
          again(codeOf(answer.left))
          return
        }
        isOver = true
        const at = this.queue.now
        this.attempts[place] = { counter: id, key, began, answer: { at, value: answer.right } }
        then()
      })
    }
    ask()
  }

  /** Somebody reads one, once. */
  look(): void {
    const id = this.#any(this.ids)
    const host = this.#any(this.hosts.filter((it) => it.client !== undefined && !it.isPaused))
    if (host?.client === undefined) return
    const began = this.queue.now
    host.perform(Effect.either(host.client(id).Get()), (answer) => {
      if (Either.isRight(answer)) {
        this.reads.push({ counter: id, began, at: this.queue.now, value: answer.right })
      }
    })
  }

  #any<A>(all: ReadonlyArray<A>): A {
    return all[Math.floor(this.random() * all.length)]!
  }

  /** What is wrong with all that was seen. */
  judge(): ReadonlyArray<string> {
    const ends = new Map<string, number>()
    for (const id of this.ids) {
      const shard = { type: "Counter", index: addressOf("Counter", id).shardId }
      const { state } = this.tables.load({ shard, id }, this.#storeNow)
      const text = state === undefined ? "{}" : new TextDecoder().decode(state.bytes)
      ends.set(id, Number((JSON.parse(text) as { readonly count?: number }).count ?? 0))
    }
    return [...this.faults, ...judgeCounters(this.attempts, this.reads, ends)]
  }
}

const codeOf = (failure: ActorFailure): string => failure.code
