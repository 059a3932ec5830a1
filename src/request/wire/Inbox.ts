/**
 * What came for one exchange and its reader has not taken. Bytes pass straight through while the
 * reader keeps up; while it does not they are held here, and their credit is held back with them.
 */
import type { Fields } from "../../model/Exchange.ts"
import { type GrowthBudget, ReceiveWindow, type WindowSizes } from "./ReceiveWindow.ts"

/** Where an inbox passes things on, and whom it pays for them. */
export interface InboxOwner {
  /** False: hold further data until `resume`. */
  deliver(chunk: Uint8Array): boolean
  deliverEnd(trailers: Fields): void
  /** In place of the end: all that came before the break has been delivered. */
  deliverBreak(): void
  /** `bytes` left the inbox; `grant` of credit is now due to the exchange (0: none). */
  passed(bytes: number, grant: number): void
}

/** Held chunks up to this size are merged: many tiny frames must not cost a thousandfold. */
const mergeSize = 4 * 1024

export class Inbox {
  readonly #owner: InboxOwner
  readonly #window: ReceiveWindow
  #held: Array<Uint8Array> = []
  /** Index of the first held chunk that was not passed on. */
  #next = 0
  #trailers: Fields | undefined = undefined
  #broken = false
  #halted = false
  /** Guards against a reader that resumes from within `deliver`. */
  #delivering = false
  #freed = false

  constructor(sizes: WindowSizes, budget: GrowthBudget, owner: InboxOwner) {
    this.#window = new ReceiveWindow(sizes, budget)
    this.#owner = owner
  }

  /** False: the peer has exceeded its credit. */
  receive(chunk: Uint8Array): boolean {
    if (!this.#window.receive(chunk.length)) return false
    if (this.#halted || this.#delivering) {
      this.#hold(chunk)
    } else {
      this.#pass(chunk)
      this.#pump()
    }
    return true
  }

  end(trailers: Fields): void {
    this.#trailers = trailers
    this.#pump()
  }

  /** Nothing more comes; the break follows what is held, and the end if there was one. */
  break(): void {
    this.#broken = true
    this.#pump()
  }

  resume(): void {
    this.#halted = false
    this.#pump()
  }

  /** Nothing is delivered any more. Returns the bytes that were held: the link's to credit. */
  free(): number {
    if (this.#freed) return 0
    this.#freed = true
    this.#held = []
    this.#next = 0
    this.#trailers = undefined
    this.#broken = false
    this.#window.free()
    return this.#window.held
  }

  #pump(): void {
    if (this.#delivering) return
    while (!this.#halted && this.#next < this.#held.length) this.#pass(this.#held[this.#next++]!)
    if (this.#halted || this.#freed) return
    this.#held = []
    this.#next = 0
    const trailers = this.#trailers
    if (trailers !== undefined) {
      this.#trailers = undefined
      this.#owner.deliverEnd(trailers)
    }
    if (!this.#broken) return
    this.#broken = false
    this.#owner.deliverBreak()
  }

  #pass(chunk: Uint8Array): void {
    this.#delivering = true
    // A reader that answers false and resumes before it returns has the last word with resume.
    this.#halted = true
    let more = true
    try {
      more = this.#owner.deliver(chunk)
    } finally {
      this.#delivering = false
    }
    if (this.#freed) return
    if (more) this.#halted = false
    this.#owner.passed(chunk.length, this.#window.pass(chunk.length))
  }

  #hold(chunk: Uint8Array): void {
    const last = this.#held.length - 1
    const previous = last >= this.#next ? this.#held[last] : undefined
    if (previous !== undefined && previous.length + chunk.length <= mergeSize) {
      this.#held[last] = Buffer.concat([previous, chunk])
    } else {
      // A small chunk is a view of a large read; holding it would hold all of that.
      this.#held.push(chunk.length <= mergeSize ? Buffer.from(chunk) : chunk)
    }
  }
}
