/**
 * Whoever refuses something because of time says so. What is refused here, whose it was, and how the
 * clocks stand to each other: for the log (once, and again when it is well), `status`, `members`,
 * `doctor` and the metrics. Thin: clocks are measured in PeerClocks, refused at the doors.
 */
import { Effect, Runtime, type Scope } from "effect"
import type { ClockStatus, ReadinessItem, RefusedByTime } from "../admin/NodeModel.ts"
import { lookingAfter, type TickTimers } from "../mesh/actor/Ticking.ts"
import type { PeerClocks } from "../mesh/membership/PeerClocks.ts"
import { defaultSkew } from "../mesh/trust/Certificate.ts"
import { describeSpan } from "../mesh/trust/CertificateError.ts"
import type { PeerKey } from "../model/Names.ts"
import type { Counter } from "../request/cells/Cells.ts"
import type { Family } from "../request/cells/Family.ts"
import type { MetricRegistry } from "../request/cells/Metrics.ts"

export type RefusedKind = RefusedByTime["what"]

/** What a door refused because of time. */
export interface UntimelyWord {
  readonly peer: PeerKey
  readonly what: RefusedKind
  readonly message: string
  /** It is the peer that refuses ours. Default: false. */
  readonly byPeer?: boolean
}

/** Milliseconds. */
export const clockReportTimes = {
  /** Between two looks. */
  look: 5_000,
  /** A clock this far off is worth a line in the log; half of what certificates put up with. */
  noteworthy: 60_000,
  /** A refusal that is not repeated is forgotten after so long… */
  forget: 600_000,
  /** …and after so long when the clock of its author is known to be right again. */
  mended: 10_000
} as const

/** Peers of whom something is refused; of further ones nothing is kept but the count. */
export const maxTroubled = 256

interface Refused {
  readonly peer: PeerKey
  readonly what: RefusedKind
  count: number
  message: string
  readonly sinceAt: number
  lastAt: number
  /** Monotonic ms. */
  last: number
}

export interface ClockReportOptions {
  readonly clocks: PeerClocks
  readonly metrics: MetricRegistry
  readonly nameOf: (peer: PeerKey) => string
  /** Other members whose clocks are worth a gauge of their own. */
  readonly members: () => Iterable<PeerKey>
  /** This host's wall clock was set by more than a minute. */
  readonly onSet?: () => void
}

/** Measuring is off by up to a second or two: half an hour is not to be called 29 min 59 s. */
const apart = (ahead: number) => {
  const grid = Math.abs(ahead) < 600_000 ? 1_000 : 60_000
  return `${describeSpan(Math.round(ahead / grid) * grid)} ${ahead > 0 ? "ahead of" : "behind"}`
}

export class ClockReport {
  readonly #options: ClockReportOptions
  readonly #log: (message: string, isWell: boolean) => void
  readonly #refused = new Map<string, Refused>()
  readonly #counter: Family<Counter, "counter", "node" | "what">
  /** Of whose clocks the log has told that they are off. */
  readonly #told = new Set<PeerKey>()
  #toldOwn = false
  /** Of the wall clock to the monotonic one, at the last look. */
  #base: number

  private constructor(
    options: ClockReportOptions,
    log: (message: string, isWell: boolean) => void
  ) {
    const { clocks, metrics, members, nameOf } = options
    this.#options = options
    this.#base = clocks.wall() - clocks.now()
    this.#log = log
    this.#counter = metrics.counter(
      "skein_refused_by_time_total",
      "What this node refused because of time, by whose it was and what it was.",
      ["node", "what"]
    )
    const offset = metrics.gauge(
      "skein_peer_clock_offset_seconds",
      "How far the clock of another node is ahead of this one's, as pings tell.",
      ["node"]
    )
    const own = metrics.gauge(
      "skein_clock_offset_seconds",
      "How far this node's clock is ahead of the median of the other nodes' clocks.",
      []
    )
    let shown = new Set<string>()
    metrics.onCollect(() => {
      const { ahead } = clocks.own()
      if (ahead === undefined) own.remove({})
      else own.cell({}).set(ahead / 1_000)
      const now = new Set<string>()
      for (const peer of members()) {
        const theirs = clocks.aheadOf(peer)
        if (theirs === undefined) continue
        const node = nameOf(peer)
        now.add(node)
        offset.cell({ node }).set(theirs / 1_000)
      }
      for (const node of shown) if (!now.has(node)) offset.remove({ node })
      shown = now
    })
  }

  static readonly make = (options: ClockReportOptions): Effect.Effect<ClockReport> =>
    Effect.map(Effect.runtime<never>(), (runtime) => {
      const runFork = Runtime.runFork(runtime)
      return new ClockReport(options, (message, isWell) => {
        runFork(isWell ? Effect.logInfo(message) : Effect.logWarning(message))
      })
    })

  /** Looks by itself until the scope closes. */
  static readonly keep = (
    options: ClockReportOptions,
    ticker: TickTimers
  ): Effect.Effect<ClockReport, never, Scope.Scope> =>
    Effect.tap(ClockReport.make(options), (report) =>
      lookingAfter(ticker, clockReportTimes.look, () => {
        try {
          report.look()
          return undefined
        } catch (defect) {
          return Effect.logError("the look at the clocks failed", defect)
        }
      })
    )

  readonly add = ({ peer, what, message, byPeer = false }: UntimelyWord): void => {
    const { clocks, nameOf } = this.#options
    const node = nameOf(peer)
    if (!byPeer) this.#counter.cell({ node, what }).inc()
    const key = `${what} ${peer}`
    const known = this.#refused.get(key)
    const [last, lastAt] = [clocks.now(), clocks.wall()]
    if (known !== undefined) {
      known.count++
      known.message = message
      known.last = last
      known.lastAt = lastAt
      return
    }
    if (this.#refused.size >= maxTroubled) return
    this.#refused.set(key, { peer, what, count: 1, message, sinceAt: lastAt, lastAt, last })
    this.#log(
      `${node} (${peer}): ${byPeer ? `it refuses this node's ${what}` : `its ${what} is refused`} because of time: ${message}${this.#stand(peer)}. \`skein doctor\` tells on which host to look`,
      false
    )
  }

  /** To be called every `look`: tells of clocks that went wrong, and of what is well again. */
  readonly look = (): void => {
    const { clocks, members, nameOf, onSet } = this.#options
    const base = clocks.wall() - clocks.now()
    if (Math.abs(base - this.#base) >= clockReportTimes.noteworthy) onSet?.()
    this.#base = base
    const own = clocks.own()
    const isOff = own.measured > 1 && this.#isOff(own.ahead) && own.agreeing * 2 > own.measured
    if (isOff && !this.#toldOwn) {
      this.#log(
        `the clock of this host is ${apart(own.ahead ?? 0)} those of ${own.agreeing} of ${own.measured} other nodes: they refuse what it says, and it refuses what they say, until it is right; check time synchronisation here`,
        false
      )
    }
    if (!isOff && this.#toldOwn)
      this.#log("the clock of this host agrees with the others again", true)
    this.#toldOwn = isOff
    const seen = new Set<PeerKey>(members())
    for (const { peer } of this.#refused.values()) seen.add(peer)
    for (const peer of this.#told) if (!seen.has(peer)) this.#told.delete(peer)
    for (const peer of seen) {
      const ahead = clocks.aheadOf(peer)
      const wasOff = this.#told.has(peer)
      // When it is ours that is off, theirs are all off.
      if (!isOff && this.#isOff(ahead) && !wasOff && this.#told.size < maxTroubled) {
        this.#told.add(peer)
        this.#log(
          `the clock of ${nameOf(peer)} (${peer}) is ${apart(ahead ?? 0)} this host's: check time synchronisation on both`,
          false
        )
      } else if (wasOff && ahead !== undefined && !this.#isOff(ahead)) {
        this.#told.delete(peer)
        this.#log(`the clock of ${nameOf(peer)} (${peer}) agrees with this host's again`, true)
      }
    }
    this.#forget()
  }

  /**
   * What `/ready` says: nothing while the clock is right enough, or nobody could say. With one that is
   * further off than certificates put up with, in the eyes of most others, traffic should go elsewhere:
   * they refuse what this node says, and will not renew it.
   */
  readiness(): ReadonlyArray<ReadinessItem> {
    const { agreeing, ahead, measured } = this.#options.clocks.own()
    const isBy = measured > 1 && agreeing * 2 > measured
    if (!isBy || ahead === undefined || Math.abs(ahead) < defaultSkew) return []
    const detail = `the clock of this host is ${apart(ahead)} those of ${agreeing} of ${measured} other nodes`
    return [{ name: "clock", ready: false, detail }]
  }

  status(): ClockStatus {
    const { clocks, nameOf } = this.#options
    const { ahead, measured, agreeing } = clocks.own()
    return {
      aheadMs: ahead === undefined ? null : Math.round(ahead),
      measured,
      agreeing,
      refused: Array.from(this.#refused.values(), (one) => ({
        node: nameOf(one.peer),
        peer: one.peer,
        what: one.what,
        count: one.count,
        sinceAt: one.sinceAt,
        lastAt: one.lastAt,
        detail: one.message
      }))
    }
  }

  #isOff(ahead: number | undefined): boolean {
    return ahead !== undefined && Math.abs(ahead) >= clockReportTimes.noteworthy
  }

  #stand(peer: PeerKey): string {
    const ahead = this.#options.clocks.aheadOf(peer)
    return this.#isOff(ahead) ? `; its clock is ${apart(ahead ?? 0)} this host's` : ""
  }

  #forget(): void {
    const { clocks, nameOf } = this.#options
    for (const [key, { peer, what, last }] of this.#refused) {
      const age = clocks.now() - last
      const ahead = clocks.aheadOf(peer)
      const isMended = ahead !== undefined && !this.#isOff(ahead)
      if (age < (isMended ? clockReportTimes.mended : clockReportTimes.forget)) continue
      this.#refused.delete(key)
      this.#log(`${nameOf(peer)} (${peer}): its ${what} is no longer refused because of time`, true)
    }
  }
}
