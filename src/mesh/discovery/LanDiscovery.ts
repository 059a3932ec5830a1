/**
 * Lets the others of a mesh on the same LAN know where this node is, and asks for them while it is
 * alone. Who has company asks nobody and says a word every five minutes, so that a LAN of thousands is
 * quiet; of a question no more than some of them answer.
 */
import type { MeshId, PeerKey } from "../../model/Names.ts"
import type { Ticker } from "../../model/Time.ts"
import type { Timer } from "../../model/TimerWheel.ts"
import { decodeLanMessage, encodeAnswer, encodeQuestion } from "./LanMessage.ts"
import { LanNeighbours } from "./LanNeighbours.ts"

/** The LAN, as far as it can be heard. */
export interface LanPort {
  /** To all that listen, this node included. */
  send(bytes: Uint8Array): void
  /** `from`: the sender's IP address. */
  onMessage: ((bytes: Uint8Array, from: string) => void) | undefined
}

export interface LanDiscoveryOptions {
  readonly mesh: MeshId
  readonly self: PeerKey
  /** Where this node takes connections, TCP. */
  readonly port: number
  readonly lan: LanPort
  readonly ticker: Ticker
  /** Nobody is connected. */
  readonly isAlone: () => boolean
  /** A peer was heard; it is not proved to be there. May be told again and again. */
  readonly onHeard: (peer: PeerKey) => void
}

/** How long a word holds, s: three times as long as until the next. */
const ttl = 900
const sayEvery = 300_000
/** A second word soon after the first: the first may get lost. */
const saySoon = 1_000
/** Between two questions of one who is alone, ms: doubles from the first to the last. */
const ask = { first: 2_000, last: 60_000 } as const
/** How often one looks whether one is alone, ms. */
const lookEvery = 5_000
/** Before an answer, ms, so that not all answer at once. */
const answerAfter = { least: 20, most: 120 } as const
/** Who has heard so many others answer keeps quiet: that is company enough. */
const enough = 8
/** At most one word within so many ms, whoever asks (RFC 6762, 6). */
const leastBetween = 1_000

export class LanDiscovery {
  readonly neighbours = new LanNeighbours()
  readonly #options: LanDiscoveryOptions
  readonly #timers = new Map<string, Timer>()
  #saidAt = Number.NEGATIVE_INFINITY
  /** Words of others since somebody asked. */
  #others = 0
  #pause: number = ask.first
  #stopped = false

  constructor(options: LanDiscoveryOptions) {
    const { lan, ticker } = options
    this.#options = options
    lan.onMessage = (bytes, from) => this.#onMessage(bytes, from)
    // By chance: hosts that were switched on together do not speak together.
    this.#later("say", ticker.random() * answerAfter.most, () => {
      this.#say()
      this.#ask()
      this.#later("say", saySoon, this.#sayAgain)
    })
  }

  /** Where a peer was heard, multiaddrs, the last first. */
  addressesOf(peer: PeerKey): ReadonlyArray<string> {
    return this.neighbours.addressesOf(peer, this.#options.ticker.now())
  }

  /** Says good-bye. */
  stop(): void {
    if (this.#stopped) return
    this.#stopped = true
    for (const timer of this.#timers.values()) timer.cancel()
    this.#send(0)
    this.#options.lan.onMessage = undefined
  }

  readonly #sayAgain = (): void => {
    this.#say()
    const { ticker } = this.#options
    this.#later("say", sayEvery * (0.75 + ticker.random() / 2), this.#sayAgain)
  }

  /** Asks now if this node is alone, and looks again later. */
  readonly #ask = (): void => {
    const { isAlone, lan, mesh, ticker } = this.#options
    if (!isAlone()) {
      this.#pause = ask.first
      this.#later("ask", lookEvery, this.#ask)
      return
    }
    lan.send(encodeQuestion(mesh))
    this.#later("ask", this.#pause * (0.75 + ticker.random() / 2), this.#ask)
    this.#pause = Math.min(ask.last, 2 * this.#pause)
  }

  #say(): void {
    this.#saidAt = this.#options.ticker.now()
    this.#send(ttl)
  }

  #send(ttl: number): void {
    const { lan, mesh, port, self } = this.#options
    lan.send(encodeAnswer(mesh, { peer: self, port, ttl }))
  }

  #onMessage(bytes: Uint8Array, from: string): void {
    const { mesh, onHeard, self, ticker } = this.#options
    const message = decodeLanMessage(bytes, mesh)
    if (message === undefined) return
    if (message.kind === "question") {
      this.#answer()
      return
    }
    const now = ticker.now()
    for (const { peer, port, ttl: said } of message.words) {
      if (peer === self) continue
      const address = `/ip4/${from}/tcp/${port}`
      if (said === 0) this.neighbours.gone(peer, address)
      else if (this.neighbours.heard(peer, address, now + Math.min(said, ttl) * 1_000, now)) {
        this.#others++
        onHeard(peer)
      }
    }
  }

  #answer(): void {
    if (this.#timers.has("answer")) return
    const { ticker } = this.#options
    this.#others = 0
    const { least, most } = answerAfter
    // Of many, most are to hear others first.
    const spread = most - least + this.neighbours.size * 10
    this.#later("answer", least + ticker.random() * spread, () => {
      if (this.#others < enough && ticker.now() - this.#saidAt >= leastBetween) this.#say()
    })
  }

  #later(what: string, delay: number, run: () => void): void {
    this.#timers.get(what)?.cancel()
    this.#timers.set(
      what,
      this.#options.ticker.after(delay, () => {
        this.#timers.delete(what)
        if (!this.#stopped) run()
      })
    )
  }
}
