/**
 * What this node tells others about where to reach it, and what came of it when they tried. Pure:
 * times come in. One member that reaches an address proves it; that it is wrong needs all who were
 * asked to say so, twice.
 */
import type { PeerKey } from "../model/Names.ts"

export const checkTimes = {
  /** After a round in which nobody could say (ms), doubling up to… */
  silent: 1_000,
  maxSilent: 60_000,
  /** A first "not reached" is asked about again so soon before it is believed. */
  confirm: 5_000,
  /** What nobody reaches is tried again, ever less often: it may have been mended… */
  unreached: 60_000,
  maxUnreached: 16 * 60_000,
  /** …and what is reached, because it may break; give or take a tenth. */
  reached: 30 * 60_000
} as const

export interface AddressReport {
  /** Multiaddr without /p2p. */
  readonly address: string
  /** `untried`: nobody has said anything yet, or not for sure. */
  readonly state: "untried" | "reached" | "unreached"
  /** Of the last answer, wall clock, ms. */
  readonly checkedAt: number | undefined
  /** Who gave it: the one that reached it, or those that did not. */
  readonly by: ReadonlyArray<PeerKey>
}

/** What members said in one round of asking. */
export interface Verdict {
  readonly reached: boolean
  readonly by: ReadonlyArray<PeerKey>
}

interface Entry extends AddressReport {
  /** Monotonic, ms. */
  readonly dueAt: number
  /** Rounds in a row that said no, and that said nothing. */
  readonly misses: number
  readonly silences: number
}

export interface Moment {
  /** Monotonic, ms. */
  readonly now: number
  /** Wall clock, ms. */
  readonly wall: number
  /** Uniform in [0, 1). */
  readonly random: number
}

const doubling = (base: number, times: number, most: number): number =>
  Math.min(most, base * 2 ** Math.min(times, 30))

const after = (entry: Entry, verdict: Verdict | undefined, moment: Moment): Entry => {
  const { now, wall, random } = moment
  if (verdict === undefined) {
    const pause = doubling(checkTimes.silent, entry.silences, checkTimes.maxSilent)
    return { ...entry, silences: entry.silences + 1, dueAt: now + pause }
  }
  const heard = { ...entry, checkedAt: wall, by: verdict.by, silences: 0 }
  if (verdict.reached) {
    const pause = checkTimes.reached * (0.9 + 0.2 * random)
    return { ...heard, state: "reached", misses: 0, dueAt: now + pause }
  }
  if (entry.misses === 0) {
    // What was reached until now stays so, with its own proof, until the second answer.
    const kept = entry.state === "reached" ? { ...entry, silences: 0 } : heard
    return { ...kept, misses: 1, dueAt: now + checkTimes.confirm }
  }
  const pause = doubling(checkTimes.unreached, entry.misses - 1, checkTimes.maxUnreached)
  return { ...heard, state: "unreached", misses: entry.misses + 1, dueAt: now + pause }
}

export class AnnouncedAddresses {
  #entries: ReadonlyArray<Entry> = []

  /** What is announced now. What was heard of an address that still is stays. */
  follow(addresses: ReadonlyArray<string>, now: number): void {
    const known = new Map(this.#entries.map((entry) => [entry.address, entry]))
    this.#entries = [...new Set(addresses)].map(
      (address) =>
        known.get(address) ?? {
          ...{ address, state: "untried", checkedAt: undefined, by: [] },
          ...{ dueAt: now, misses: 0, silences: 0 }
        }
    )
  }

  /** To be tried now, the longest overdue first. */
  due(now: number): ReadonlyArray<string> {
    return this.#entries
      .filter(({ dueAt }) => dueAt <= now)
      .sort((a, b) => a.dueAt - b.dueAt)
      .map(({ address }) => address)
  }

  /** When the next one is to be tried, monotonic ms; undefined: nothing is announced. */
  get nextAt(): number | undefined {
    return this.#entries.length === 0
      ? undefined
      : Math.min(...this.#entries.map(({ dueAt }) => dueAt))
  }

  /**
   * Somebody came who can be asked: what nobody could say anything about is tried again soon. Not at
   * once, for at a start they come by the hundred.
   */
  memberUp(now: number): void {
    const dueAt = now + checkTimes.silent
    this.#entries = this.#entries.map((entry) =>
      entry.silences > 0 ? { ...entry, silences: 0, dueAt: Math.min(entry.dueAt, dueAt) } : entry
    )
  }

  /**
   * What a round found out; undefined: nobody could say. Answers what is news to an operator: that
   * nobody reaches it (any more), and that somebody does again.
   */
  heard(
    address: string,
    verdict: Verdict | undefined,
    moment: Moment
  ): "lost" | "back" | undefined {
    const before = this.#entries.find((entry) => entry.address === address)
    if (before === undefined) return undefined
    const next = after(before, verdict, moment)
    this.#entries = this.#entries.map((entry) => (entry === before ? next : entry))
    if (next.state === before.state) return undefined
    return next.state === "unreached" ? "lost" : before.state === "unreached" ? "back" : undefined
  }

  /** In the order in which they are announced. */
  reports(): ReadonlyArray<AddressReport> {
    return this.#entries.map(({ address, state, checkedAt, by }) => ({
      address,
      state,
      checkedAt,
      by
    }))
  }
}

/** Others can reach this node nowhere, as far as they were asked. */
export const isCutOff = (reports: ReadonlyArray<AddressReport>): boolean =>
  reports.length > 0 && reports.every(({ state }) => state === "unreached")
