/**
 * Tells when a program's links to its node are lost though the node is there, and when they are back: who was found
 * silent, because its event loop stood still, would not know otherwise.
 */
import type { Log } from "../model/Log.ts"
import type { Ticker } from "../model/Time.ts"
import type { Timer } from "../model/TimerWheel.ts"
import { LoopStall } from "./LoopStall.ts"

/** They may be back by then, ms; and when a node ends, its connection has ended, of which others tell. */
const patience = 250
/** A loop that has run again for longer than this has not lost the links, ms. */
const justNow = 5_000

export interface LinkNewsOptions {
  readonly ticker: Ticker
  readonly log: Log
  /** Name of the node. */
  readonly node: () => string
  /** The node is there. */
  readonly isAttached: () => boolean
}

export class LinkNews {
  readonly #options: LinkNewsOptions
  readonly #stall: LoopStall
  #timer: Timer | undefined
  /** Why they were lost; undefined: they are all there. */
  #why: string | undefined
  #isTold = false

  constructor(options: LinkNewsOptions) {
    this.#options = options
    this.#stall = new LoopStall(options.ticker)
  }

  broken(why: string): void {
    if (this.#why !== undefined) return
    this.#why = why
    this.#timer = this.#options.ticker.after(patience, () => this.#tell())
  }

  /** Each thread of the node has its links again, or they are another's concern. */
  whole(): void {
    if (this.#isTold) {
      this.#options.log("info", `the node ${this.#options.node()} reaches this program again`)
    } else if (this.#why !== undefined) this.#tell("; they are made again")
    this.forget()
  }

  forget(): void {
    this.#timer?.cancel()
    this.#why = undefined
    this.#isTold = false
  }

  stop(): void {
    this.forget()
    this.#stall.stop()
  }

  #tell(then = ""): void {
    const { isAttached, log, node } = this.#options
    if (!isAttached()) return
    this.#isTold = then === ""
    const stall = this.#stall.within(justNow)
    const cause =
      stall === undefined
        ? ""
        : `: the event loop of this program stood still for ${Math.round(stall)} ms or more, and a program that is silent for 2.5 s is called no more`
    log(
      "warning",
      `links of this program to the node ${node()} were lost (${this.#why})${cause}${then}`
    )
  }
}
