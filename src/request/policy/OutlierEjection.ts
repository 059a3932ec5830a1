/**
 * Takes endpoints out of rotation that behave worse than their peers (Envoy's outlier detection):
 * after so many failures in a row, or when an endpoint's success rate lies far below the others'
 * (SuccessRates). An ejection lasts `base` × the number of times, at most `max`; each interval spent
 * in rotation takes one off that number. Never more than `maxPercent` of the endpoints are out at a
 * time, but one always may be.
 *
 * Who has earned an ejection and is spared because enough others are out counts as unwell for as
 * long as it would have been out. Selection uses the others again when those it has are unwell.
 *
 * An endpoint that is used all the same, spared or in a panic, can prove that it is well: by as many
 * successes in a row as it takes failures to be ejected, or as it takes requests to judge its
 * success rate, if that was the reason. Then it is neither out nor unwell any more.
 *
 * No timer: intervals are noticed when results come in. Without results there is nothing to judge.
 */
import type { EjectionPolicy } from "../../model/Policy.ts"
import { OwnRunCount, type RunCount } from "./RunCount.ts"
import { outliers } from "./SuccessRates.ts"

export type EjectionReason = "consecutive_5xx" | "success_rate"

/** What is known of one endpoint. Made by OutlierEjection, owned by the endpoint. */
export interface EjectionRecord {
  /** In rotation from this time on; 0: was never out. May be set to end an ejection early. */
  until: number
  /** Unwell, though in rotation, up to this time; 0: never was. May be set to end that early. */
  spared: number
  /** Multiplier of the next ejection, less one. */
  readonly times: number
}

/** Where results in a row are counted. Threads that share these share one run. */
export interface EjectionRuns {
  readonly failures: RunCount
  /** Successes since an endpoint was last found unwell. */
  readonly proof: RunCount
}

const ownRuns = (): EjectionRuns => ({ failures: new OwnRunCount(), proof: new OwnRunCount() })

class Host implements EjectionRecord {
  readonly runs: EjectionRuns
  until = 0
  spared = 0
  times = 0
  /** Results in the current interval. */
  successes = 0
  total = 0
  /** When it was last found unwell; what was sent before says nothing of it since. */
  found = 0
  /** How many successes in a row since are a proof. */
  proof = 0

  constructor(runs: EjectionRuns) {
    this.runs = runs
  }

  forgetRuns(): void {
    this.runs.failures.clear()
    this.runs.proof.clear()
  }
}

export interface Ejection {
  readonly record: EjectionRecord
  readonly reason: EjectionReason
  /** Milliseconds. */
  readonly duration: number
  /** It has earned it, and is spared because enough others are out. */
  readonly state: "out" | "spared"
}

/** What another thread of this node has found out of an endpoint. `until`: monotonic milliseconds. */
export type EjectionNews =
  | {
      readonly state: "out" | "spared"
      readonly until: number
      readonly reason: EjectionReason
    }
  | { readonly state: "well" }

/** When it was sent; by default just now. */
export interface JudgedAttempt {
  readonly startedAt: number
}

const nothing: ReadonlyArray<Ejection> = []

export class OutlierEjection {
  readonly #policy: EjectionPolicy
  readonly #hosts = new Set<Host>()
  /** End of the current interval; undefined before the first result. */
  #intervalEnd: number | undefined = undefined
  #revision = 0

  constructor(policy: EjectionPolicy) {
    this.#policy = policy
  }

  /** Grows when a result has changed who is out or unwell. */
  get revision(): number {
    return this.#revision
  }

  /** A new endpoint. */
  add(runs = ownRuns()): EjectionRecord {
    const host = new Host(runs)
    this.#hosts.add(host)
    return host
  }

  remove(record: EjectionRecord): void {
    if (record instanceof Host && this.#hosts.delete(record)) record.forgetRuns()
  }

  /** The result of one attempt. Returns whom it, or the end of an interval, found unwell. */
  result(
    record: EjectionRecord,
    success: boolean,
    now: number,
    attempt?: JudgedAttempt
  ): ReadonlyArray<Ejection> {
    // A result may come in after its endpoint left.
    if (!(record instanceof Host) || !this.#hosts.has(record)) return nothing
    let ejections = nothing
    if (this.#intervalEnd === undefined) this.#intervalEnd = now + this.#policy.interval
    else if (now >= this.#intervalEnd) ejections = this.#endInterval(this.#intervalEnd, now)

    record.total++
    if (success) {
      record.successes++
      record.runs.failures.clear()
      if (record.until > now || record.spared > now) this.#prove(record, now, attempt)
      return ejections
    }
    record.runs.proof.clear()
    if (!record.runs.failures.add(this.#policy.consecutive5xx)) return ejections
    const ejection = this.#eject(record, "consecutive_5xx", now)
    return ejection === undefined ? ejections : [...ejections, ejection]
  }

  /** From another thread; whether enough others are left was judged there. True when that is news. */
  learn(record: EjectionRecord, news: EjectionNews, now: number): boolean {
    if (!(record instanceof Host) || !this.#hosts.has(record)) return false
    switch (news.state) {
      case "well":
        if (record.until <= now && record.spared <= now) return false
        record.until = Math.min(record.until, now)
        record.spared = 0
        break
      case "out":
        if (record.until >= news.until) return false
        if (record.until <= now) record.times++
        this.#find(record, news.reason, now)
        record.until = news.until
        record.spared = 0
        break
      case "spared":
        if (record.until > now || record.spared >= news.until) return false
        this.#find(record, news.reason, now)
        record.spared = news.until
    }
    this.#revision++
    return true
  }

  /** Endpoints out of rotation at this time. */
  ejected(now: number): number {
    let count = 0
    for (const host of this.#hosts) if (host.until > now) count++
    return count
  }

  #eject(host: Host, reason: EjectionReason, now: number): Ejection | undefined {
    if (host.until > now) return undefined
    const { base, max, maxPercent } = this.#policy
    const duration = Math.min(base * (host.times + 1), max)
    this.#find(host, reason, now)
    this.#revision++
    const out = this.ejected(now)
    if (out > 0 && (out + 1) * 100 > maxPercent * this.#hosts.size) {
      host.spared = now + duration
      return { record: host, reason, duration, state: "spared" }
    }
    host.times++
    host.until = now + duration
    host.spared = 0
    return { record: host, reason, duration, state: "out" }
  }

  /** It is unwell as of now: what it does from here on is another run. */
  #find(host: Host, reason: EjectionReason, now: number): void {
    const { consecutive5xx, minRequests } = this.#policy
    host.forgetRuns()
    host.found = now
    host.proof = reason === "consecutive_5xx" ? consecutive5xx : minRequests
  }

  #prove(host: Host, now: number, attempt: JudgedAttempt | undefined): void {
    if (attempt !== undefined && attempt.startedAt < host.found) return
    if (!host.runs.proof.add(host.proof)) return
    host.until = Math.min(host.until, now)
    host.spared = 0
    this.#revision++
  }

  #endInterval(end: number, now: number): ReadonlyArray<Ejection> {
    const { interval } = this.#policy
    const intervals = 1 + Math.floor((now - end) / interval)
    const ejections: Array<Ejection> = []
    // Rates of an interval that ended long ago say nothing about now.
    const worst = intervals === 1 ? this.#outliers() : []
    for (const host of this.#hosts) {
      const inRotation = Math.floor((now - Math.max(host.until, end - interval)) / interval)
      if (inRotation > 0) host.times = Math.max(0, host.times - inRotation)
      host.successes = 0
      host.total = 0
    }
    this.#intervalEnd = end + intervals * interval
    for (const host of worst) {
      const ejection = this.#eject(host, "success_rate", now)
      if (ejection !== undefined) ejections.push(ejection)
    }
    return ejections
  }

  #outliers(): ReadonlyArray<Host> {
    const { minEndpoints, minRequests, successRateDeviations, successRateMargin } = this.#policy
    const judged: Array<Host> = []
    for (const host of this.#hosts) if (host.total >= minRequests) judged.push(host)
    if (judged.length < minEndpoints) return []
    return outliers(judged, { deviations: successRateDeviations, margin: successRateMargin })
  }
}
