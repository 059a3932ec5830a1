/**
 * What an attached program serves, as its node is told: all of it, one telling at a time, and the newest
 * where it has changed meanwhile. It is told again to each node that has not heard it, that nothing is
 * served any more as well: the node may remember what was.
 */
import type { Ticker } from "../model/Time.ts"
import type { ProgramOffer, ServeRefused } from "../schema/ProgramOfferSchema.ts"
import type { NodeLinks } from "./NodeLinks.ts"

export interface ToldOffersOptions {
  /** Tells the node, under a number of its own. Undefined: there is none to be told. */
  readonly say: (offers: ReadonlyArray<ProgramOffer>) => number | undefined
  /** Undefined: there is no node yet. */
  readonly links: () => Pick<NodeLinks, "whenServing"> | undefined
  readonly onRefused: (refused: ReadonlyArray<ServeRefused>) => void
  readonly ticker: Ticker
}

/** An offer waits so long for a link to every thread, ms. */
const linkPatience = 1_000

export class ToldOffers {
  readonly #options: ToldOffersOptions
  /** Undefined: nothing was ever served. */
  #offers: ReadonlyArray<ProgramOffer> | undefined
  /** The node has not been told the newest. */
  #isNew = false
  /** Of the telling that is not answered yet. */
  #id: number | undefined
  #stopWaiting: (() => void) | undefined
  /** They wait for what is not told yet. */
  #hearers = new Set<() => void>()
  /** They wait for the answer. */
  #told = new Set<() => void>()

  constructor(options: ToldOffersOptions) {
    this.#options = options
  }

  /** Returns how to wait no more; it is told all the same. */
  tell(offers: ReadonlyArray<ProgramOffer>, then: () => void): () => void {
    const hearer = (): void => then()
    this.#offers = offers
    this.#isNew = true
    this.#hearers.add(hearer)
    this.#next()
    return () => {
      this.#hearers.delete(hearer)
      this.#told.delete(hearer)
    }
  }

  /** The node is another, or was told nothing yet. */
  renew(): void {
    this.stop()
    this.#id = undefined
    for (const hearer of this.#hearers) this.#told.add(hearer)
    this.#hearers = this.#told
    this.#told = new Set()
    this.#isNew = this.#offers !== undefined
    this.#next()
  }

  /** False: it is the answer to something else. */
  answered(id: number, refused: ReadonlyArray<ServeRefused>): boolean {
    if (id !== this.#id) return false
    this.#id = undefined

    this.#options.onRefused(refused)
    const told = [...this.#told]
    this.#told.clear()
    for (const then of told) then()
    this.#next()
    return true
  }

  /** Waits for no links any more. */
  stop(): void {
    this.#stopWaiting?.()
    this.#stopWaiting = undefined
  }

  #next(): void {
    const links = this.#options.links()
    const offers = this.#offers
    if (!this.#isNew || this.#id !== undefined || links === undefined || offers === undefined) {
      return
    }
    if (offers.length === 0) this.#say()
    else if (this.#stopWaiting === undefined) this.#waitFor(links)
  }

  /** What is offered is told once every thread can call it. */
  #waitFor(links: Pick<NodeLinks, "whenServing">): void {
    // Not for ever: a thread that is being started again has its link later.
    const timer = this.#options.ticker.after(linkPatience, () => this.#say())
    let stop = (): void => undefined
    this.#stopWaiting = () => {
      timer.cancel()
      stop()
    }
    // It may be said within, at once.
    stop = links.whenServing(() => this.#say())
  }

  #say(): void {
    this.stop()
    const id = this.#options.say(this.#offers ?? [])
    if (id === undefined) return
    this.#id = id
    this.#isNew = false
    this.#told = this.#hearers
    this.#hearers = new Set()
  }
}
