/**
 * One message on its way to wherever its actor is: here, or at another host. Who is not the owner (any more)
 * says so before anything is done, and then it is looked for again, until the deadline. What may have been
 * done is sent again only when it may be done twice.
 */
import type { Caller } from "../model/Caller.ts"
import type { Fault } from "../model/Fault.ts"
import type { ActorAddress } from "./ActorAddress.ts"
import { ActorUnavailable } from "./ActorError.ts"
import { type ActorHost, defaultDeadline } from "./ActorHost.ts"
import { type ActorFailure, deliverHere, type HereOptions, type Outgoing } from "./Actors.ts"
import { cycleOf, lateText } from "./CallChain.ts"
import { faultOf, type SentNews } from "./RemoteMessage.ts"
import type { TypeHosts } from "./TypeHosts.ts"
import { UnderWay } from "./UnderWay.ts"

export interface RouteOptions {
  readonly hosts: TypeHosts
  /** For whom messages speak that do not say so: here as elsewhere, so that keys are that caller's. */
  readonly self: Caller
  /** What runs the type in this program, with the key of its endpoint. */
  readonly here: () => { readonly host: ActorHost; readonly key: string } | undefined
  /** Returns how to cancel it. */
  readonly remote: (
    owner: string,
    address: ActorAddress,
    message: Outgoing,
    left: number | undefined,
    news: SentNews
  ) => () => void
  readonly after: (millis: number, then: () => void) => () => void
  /** Milliseconds. */
  readonly now: () => number
}

/** Milliseconds before the second look, doubled for each further one. */
const firstPause = 5
const longestPause = 250

/** Nothing was done, and the same call may fare better soon. */
const passes: ReadonlySet<Fault["code"]> = new Set([
  "draining",
  "no_healthy_endpoint",
  "overflow",
  "route_not_found",
  "upstream_connect",
  "upstream_reset",
  "upstream_timeout"
])

export class RoutedMessage implements HereOptions, SentNews {
  readonly #options: RouteOptions
  readonly #address: ActorAddress
  readonly #message: Outgoing
  readonly #until: number
  #tries = 0
  /** It was just where a host had said that it is. */
  #wasSent = false
  #over = false
  /** Of actors that wait for each other, which it was last known to wait for. */
  #circle: string | undefined
  /** It is asked somewhere, or waits to be looked for again. */
  readonly #underWay = new UnderWay()

  constructor(options: RouteOptions, address: ActorAddress, message: Outgoing) {
    this.#options = options
    this.#address = address
    this.#message = message
    this.#until = options.now() + (message.deadline ?? defaultDeadline)
  }

  cancel(): void {
    this.#over = true
    this.#underWay.stop()
  }

  /** `hint`: where it is, as who had it says. */
  look(hint?: string): void {
    if (this.#over) return
    const { here, hosts } = this.#options
    const owner =
      hint !== undefined && hosts.isThere(hint) ? hint : hosts.owner(this.#address.shardId)
    const own = here()
    if (owner === undefined) this.#later("has no host", undefined)
    else {
      this.#underWay.begin(() => (owner === own?.key ? this.#here(own.host) : this.#there(owner)))
    }
  }

  #here(host: ActorHost): () => void {
    return deliverHere(host, this.#address, this.#message, this)
  }

  get left(): number | undefined {
    const isLimited = this.#message.deadline !== undefined
    return isLimited ? Math.max(1, this.#until - this.#options.now()) : undefined
  }

  get self(): Caller {
    return this.#options.self
  }

  moved(owner: string | undefined): void {
    this.#later("moves", owner)
  }

  #there(owner: string): () => void {
    const { now, remote } = this.#options
    const { deadline } = this.#message
    const left = deadline === undefined ? undefined : this.#until - now()
    return remote(owner, this.#address, this.#message, left, this)
  }

  ended(exit: Parameters<SentNews["ended"]>[0]): void {
    if (this.#over) return
    const { replies } = this.#message
    if (exit._tag === "Failure") {
      // What its Schemas do not take.
      replies.exit(exit)
      return
    }
    const refusal = exit.value
    if (refusal === undefined) return
    switch (refusal._tag) {
      case "Moved":
        this.#later("moves", refusal.owner)
        return
      case "Fault":
        this.#faulted(refusal.fault)
        return
      default:
        replies.fail(refusal)
    }
  }

  inCircle(circle: string | undefined): void {
    if (this.#over) return
    this.#circle = circle
    this.#message.replies.circle?.(circle)
  }

  #faulted(fault: Fault): void {
    const { isIdempotent, key, replies } = this.#message
    const mayRepeat = !fault.sent || isIdempotent || key !== undefined
    if (mayRepeat && passes.has(fault.code)) this.#later(fault.message, undefined, fault)
    else replies.fail(this.#failureOf(fault))
  }

  /** An actor that waits for itself is told so, and not that its host took too long. */
  #failureOf(fault: Fault): ActorFailure {
    const { chain, circle: known } = this.#message
    const circle = this.#circle ?? known?.()
    const isLate = fault.code === "upstream_timeout"
    const isCircle = circle !== undefined || cycleOf(chain, this.#address) !== undefined
    if (!isLate || !isCircle) return faultOf(fault)
    const what = lateText(chain, this.#address, circle)
    return ActorUnavailable.of("deadline", this.#address, what, { sent: fault.sent })
  }

  /** Looks again, at once where it is said to be, or when something has changed, or after a pause. */
  #later(why: string, hint: string | undefined, fault?: Fault): void {
    if (this.#over) return
    const { after, hosts, now } = this.#options
    const isNews = hint !== undefined && hint !== hosts.owner(this.#address.shardId)
    // One that was sent elsewhere, and from there again, waits: the hosts do not agree yet.
    this.#wasSent = isNews && !this.#wasSent
    if (this.#wasSent) {
      this.look(hint)
      return
    }
    const tries = this.#tries++
    const pause = Math.min(longestPause, firstPause * 2 ** Math.min(tries, 10))
    const left = this.#until - now()
    if (left <= 0) {
      this.#fail(why, fault)
      return
    }
    this.#underWay.begin(() => {
      const again = (): void => {
        stop()
        this.look()
      }
      const stopWaiting = hosts.onChange(again)
      const stopTimer = after(Math.min(pause, left), again)
      const stop = (): void => {
        stopWaiting()
        stopTimer()
      }
      return stop
    })
  }

  #fail(why: string, fault: Fault | undefined): void {
    this.#over = true
    const { hosts } = this.#options
    const { replies } = this.#message
    if (fault !== undefined) {
      replies.fail(this.#failureOf(fault))
      return
    }
    const code = hosts.placement.size === 0 ? "no_host" : "deadline"
    const what =
      code === "no_host"
        ? `is of a type that no host runs now: nobody offers ${hosts.service}`
        : `could not be asked in time: it ${why}`
    replies.fail(ActorUnavailable.of(code, this.#address, what))
  }
}
