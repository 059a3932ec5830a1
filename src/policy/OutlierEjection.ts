/**
 * Takes endpoints out of rotation that behave worse than their peers (Envoy's outlier detection):
 * after so many failures in a row, or when an endpoint's success rate lies far below the others'.
 * An ejection lasts `base` × the number of times, at most `max`; each interval spent in rotation
 * takes one off that number. Never more than `maxPercent` of the endpoints are out at a time, but
 * one always may be.
 *
 * No timer: intervals are noticed when results come in. Without results there is nothing to judge.
 */
import type { EjectionPolicy } from "../model/Policy.ts"

export type EjectionReason = "consecutive_5xx" | "success_rate"

/** What is known of one endpoint. Made by OutlierEjection, owned by the endpoint. */
export interface EjectionRecord {
  /** In rotation from this time on; 0: was never out. May be set to end an ejection early. */
  until: number
  /** Multiplier of the next ejection, less one. */
  readonly times: number
}

class Host implements EjectionRecord {
  until = 0
  times = 0
  consecutive = 0
  /** Results in the current interval. */
  successes = 0
  total = 0
}

export interface Ejection {
  readonly record: EjectionRecord
  readonly reason: EjectionReason
  /** Milliseconds. */
  readonly duration: number
}

const nothing: ReadonlyArray<Ejection> = []

export class OutlierEjection {
  readonly #policy: EjectionPolicy
  readonly #hosts = new Set<Host>()
  /** End of the current interval; undefined before the first result. */
  #intervalEnd: number | undefined = undefined

  constructor(policy: EjectionPolicy) {
    this.#policy = policy
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
  result(record: EjectionRecord, success: boolean, now: number): ReadonlyArray<Ejection> {
    // A result may come in after its endpoint left.
    if (!(record instanceof Host) || !this.#hosts.has(record)) return nothing
    let ejections = nothing
    if (this.#intervalEnd === undefined) this.#intervalEnd = now + this.#policy.interval
    else if (now >= this.#intervalEnd) ejections = this.#endInterval(this.#intervalEnd, now)

    record.total++
    if (success) {
      record.successes++
      record.consecutive = 0
      return ejections
    }
    if (++record.consecutive < this.#policy.consecutive5xx) return ejections
    record.consecutive = 0
    const ejection = this.#eject(record, "consecutive_5xx", now)
    return ejection === undefined ? ejections : [...ejections, ejection]
  }

  /** Endpoints out of rotation at this time. */
  ejected(now: number): number {
    let count = 0
    for (const host of this.#hosts) if (host.until > now) count++
    return count
  }

  #eject(host: Host, reason: EjectionReason, now: number): Ejection | undefined {
    if (host.until > now) return undefined
    const out = this.ejected(now)
    if (out > 0 && (out + 1) * 100 > this.#policy.maxPercent * this.#hosts.size) return undefined
    host.times++
    const duration = Math.min(this.#policy.base * host.times, this.#policy.max)
    host.until = now + duration
    host.consecutive = 0
    return { record: host, reason, duration }
  }

  #endInterval(end: number, now: number): ReadonlyArray<Ejection> {
    const { interval } = this.#policy
    const intervals = 1 + Math.floor((now - end) / interval)
    const ejections: Array<Ejection> = []
    // Rates of an interval that ended long ago say nothing about now.
    const outliers = intervals === 1 ? this.#outliers() : []
    for (const host of this.#hosts) {
      const inRotation = Math.floor((now - Math.max(host.until, end - interval)) / interval)
      if (inRotation > 0) host.times = Math.max(0, host.times - inRotation)
      host.successes = 0
      host.total = 0
    }
    this.#intervalEnd = end + intervals * interval
    for (const host of outliers) {
      const ejection = this.#eject(host, "success_rate", now)
      if (ejection !== undefined) ejections.push(ejection)
    }
    return ejections
  }

  /** Hosts whose success rate is below mean − deviations × standard deviation; worst first. */
  #outliers(): ReadonlyArray<Host> {
    const { minEndpoints, minRequests, successRateDeviations } = this.#policy
    const judged: Array<Host> = []
    for (const host of this.#hosts) if (host.total >= minRequests) judged.push(host)
    if (judged.length < minEndpoints) return []
    const rate = (host: Host) => host.successes / host.total
    const mean = judged.reduce((sum, host) => sum + rate(host), 0) / judged.length
    const variance = judged.reduce((sum, host) => sum + (rate(host) - mean) ** 2, 0) / judged.length
    const threshold = mean - successRateDeviations * Math.sqrt(variance)
    return judged.filter((host) => rate(host) < threshold).sort((a, b) => rate(a) - rate(b))
  }
}
