/**
 * A program of which nobody has said which HTTP it speaks: it is asked before the first request, and again when it
 * may have become another. Requests that come meanwhile wait, as they would for a connection.
 */
import { contain, type OnDefect, uncontained } from "../../model/Defect.ts"
import type { Call, Fields, ResponseReceiver } from "../../model/Exchange.ts"
import type { Fault } from "../../model/Fault.ts"
import { refuse } from "../../model/RefusedExchange.ts"
import type { Ticker } from "../../model/Time.ts"
import type { ProgramPlace } from "../socket/ProgramDial.ts"
import { type SocketLane, unlimitedSockets } from "../socket/SocketBudget.ts"
import type { EndpointStream, EndpointTransport } from "./EndpointStream.ts"
import { HeldStream } from "./HeldStream.ts"
import type { Places } from "./Places.ts"
import { askVersion, type ProgramVersion, type VersionAnswer } from "./ProgramVersion.ts"

export interface AutoEndpointOptions {
  readonly place: ProgramPlace
  readonly ticker: Ticker
  /** For a call that brings no limit of its own, ms. */
  readonly connectTimeout: number
  /** For requests that wait for the answer. */
  readonly places: Places
  readonly sockets?: SocketLane | undefined
  readonly onDefect?: OnDefect | undefined
  /** Of each version, for as long as the program speaks it. */
  readonly make: (version: ProgramVersion) => EndpointTransport
  readonly fault: (code: Fault["code"], what: string) => Fault
}

/** A program that has no connection left may have been replaced; it is asked no more often, ms. */
const askAgainAfter = 10_000
/** One that did not answer is asked again after so long, ms; doubles while it does not. */
const askSoon = 1_000
/** It may be starting, or collecting garbage: so long its answer is of use, ms. Nobody waits for that. */
const askPatience = 5_000
/** One that does not answer so often is not believed to be what it was. */
const mostSilences = 3

export class AutoEndpoint implements EndpointTransport {
  readonly #options: AutoEndpointOptions
  readonly #sockets: SocketLane
  readonly #made = new Map<ProgramVersion, EndpointTransport>()
  #known: ProgramVersion | undefined = undefined
  /** It has said so itself; else it is asked again, while requests go by what is known. */
  #sure = false
  #silences = 0
  #askedAt = Number.NEGATIVE_INFINITY
  #answeredAt = Number.NEGATIVE_INFINITY
  #asking = false
  /** Requests wait for the answer. */
  #deciding = false
  readonly #waiting = new Set<HeldStream>()
  #retired = false

  constructor(options: AutoEndpointOptions) {
    this.#options = options
    this.#sockets = options.sockets ?? unlimitedSockets()
  }

  get connections(): number {
    return this.#sum("connections") + (this.#asking ? 1 : 0)
  }

  get waiting(): number {
    return this.#sum("waiting") + this.#waiting.size
  }

  open(call: Call, fields: Fields, receiver: ResponseReceiver): EndpointStream {
    const { connectTimeout, fault, onDefect, places, ticker } = this.#options
    const now = ticker.now()
    if (this.#known !== undefined && !this.#deciding && !this.#mayBeAnother(now)) {
      if (!this.#sure && now - this.#answeredAt >= this.#pause) this.#ask(now)
      return this.#transport(this.#known).open(call, fields, receiver)
    }
    if (!places.take()) {
      const what = `has ${places.most} requests that wait to know which HTTP it speaks, which is the limit`
      return refuse(receiver, fault("overflow", what), onDefect)
    }
    const limit = call.connectTimeout ?? connectTimeout
    const timed = { ...call, connectTimeout: limit }
    const held = new HeldStream(timed, now, fields, receiver, () => this.#leave(held))
    this.#waiting.add(held)
    held.waiting.timer = ticker.after(limit, () => {
      this.#leave(held)
      held.waiting.fail(
        fault("upstream_connect", `could not be connected to: no connection within ${limit} ms`)
      )
    })
    this.#decide(now)
    return held
  }

  retire(): void {
    this.#retired = true
    for (const transport of this.#made.values()) transport.retire()
  }

  #leave(held: HeldStream): void {
    if (this.#waiting.delete(held)) this.#options.places.give()
  }

  /** Half of a request's time is left for its own connection where there is no answer. */
  #decide(now: number): void {
    if (this.#deciding) return
    const { connectTimeout, onDefect = uncontained, ticker } = this.#options
    this.#deciding = true
    this.#askedAt = now
    ticker.after(connectTimeout / 2, () => {
      if (!this.#deciding || this.#askedAt !== now) return
      contain(onDefect, "the question which HTTP a program speaks", () => this.#goByGuess())
    })
    this.#ask(now)
  }

  #ask(now: number): void {
    if (this.#asking) return
    this.#askedAt = now
    const { onDefect = uncontained, place, ticker } = this.#options
    // Without room for the question the request would have none either, and is told so as any.
    if (!this.#sockets.take()) {
      queueMicrotask(() => {
        if (this.#deciding) this.#goByGuess()
      })
      return
    }
    this.#asking = true
    askVersion({
      ...{ place, ticker, timeout: askPatience },
      onAnswer: (answer) => {
        this.#asking = false
        this.#answeredAt = ticker.now()
        this.#sockets.give()
        contain(onDefect, "the question which HTTP a program speaks", () => this.#learn(answer))
      }
    })
  }

  #learn(answer: VersionAnswer): void {
    const isSilent = answer === "silent"
    this.#silences = isSilent ? this.#silences + 1 : 0
    this.#sure = !isSilent
    if (!isSilent) this.#go(answer)
    else this.#go((this.#silences < mostSilences ? this.#known : undefined) ?? "http")
  }

  /** What it was, or HTTP/1.1: what most are that say nothing. */
  #goByGuess(): void {
    this.#sure = false
    this.#go(this.#known ?? "http")
  }

  /** Undefined: it could not be asked. By HTTP/1.1 it shows what is in the way; the next call asks again. */
  #go(version: ProgramVersion | undefined): void {
    const { fault, ticker } = this.#options
    const spoken = version ?? "http"
    const before = this.#known
    this.#known = version
    this.#deciding = false
    if (before !== undefined && before !== spoken) {
      this.#made.get(before)?.retire()
      this.#made.delete(before)
    }
    const transport = this.#transport(spoken)
    for (const held of [...this.#waiting]) {
      this.#leave(held)
      held.begin(transport, ticker.now(), (error) =>
        fault("upstream_reset", `was not called: ${String(error)}`)
      )
    }
  }

  get #pause(): number {
    return Math.min(askAgainAfter, askSoon * 2 ** Math.max(0, this.#silences - 1))
  }

  #mayBeAnother(now: number): boolean {
    return this.#sum("connections") === 0 && now - this.#askedAt >= askAgainAfter
  }

  #transport(version: ProgramVersion): EndpointTransport {
    const known = this.#made.get(version)
    if (known !== undefined) return known
    const made = this.#options.make(version)
    this.#made.set(version, made)
    if (this.#retired) made.retire()
    return made
  }

  #sum(what: "connections" | "waiting"): number {
    let sum = 0
    for (const transport of this.#made.values()) sum += transport[what]
    return sum
  }
}
