/** What is counted of the actors of one type in this program: plain numbers, and nothing of any one actor. */
import { Cause, Effect, Exit } from "effect"
import { plainLine } from "../model/PlainLine.ts"
import { Histogram, latencyBounds } from "../request/cells/Cells.ts"
import type { Refusal } from "./Message.ts"
import { RateWindow } from "./RateWindow.ts"
import type { ActorStoreShape } from "./store/ActorStore.ts"

/** For people; times are of the host's clock, ms. */
export interface LastError {
  readonly text: string
  readonly at: number
}

/** Characters of an error that are kept. */
const maxText = 512

export const lastErrorOf = (text: string, at: number): LastError => ({
  text: plainLine(text.slice(0, maxText)),
  at
})

type KeptIn = Pick<ActorStoreShape, "load" | "save">

export class ActorStats {
  // Each message that has come ends as one of these.
  /** Answered with success. */
  ok = 0
  /** Answered with a failure that its RPC declares. */
  failed = 0
  /** Its handler has died. */
  died = 0
  /** Its sender has given it up, or its time was over. */
  cancelled = 0
  mailboxFull = 0
  /** Sent on to where its shard is. */
  moved = 0
  /** Not handled, or not to the end (`ActorUnavailable`). */
  unavailable = 0

  /** Of those that were told (`discard: true`) and taken: were not handled, and nobody knows but this host. */
  lost = 0

  /** States that their next hosts have, and those that these could not be given (`merge`). */
  given = 0
  notGiven = 0

  saves = 0
  /** Refused by the store, or not answered. */
  savesFailed = 0
  /** Refused because the shard's lease is another's. */
  fenced = 0
  crashes = 0
  /** Shards that have become this program's, and that have become others'. */
  shardsIn = 0
  shardsOut = 0
  lastError: LastError | undefined
  /** Milliseconds from when a message came until it was answered. */
  readonly latency = new Histogram(latencyBounds)
  readonly #rate = new RateWindow()
  readonly #now: () => number

  /** `now` in milliseconds. */
  constructor(now: () => number) {
    this.#now = now
  }

  /** Messages answered a second, over the last ten seconds. */
  get rate(): number {
    return this.#rate.perSecond(this.#now())
  }

  answered(at: number, exit: Exit.Exit<unknown, unknown>): void {
    if (Exit.isSuccess(exit)) this.ok++
    else if (Cause.isDie(exit.cause)) this.died++
    else this.failed++
    const now = this.#now()
    this.latency.record(now - at)
    this.#rate.count(now)
  }

  refused(refusal: Refusal): void {
    if (refusal._tag === "Moved") this.moved++
    else if (refusal._tag === "MailboxFull") this.mailboxFull++
    else {
      this.unavailable++
      // Of the others the cause is told already, or there is none.
      if (refusal.code === "not_leased") this.#erred(refusal.message)
    }
  }

  /** Returns what is to be known of it. */
  crashed(text: string): LastError {
    this.crashes++
    return this.#erred(text)
  }

  #erred(text: string): LastError {
    this.lastError = lastErrorOf(text, this.#now())
    return this.lastError
  }

  /** A store whose saves are counted; what is fenced is told by who has the shard's lease. */
  counting({ load, save }: KeptIn): KeptIn {
    return {
      load,
      save: (what) =>
        Effect.tapBoth(save(what), {
          onSuccess: () => Effect.sync(() => void this.saves++),
          onFailure: ({ _tag }) =>
            Effect.sync(() => {
              if (_tag !== "Fenced") this.savesFailed++
            })
        })
    }
  }
}
