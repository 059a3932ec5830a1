/**
 * Before a shard is run here, whoever may still run it lets it go. Who had it is asked; one that had not even
 * begun it, because it had gone on by then, says whom it had it from, and that one is asked as well. Whoever is
 * gone from the mesh is not waited for, but might have known of another: then all are asked.
 */
import type { TypeHosts } from "./TypeHosts.ts"

/** What came of asking another host to let a shard go. */
export type Released =
  /** It has, or never had it. `others` may have it: those that it would have had to ask itself. */
  | { readonly kind: "released"; readonly others: ReadonlyArray<string> }
  /** It runs it until its turn to leave has come, and takes messages for it. */
  | { readonly kind: "queued" }
  /** Its actors are finishing what they have begun. */
  | { readonly kind: "leaving" }
  /** It takes it for its own: it has not heard yet of what this host has heard of. `runs`: it runs it now. */
  | { readonly kind: "kept"; readonly runs: boolean }
  /** No answer. */
  | { readonly kind: "silent" }

/** Milliseconds that a host holds such a question back for, to answer it when there is news. */
export const releaseHold = 2_000
/** Milliseconds between two questions to a host that has not let go. */
const askAgain = 50
/** After so many without an answer it is told that there is none so far. */
export const unanswered = 250
/** And after so many it is not waited for any more. */
export const releasePatience = 10_000

/** Answers in a row that were not held back, so many at most before the next question waits. */
const maxQuick = 4

/** For people: it was waited for in vain. `isLeased`: the shard is not run before its lease is granted. */
export const forcedText = (
  what: { readonly type: string; readonly shard: number; readonly holder: string },
  isLeased: boolean
): string => {
  const { holder, shard, type } = what
  const [done, outcome] = isLeased
    ? ["wanted", "none of its actors runs twice: it is run when the store grants its lease"]
    : ["run", "an actor of it may run twice until that has heard of this host"]
  return `shard ${shard} of ${type} is ${done} here, though ${holder} has not said that it has let it go; ${outcome}`
}

export interface HandoverOptions {
  readonly hosts: Pick<TypeHosts, "isThere" | "there">
  /** Key of this program's endpoint. */
  readonly self: string
  /**
   * Asks the host with that key to let the shard go; it has so many milliseconds for it. `turn`: whether its
   * turn to leave has come, once it was said to wait for that, or there is other news of a shard that it runs.
   */
  readonly release: (
    holder: string,
    shard: number,
    options: { readonly millis: number; readonly turn: boolean },
    then: (released: Released) => void
  ) => void
  /** Returns how to call it off. */
  readonly after: (millis: number, then: () => void) => () => void
  /** Milliseconds. */
  readonly now: () => number
  /** For people: a shard is run here though another host has not let it go. */
  readonly onForced: (shard: number, holder: string) => void
}

/** Who hears what comes of it. */
export interface HandoverNews {
  /** A host runs it for a while, and takes messages for it. */
  readonly onHolder: (holder: string) => void
  /** A host does not answer, or has not so far; maybe again and again. */
  readonly onSilence: () => void
  /** Nobody runs it any more. */
  readonly then: () => void
}

export class Handover {
  /** Runs it for now: whoever has a message for it is sent there. */
  holder: string | undefined
  readonly #options: HandoverOptions
  readonly #shard: number
  readonly #queue: Array<string>
  readonly #known: Set<string>
  readonly #news: HandoverNews
  #stop: () => void = () => undefined
  #isOff = false
  /** Answers in a row that have come at once. */
  #quick = 0

  /** `holders`: keys of those that may run it. */
  constructor(
    options: HandoverOptions,
    shard: number,
    holders: Iterable<string>,
    news: HandoverNews
  ) {
    this.#options = options
    this.#shard = shard
    this.#queue = [...holders]
    this.#known = new Set([options.self, ...this.#queue])
    this.#news = news
  }

  begin(): void {
    const holder = this.#queue.pop()
    if (holder === undefined) this.#news.then()
    else this.#ask(holder, this.#options.now() + releasePatience)
  }

  cancel(): void {
    this.#isOff = true
    this.#stop()
  }

  #ask(holder: string, until: number, turn = false): void {
    const { hosts, now, onForced, release } = this.#options
    if (!hosts.isThere(holder)) {
      // It may have gone before it had got the shard from another, and nobody knows from whom.
      this.#next(hosts.there)
      return
    }
    // As long as it says that it runs it and takes messages, nobody waits for anything.
    const millis = turn ? releasePatience : until - now()
    if (millis <= 0) {
      onForced(this.#shard, holder)
      this.#next()
      return
    }
    // That it waits for its turn is an answer.
    const noAnswer = turn
      ? (): void => undefined
      : this.#options.after(unanswered, () => !this.#isOff && this.#news.onSilence())
    const asked = now()
    release(holder, this.#shard, { millis, turn }, (released) => {
      noAnswer()
      if (this.#isOff) return
      switch (released.kind) {
        case "released":
          if (turn) this.#goOn(holder, asked)
          else this.#next(released.others)
          return
        case "queued":
          this.#runsAt(holder)
          this.#askOn(holder, { until, turn: true, asked })
          return
        case "leaving":
          if (turn) this.#goOn(holder, asked)
          else this.#askOn(holder, { until, turn: false, asked })
          return
        case "kept":
          // It has not heard of this host yet, and handles what comes as ever. If it runs it, so it may for as long as that
          // takes, and answers when there is news: nobody waits for anything, and nobody else is to run it.
          this.#runsAt(holder)
          if (released.runs) this.#askOn(holder, { until, turn: true, asked })
          else this.#askLater(holder, turn ? now() + releasePatience : until)
          return
        case "silent":
          this.holder = undefined
          this.#news.onSilence()
          // It may have been what was missing. Who has said that it runs it, or that it waits for its turn, is not
          // given up for one answer that was lost: it has its time from that question on.
          if (!this.#isOff) this.#askLater(holder, turn ? asked + releasePatience : until)
      }
    })
  }

  /**
   * At once, for a host holds its answer back until there is news. One of a release that does not is asked now and
   * then, and not without pause.
   */
  #askOn(
    holder: string,
    {
      asked,
      turn,
      until
    }: { readonly asked: number; readonly turn: boolean; readonly until: number }
  ): void {
    const { after, now } = this.#options
    this.#quick = now() - asked < askAgain ? this.#quick + 1 : 0
    if (this.#quick <= maxQuick) this.#ask(holder, until, turn)
    else this.#stop = after(askAgain, () => this.#ask(holder, until, turn))
  }

  #askLater(holder: string, until: number): void {
    this.#stop = this.#options.after(askAgain, () => this.#ask(holder, until))
  }

  #runsAt(holder: string): void {
    if (this.holder === holder) return
    this.holder = holder
    this.#news.onHolder(holder)
  }

  /** Its turn has come, or has passed. */
  #goOn(holder: string, asked: number): void {
    this.holder = undefined
    const until = this.#options.now() + releasePatience
    this.#askOn(holder, { until, turn: false, asked })
  }

  #next(others: ReadonlyArray<string> = []): void {
    this.holder = undefined
    this.#quick = 0
    for (const other of others) {
      if (this.#known.has(other)) continue
      this.#known.add(other)
      this.#queue.push(other)
    }
    this.begin()
  }
}
