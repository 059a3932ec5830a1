/**
 * Handshakes of callers, a few at a time. A handshake is the dearest thing a peer can ask of this
 * node; when many ask at once, doing all of them means finishing none in time, and each that was not
 * finished comes again. So those beyond a few wait in line, and who would wait too long is told when
 * to come back, before there was any cryptography: what is refused costs next to nothing.
 *
 * Who calls from an address (of IPv6: a network of 64 bits) from which a member was let in before goes first; of
 * either kind, who came first. Nobody knows yet who calls, so this is no right, only an order.
 *
 * Who makes handshakes that are wrong again and again (FailedCallers.ts) is told to come back as well, whoever
 * else is there. So are strangers whose handshakes come to nothing otherwise; members are slow, too, and what comes
 * from where they are has more room.
 *
 * To say so costs this thread half of what a handshake does, so the threads that have the sockets are asked to say it
 * to all others from there for a while.
 *
 * Members that resume a connection (Resumption.ts) wait in no line. But anybody may ask for it and be silent, and
 * each that is has one of the places that the host has for callers: so many are waited for, and no more.
 *
 * What is bounded is work. Who is slow to speak does none here, so after a while it no longer counts,
 * and a few that connect and say nothing keep nobody out.
 */
import { hostGroup } from "../../model/HostGroup.ts"
import { Rate } from "../../model/Rate.ts"
import type { Away } from "../../model/Relay.ts"
import type { Ticker } from "../../model/Time.ts"
import { BoundedCache } from "./BoundedCache.ts"
import { FailedCallers, type FailureLimits } from "./FailedCallers.ts"
import { type GateLimits, HandshakeLine } from "./HandshakeLine.ts"

/** Places from which members were let in. */
const maxKnown = 4_096

/** Connections that are resumed a second, and at once: beyond it they wait in line as handshakes do. */
const resumedPerSecond = 100
/** Of one peer a second… */
const resumedOfPeer = 1
/** …and at once: whoever loses and makes connections in a loop leaves others their part. */
const resumedOfPeerAtOnce = 8
/** Peers that have resumed lately. */
const maxResuming = 4_096

/** Callers that have asked to resume and have not said what yet, from where nobody was let in… */
const maxUnsaidOfStrangers = 64
/** …and from anywhere. With those in line that leaves many of the 512 places that a host has for callers (MeshHost.ts). */
const maxUnsaid = 192
/**
 * For so long whoever is beyond that is sent away, ms: a third of the time in which all of those that are silent are
 * gone (ResumptionEncrypter.ts). It comes again with a whole handshake, for which there is a line.
 */
const unsaidPause = 500

/** Come back in so many ms. */
export class Busy extends Error {
  override readonly name = "Busy"
  readonly retryAfter: number
  /** How long others from the caller's address need not be handed over, to hear the same. */
  readonly away: Away

  constructor(retryAfter: number, away: Away) {
    super(`busy with other handshakes; to be tried again in ${Math.ceil(retryAfter)} ms`)
    this.retryAfter = retryAfter
    this.away = away
  }
}

/**
 * What became of it: a connection of a member; nothing, as of whoever hangs up, is slow, or is refused by right; or
 * what no member sends.
 */
export type Outcome = "let in" | "nothing" | "wrong"

/** Answers for how long whoever comes from there is to be turned away; undefined: it is not. */
export type Leave = (outcome: Outcome) => Away | undefined

/**
 * Of an address from which a member was let in, what merely comes to nothing: hosts that are slow or restart come
 * to less by far, and who is beyond it is kept out for the moment and no longer.
 */
const fromKnown: FailureLimits = { atOnce: 64, perSecond: 8 }

export class HandshakeGate {
  readonly #known = new BoundedCache<true>(maxKnown)
  readonly #failed = new FailedCallers()
  readonly #failedOfKnown = new FailedCallers(fromKnown)
  readonly #now: () => number
  readonly #onTurnedAway: (address: string) => void
  readonly #line: HandshakeLine
  readonly #resumed = new Rate(resumedPerSecond, resumedPerSecond)
  readonly #resumedOf = new BoundedCache<Rate>(maxResuming)
  #unsaid = 0
  #unsaidOfStrangers = 0
  #unheard = 0

  /** `onTurnedAway` hears of each failure by which an address is turned away, or longer. */
  constructor(
    ticker: Pick<Ticker, "after" | "now">,
    limits: Partial<GateLimits> = {},
    onTurnedAway: (address: string) => void = () => undefined
  ) {
    this.#onTurnedAway = onTurnedAway
    this.#now = () => ticker.now()
    this.#line = new HandshakeLine(
      { now: () => ticker.now(), after: (delay, run) => ticker.after(delay, run) },
      limits
    )
  }

  /** Told to come back. */
  get refused(): number {
    return this.#line.refused + this.#unheard
  }

  get running(): number {
    return this.#line.running
  }

  get waiting(): number {
    return this.#line.waiting
  }

  /**
   * Done when the caller's turn has come; rejects with `Busy`, or with the signal's reason. `address`:
   * the host it calls from.
   */
  enter(address: string, signal: AbortSignal): Promise<Leave> {
    const turnedAway = this.#failed.turnedAway(address, this.#now())
    if (turnedAway > 0) {
      return Promise.reject(new Busy(turnedAway, { ms: turnedAway, onProbation: true }))
    }
    const place = hostGroup(address)
    const known = this.#known.get(place) !== undefined
    return new Promise((resolve, reject) => {
      const onAbort = () => {
        withdraw()
        reject(signal.reason)
      }
      signal.addEventListener("abort", onAbort, { once: true })
      const over = () => signal.removeEventListener("abort", onAbort)
      const withdraw = this.#line.enter({
        known,
        begin: (leave) => {
          over()
          resolve((outcome) => {
            if (outcome === "let in") this.#letIn(place, address)
            leave()
            return outcome === "let in" ? undefined : this.#failure(outcome, address, known)
          })
        },
        refuse: (retryAfter) => {
          over()
          // What is in line by then keeps this thread busy for longer than that.
          reject(new Busy(retryAfter, { ms: retryAfter / 2, onProbation: false }))
        }
      })
    })
  }

  /**
   * Somebody from there has asked to resume a connection and is to say which. What it returns is to be called when it
   * has, or does not; throws `Busy`.
   */
  awaitOffer(address: string): () => void {
    const stranger = this.#known.get(hostGroup(address)) === undefined
    if (
      this.#unsaid >= maxUnsaid ||
      (stranger && this.#unsaidOfStrangers >= maxUnsaidOfStrangers)
    ) {
      this.#unheard++
      throw new Busy(unsaidPause, { ms: unsaidPause / 2, onProbation: false })
    }
    const count = (by: 1 | -1) => {
      this.#unsaid += by
      if (stranger) this.#unsaidOfStrangers += by
    }
    count(1)
    let over = false
    return () => {
      if (!over) count(-1)
      over = true
    }
  }

  /** One that resumes a connection needs no place in line, while there are not too many: it costs a fraction. */
  takesResumed(peer: string): boolean {
    const ofPeer = this.#resumedOf.get(peer) ?? new Rate(resumedOfPeer, resumedOfPeerAtOnce)
    this.#resumedOf.set(peer, ofPeer)
    const now = this.#now()
    return ofPeer.take(now) === 0 && this.#resumed.take(now) === 0
  }

  /** A member is let in that has resumed its connection. */
  resumedFrom(address: string): void {
    this.#letIn(hostGroup(address), address)
  }

  /** Somebody from there did not even say what it asks for. For how long it is to be turned away. */
  cameToNothing(address: string): Away | undefined {
    return this.#failure("nothing", address, this.#known.get(hostGroup(address)) !== undefined)
  }

  #letIn(place: string, address: string): void {
    this.#known.set(place, true)
    this.#failed.succeeded(address, this.#now())
  }

  #failure(outcome: Outcome, address: string, known: boolean): Away | undefined {
    const onProbation = outcome === "wrong" || !known
    const failed = onProbation ? this.#failed : this.#failedOfKnown
    const ms = failed.failed(address, this.#now())
    if (ms === 0) return undefined
    if (onProbation) this.#onTurnedAway(address)
    return { ms, onProbation }
  }
}
