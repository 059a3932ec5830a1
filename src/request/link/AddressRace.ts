/**
 * Several addresses of one peer, one after the other with a short stagger (RFC 8305, §5): one that
 * does not answer costs no more than that, and one that fails starts the next at once. The first
 * that leads to a link wins, and the others are given up. Who speaks an older version there is asked
 * once more, in that one.
 */
import type { Ticker } from "../../model/Time.ts"
import type { Timer } from "../../model/TimerWheel.ts"
import {
  type DiallerPreface,
  type LinkRefusal,
  oldestPreface,
  prefaceVersion
} from "../wire/LinkPreface.ts"
import { AddressAttempt, type AttemptOutcome, type LinkedSocket } from "./AddressAttempt.ts"
import type { DialFailure } from "./LinkDialError.ts"
import type { TcpAddress } from "./TcpAddress.ts"

/** Said of a session that is known there: it is the peer, and would say so at any address. */
const knowsSession: ReadonlySet<LinkRefusal> = new Set(["busy", "other_thread", "session_ended"])

export interface RaceRefusal {
  readonly code: LinkRefusal
  readonly wait: number
  readonly address: TcpAddress
}

export type RaceOutcome =
  | ({ readonly kind: "linked"; readonly address: TcpAddress } & LinkedSocket)
  | {
      readonly kind: "failed"
      readonly failures: ReadonlyArray<DialFailure>
      readonly refusals: ReadonlyArray<RaceRefusal>
    }

export interface RaceOptions {
  /** At least one, the best first. */
  readonly addresses: ReadonlyArray<TcpAddress>
  /** In which version is told. */
  readonly preface: (version: number) => DiallerPreface
  readonly ticker: Ticker
  /** Between one start and the next, ms. */
  readonly stagger: number
  /** For each address, ms. */
  readonly patience: number
  /** Called once. */
  readonly onOutcome: (outcome: RaceOutcome) => void
}

export class AddressRace {
  readonly #options: RaceOptions
  readonly #running = new Map<TcpAddress, AddressAttempt>()
  readonly #waiting: Array<TcpAddress>
  readonly #failures: Array<DialFailure> = []
  readonly #refusals: Array<RaceRefusal> = []
  #timer: Timer | undefined = undefined
  #over = false

  constructor(options: RaceOptions) {
    this.#options = options
    this.#waiting = [...options.addresses]
    this.#next()
  }

  /** Nothing is told any more. */
  abort(): void {
    if (this.#over) return
    this.#over = true
    this.#timer?.cancel()
    for (const attempt of this.#running.values()) attempt.abort()
    this.#running.clear()
  }

  #next(): void {
    this.#timer?.cancel()
    const address = this.#waiting.shift()
    if (address === undefined) return
    const { ticker, stagger } = this.#options
    this.#begin(address, prefaceVersion)
    if (this.#waiting.length > 0) this.#timer = ticker.after(stagger, () => this.#next())
  }

  #begin(address: TcpAddress, version: number): void {
    const { ticker, patience } = this.#options
    const preface = (): DiallerPreface => this.#options.preface(version)
    const onOutcome = (outcome: AttemptOutcome): void => this.#onOutcome(address, version, outcome)
    this.#running.set(
      address,
      new AddressAttempt({ address, preface, ticker, patience, onOutcome })
    )
  }

  #onOutcome(address: TcpAddress, asked: number, outcome: AttemptOutcome): void {
    this.#running.delete(address)
    if (outcome.kind === "refused" && outcome.answer.code === "version") {
      const { version } = outcome.answer
      if (version >= oldestPreface && version < asked) {
        this.#begin(address, version)
        return
      }
    }
    if (outcome.kind === "linked") {
      this.abort()
      this.#options.onOutcome({ ...outcome, address })
      return
    }
    this.#failed(address, outcome)
    const isPeer = outcome.kind === "refused" && knowsSession.has(outcome.answer.code)
    if (!isPeer) {
      if (this.#waiting.length > 0) this.#next()
      if (this.#running.size > 0) return
    }
    this.abort()
    const { onOutcome } = this.#options
    onOutcome({ kind: "failed", failures: this.#failures, refusals: this.#refusals })
  }

  #failed(
    address: TcpAddress,
    outcome: Exclude<AttemptOutcome, { readonly kind: "linked" }>
  ): void {
    const { text } = address
    if (outcome.kind === "failed") {
      const { error } = outcome
      this.#failures.push({ address: text, reason: error.message, refusal: undefined, error })
      return
    }
    const { code, wait } = outcome.answer
    this.#failures.push({ address: text, reason: code, refusal: code, error: undefined })
    this.#refusals.push({ code, wait, address })
  }
}
