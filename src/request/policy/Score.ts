/**
 * How an endpoint answers, as the balancers see it: how fast, and how often not at all.
 *
 * Latency is a moving average that believes bad news at once (Finagle's PeakEwma). A measurement
 * above the estimate replaces it; one below pulls it down, the more the longer the last one is ago:
 *
 *     estimate' = estimate·w + latency·(1 − w),  w = exp(−elapsed / decay)
 *
 * It is the latency of answers in which the work was done. Others come back fast from an endpoint
 * one should stay away from, or slowly because somebody's patience was at its end. They leave the
 * estimate as it is, or pull it up as above, without a jump: one time-out is not a second's latency.
 * Only when an endpoint has given nothing else for a while are they its latency.
 *
 * What they do change are two shares of time, `failing` and `hollow` (in which the last answer was
 * a failure, or one without the work done), each in [0, 1]:
 *
 *     failing' = failing·w + (1 − w)·[failed]
 *
 * so at any rate one failure in a hundred hardly counts and a second of nothing but failures is
 * 1 − exp(−1 s / decay). A failure stands for the time since the result before it if that was one
 * too. If not, nobody knows for how long it has been so, and it stands for a twentieth of `decay` at
 * most: one failure after a pause is no more than one in a busy minute. With no results at all everything fades towards 0, so an endpoint that was
 * avoided is tried again in time.
 */

export interface ScoreParameters {
  /** Assumed latency, in milliseconds, while the first answer is awaited. */
  readonly initial: number
  /** Time constant, in milliseconds. */
  readonly decay: number
}

/**
 * The first answers may have waited for connections to be made, so the mean is without them. It is
 * that of the following ones and, from `recent` on, of about so many last ones: by number and not by
 * time, since an answer that met a stall took a large part of the time. It says how fast the endpoint
 * is when it is of `enough` answers.
 */
const cold = 8
const enough = 24
const recent = 64

/** After so many hollow answers in a row there are no others to know the latency from. */
const hollowRun = 20

const never = Number.NEGATIVE_INFINITY

const sixth = 1 / 6

/** Most that the first failure after something else adds to a share: 1 − exp(−1/20). */
const lone = 1 - Math.exp(-1 / 20)

/** Smaller shares are none: arithmetic on ever smaller numbers is slow. */
const least = 1e-6

export class Score {
  readonly #initial: number
  /** 1 / decay. */
  readonly #rate: number
  #estimate: number
  #mean: number
  /** The two above are known from answers. */
  #measured = false
  /** Those that made the mean, and the cold ones, as far as they are counted. */
  #answers = 0
  #failing = 0
  #hollow = 0
  /** Of the last result in the shares, should it prove to have been one without the work. */
  #part = 0
  #failingPart = 0
  /** The last result was a failure. */
  #failed = false
  /** Hollow answers since the last other one. */
  #run = 0
  /** Time of the last result. A number also before the first, since V8 keeps those unboxed. */
  #stamp = never

  constructor(parameters: ScoreParameters) {
    this.#initial = parameters.initial
    this.#rate = 1 / Math.max(parameters.decay, 1)
    this.#estimate = this.#initial
    this.#mean = this.#initial
  }

  get measured(): boolean {
    return this.#measured
  }

  /** There have been so many answers that their mean says how fast it is. */
  get known(): boolean {
    return this.#answers >= cold + enough
  }

  /** Not all has been well of late: the two shares below may be more than 0. */
  get troubled(): boolean {
    return this.#hollow !== 0
  }

  /** Share of time in which it failed, as of the last result. */
  get failing(): number {
    return this.#failing
  }

  /** Share of time in which it answered without doing the work, failures included. */
  get hollow(): number {
    return this.#hollow
  }

  /** What is left at `now` of everything above: a factor. */
  fade(now: number): number {
    const part = (now - this.#stamp) * this.#rate
    if (part <= 0 || this.#stamp === never) return 1
    // The usual case costs a third of `exp` by its series, which is exact to nine digits there.
    return part < 0.01 ? 1 - part * (1 - part * (0.5 - part * sixth)) : Math.exp(-part)
  }

  /** The latency estimate in milliseconds, faded to `now`; 0 when nothing was measured yet. */
  value(now: number): number {
    return this.#measured ? this.#estimate * this.fade(now) : 0
  }

  /**
   * The latency to expect, in milliseconds, when `fade` of the estimate is left. An endpoint that
   * nothing is known of is free to try while it is idle, so that it is tried at once; and is taken
   * to have the assumed latency while its first answer is awaited, so that it is not tried by
   * everybody.
   */
  expected(fade: number, inFlight: number): number {
    return this.#measured ? this.#estimate * fade : this.#assumed(this.#estimate, fade, inFlight)
  }

  /** The same by the mean of answers in place of the estimate: to be asked when it is `known`. */
  expectedMean(fade: number, inFlight: number): number {
    return this.#measured ? this.#mean * fade : this.#assumed(this.#mean, fade, inFlight)
  }

  /**
   * An answer in which the work was done: `#pass` and `#measure` in one, since this is what happens
   * with every request, and numbers with a fraction that go from call to call are allocated.
   */
  answered(latency: number, now: number): void {
    if (this.#hollow !== 0 || this.#run !== 0 || !this.#measured) {
      const left = this.#pass(latency, now)
      this.#worked()
      this.#measure(latency, left)
      return
    }
    const weight = this.fade(now)
    this.#stamp = now
    this.#part = Math.min(lone, 1 - weight)
    this.#failingPart = this.#part
    this.#average(latency)
    if (latency >= this.#estimate) this.#estimate = latency
    else this.#estimate = this.#estimate * weight + latency * (1 - weight)
  }

  /** It does its work; how fast, does not show (a tunnel). */
  working(now: number): void {
    this.#pass(0, now)
    this.#worked()
  }

  /** An answer in which it was not done, which is not the endpoint's failure: 404, say. */
  declined(latency: number, now: number): void {
    const weight = this.#pass(latency, now)
    this.#hollow += this.#part
    this.#failed = false
    this.#withoutWork(latency, weight)
  }

  /** It failed, or asked for less. Another endpoint might not have. */
  failed(latency: number, now: number): void {
    const weight = this.#pass(latency, now)
    this.#failing += this.#failingPart
    this.#hollow += this.#part
    this.#failed = true
    this.#withoutWork(latency, weight)
  }

  /**
   * What began as an answer came to nothing: it broke off, say. The time that the last result stood
   * for is taken for its.
   */
  retract(failed: boolean): void {
    this.#run = Math.max(1, this.#run)
    this.#failed = failed
    this.#hollow = Math.min(1, this.#hollow + this.#part)
    if (failed) this.#failing = Math.min(1, this.#failing + this.#failingPart)
  }

  /** It took at least this long and nobody waited for the end: only bad news counts. */
  abandoned(latency: number, now: number): void {
    if (latency > Math.max(this.#initial, this.value(now))) {
      this.#pass(latency, now)
      this.#raise(latency, this.#part)
    }
  }

  /** Back to unmeasured: what was known is from before an outage. */
  forget(): void {
    this.#estimate = this.#initial
    this.#mean = this.#initial
    this.#measured = false
    this.#answers = 0
    this.#failing = 0
    this.#hollow = 0
    this.#worked()
    this.#stamp = never
  }

  /** Of no answer yet, but of failures that took longer than what is assumed. */
  #assumed(latency: number, fade: number, inFlight: number): number {
    if (this.#stamp === never && inFlight === 0) return 0
    return this.#initial + (latency - this.#initial) * fade
  }

  /**
   * Time passes up to a result: the shares fade, and the weight that is left to what was known is
   * returned. An endpoint's account begins with its first request.
   */
  #pass(latency: number, now: number): number {
    if (this.#stamp === never) this.#stamp = now - latency
    const weight = this.fade(now)
    this.#stamp = now
    this.#part = this.#run > 0 ? 1 - weight : Math.min(lone, 1 - weight)
    this.#failingPart = this.#failed ? 1 - weight : Math.min(lone, 1 - weight)
    if (this.#hollow !== 0) {
      this.#failing = this.#failing < least ? 0 : this.#failing * weight
      this.#hollow = this.#hollow < least ? 0 : this.#hollow * weight
    }
    return weight
  }

  #worked(): void {
    this.#run = 0
    this.#failed = false
  }

  #withoutWork(latency: number, weight: number): void {
    if (++this.#run > hollowRun) this.#measure(latency, weight)
    else this.#raise(latency, this.#part)
  }

  #measure(latency: number, weight: number): void {
    if (!this.#measured) {
      this.#measured = true
      this.#estimate = latency
      this.#mean = latency
      this.#answers = 1
      return
    }
    this.#average(latency)
    if (latency >= this.#estimate) this.#estimate = latency
    else this.#estimate = this.#estimate * weight + latency * (1 - weight)
  }

  #average(latency: number): void {
    if (this.#answers < cold + recent) this.#answers++
    this.#mean += (latency - this.#mean) / Math.max(1, this.#answers - cold)
  }

  #raise(latency: number, part: number): void {
    if (latency > this.#mean) this.#mean += (latency - this.#mean) * Math.min(part, 1 / recent)
    if (latency > this.#estimate) this.#estimate += (latency - this.#estimate) * part
  }
}
