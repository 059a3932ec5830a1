/**
 * Questions of one kind about services, as an attached program has them open with its node: so many at a
 * time and no more. Who asks what is asked already joins it. What is over the limit is held, and has its
 * turn even where none of the others is ever answered: they are asked again after it.
 */
import type { ServiceName } from "../model/Names.ts"
import type { Ticker } from "../model/Time.ts"
import type { Timer } from "../model/TimerWheel.ts"
import type { ServeRefused } from "../schema/ProgramOfferSchema.ts"

export type Hearer = (refused: ReadonlyArray<ServeRefused>) => void

export interface ServiceQuestionsOptions {
  /** Open at a time. */
  readonly limit: number
  /** Asks the node, under a number of its own. Undefined: there is none to be asked. */
  readonly say: (service: ServiceName) => number | undefined
  /** Its answer is not waited for any more. */
  readonly cancel: (id: number) => void
  readonly ticker: Ticker
}

interface Asked {
  readonly service: ServiceName
  readonly hearers: Set<Hearer>
  /** Of the question that is open. Undefined: it is held. */
  id: number | undefined
}

/** Services that one program asks about: each is at least one fiber of its own that waits. */
const maxAsked = 10_000
/** Where some are held, a question is open for so long until another has its turn, ms. */
const turnTime = 1_000

export class ServiceQuestions {
  readonly #options: ServiceQuestionsOptions
  readonly #asked = new Map<ServiceName, Asked>()
  /** By their number; the one that was said first is first. */
  readonly #open = new Map<number, Asked>()
  readonly #held = new Set<Asked>()
  #turn: Timer | undefined

  constructor(options: ServiceQuestionsOptions) {
    this.#options = options
  }

  /** Returns how to ask no more. Throws where a program has lost count of what it asks. */
  ask(service: ServiceName, then: Hearer): () => void {
    const asked = this.#asked.get(service) ?? this.#begin(service)
    // Whoever asks twice hears twice.
    const hearer: Hearer = (refused) => then(refused)
    asked.hearers.add(hearer)
    this.#fill()
    return () => {
      asked.hearers.delete(hearer)
      if (asked.hearers.size === 0) this.#forget(asked)
    }
  }

  /** The node is another, or was told nothing yet: all that is open is asked again. */
  renew(): void {
    const held = [...this.#open.values(), ...this.#held]
    this.#open.clear()
    this.#held.clear()
    for (const asked of held) {
      asked.id = undefined
      this.#held.add(asked)
    }
    this.#fill()
  }

  /** False: it is the answer to no question of these. */
  answered(id: number, refused: ReadonlyArray<ServeRefused>): boolean {
    const asked = this.#open.get(id)
    if (asked === undefined) return false
    this.#open.delete(id)
    this.#asked.delete(asked.service)
    const hearers = [...asked.hearers]
    asked.hearers.clear()
    this.#fill()
    for (const then of hearers) then(refused)
    return true
  }

  #begin(service: ServiceName): Asked {
    if (this.#asked.size >= maxAsked) {
      throw new Error(`the program asks about ${maxAsked} services at once, which is the limit`)
    }
    const asked = { service, hearers: new Set<Hearer>(), id: undefined }
    this.#asked.set(service, asked)
    this.#held.add(asked)
    return asked
  }

  #forget(asked: Asked): void {
    if (this.#asked.get(asked.service) !== asked) return
    this.#asked.delete(asked.service)
    this.#held.delete(asked)
    const { id } = asked
    if (id === undefined) return
    this.#open.delete(id)
    this.#options.cancel(id)
    this.#fill()
  }

  #fill(): void {
    const { limit, say, ticker } = this.#options
    for (const asked of this.#held) {
      if (this.#open.size >= limit) {
        this.#turn ??= ticker.after(turnTime, () => this.#takeTurns())
        return
      }
      const id = say(asked.service)
      if (id === undefined) return
      this.#held.delete(asked)
      asked.id = id
      this.#open.set(id, asked)
    }
  }

  #takeTurns(): void {
    this.#turn = undefined
    const count = Math.min(this.#held.size, this.#open.size)
    for (const [id, asked] of [...this.#open].slice(0, count)) {
      this.#open.delete(id)
      this.#options.cancel(id)
      asked.id = undefined
      this.#held.add(asked)
    }
    this.#fill()
  }
}
