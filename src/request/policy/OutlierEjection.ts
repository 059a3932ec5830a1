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

class Host implements EjectionRecord {
  until = 0
  spared = 0
  times = 0
  consecutive = 0
  /** Results in the current interval. */
  successes = 0
  total = 0
  /** When it was last found unwell; what was sent before says nothing of it since. */
  found = 0
  /** Successes in a row since, and how many of them are a proof. */
  proved = 0
  proof = 0
}

export interface Ejection {
  readonly record: EjectionRecord
  readonly reason: EjectionReason
  /** Milliseconds. */
  readonly duration: number
}

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
  add(): EjectionRecord {
    const host = new Host()
    this.#hosts.add(host)
    return host
  }

  remove(record: EjectionRecord): void {
    if (record instanceof Host) this.#hosts.delete(record)
  }

  /** The result of one attempt. Returns whom it, or the end of an interval, ejected. */
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
      record.consecutive = 0
      if (record.until > now || record.spared > now) this.#prove(record, now, attempt)
      return ejections
    }
    record.proved = 0
    if (++record.consecutive < this.#policy.consecutive5xx) return ejections
    record.consecutive = 0
    const ejection = this.#eject(record, "consecutive_5xx", now)
    return ejection === undefined ? ejections : [...ejections, ejection]
  }

  /**
   * Another thread of this node has ejected it until then, or found it well (`until` is not in the
   * future any more). Whether enough others are left was judged there. True when that is news.
   */
  learn(record: EjectionRecord, until: number, now: number): boolean {
    if (!(record instanceof Host) || !this.#hosts.has(record)) return false
    if (until <= now) {
      if (record.until <= now && record.spared <= now) return false
      record.until = Math.min(record.until, now)
      record.spared = 0
    } else {
      if (record.until >= until) return false
      if (record.until <= now) record.times++
      record.until = until
      record.spared = 0
      record.consecutive = 0
      record.found = now
      record.proved = 0
      record.proof = this.#policy.consecutive5xx
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
    const { base, consecutive5xx, max, maxPercent, minRequests } = this.#policy
    const duration = Math.min(base * (host.times + 1), max)
    host.consecutive = 0
    host.found = now
    host.proved = 0
    host.proof = reason === "consecutive_5xx" ? consecutive5xx : minRequests
    this.#revision++
    const out = this.ejected(now)
    if (out > 0 && (out + 1) * 100 > maxPercent * this.#hosts.size) {
      host.spared = now + duration
      return undefined
    }
    host.times++
    host.until = now + duration
    host.spared = 0
    return { record: host, reason, duration }
  }

  #prove(host: Host, now: number, attempt: JudgedAttempt | undefined): void {
    if (attempt !== undefined && attempt.startedAt < host.found) return
    if (++host.proved < host.proof) return
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
