/**
 * A request's body on its way to the attempt under way, and the copy of it that is kept so that
 * the next attempt can be given it again. The copy is bounded by the policy's bodyLimit: a body
 * that outgrows it can no longer be repeated. What arrives while no attempt takes it is kept even
 * beyond the limit, but the caller is held back then, so that is at most two chunks.
 *
 * An attempt that reached nobody is another matter: nothing was sent, whatever the size. So the copy
 * is let go only when it is larger by what a link takes in before anybody reads at its other end
 * (LinkOptions.ts: the first window, what waits for credit, and one chunk): then somebody does.
 */
import { type Fields, noFields, type RequestStream } from "../../model/Exchange.ts"
import { keep } from "../../model/Loan.ts"

/** Bytes. */
const unread = 256 * 1024

export class RequestBody {
  readonly #limit: number
  /** Bytes to keep for an attempt that follows one which reached nobody. */
  readonly #most: number
  /** All of it so far, as long as nothing is lost; otherwise what is still to be sent. */
  #chunks: Array<Uint8Array> = []
  /** Bytes in #chunks. */
  #kept = 0
  /** Index of the first chunk the attempt has not been given. */
  #next = 0
  /** Chunks stay after they were sent. */
  #keep = true
  #lost = false
  /** More than #limit was given to an attempt. */
  #outgrown = false
  #trailers: Fields = noFields
  #ended = false
  #endSent = false
  #target: RequestStream | undefined = undefined
  #targetFull = false
  #callerHeld = false
  /** Bytes received from the caller. */
  received = 0

  /** Bytes to keep; undefined: there will be one attempt alone, and nothing is kept. */
  constructor(limit: number | undefined) {
    this.#limit = limit ?? 0
    this.#most = limit === undefined ? 0 : limit + unread
  }

  /** Within the limit, and nothing was lost: another attempt would get all of it. */
  get repeatable(): boolean {
    return !this.#lost && !this.#outgrown
  }

  /** The same after an attempt that reached nobody. */
  get resendable(): boolean {
    return !this.#lost
  }

  /** All of it, its end included, is with the attempt. */
  get sent(): boolean {
    return this.#endSent
  }

  /** The caller has sent its last byte. */
  get ended(): boolean {
    return this.#ended
  }

  /** The attempt has all that has come, takes more, and more is to come: it waits for the caller. */
  get awaited(): boolean {
    return !this.#ended && this.#flowing
  }

  /** From now on there is no other attempt: what is sent need not be kept. */
  release(): void {
    this.#keep = false
    if (this.#next === this.#chunks.length) this.#drop()
  }

  /** A new attempt: sends it everything received so far, as fast as it takes it. */
  sendTo(target: RequestStream): void {
    this.#target = target
    this.#targetFull = false
    this.#next = 0
    this.#endSent = false
    this.#pump()
  }

  /** The attempt is over; the next one may follow. */
  detach(): void {
    this.#target = undefined
  }

  /** From the caller. False: wait until `callerMayGoOn` was true. */
  write(chunk: Uint8Array): boolean {
    if (chunk.length === 0) return !this.#callerHeld
    this.received += chunk.length
    if (this.#flowing && (!this.#keep || this.#kept + chunk.length > this.#most)) {
      this.#keep = false
      this.#drop()
      this.#lost = true
      this.#pass(chunk)
    } else {
      keep(chunk)
      this.#chunks.push(chunk)
      this.#kept += chunk.length
      if (this.#kept > this.#most) this.#keep = false
      if (!this.#targetFull) this.#pump()
    }
    this.#callerHeld = !this.#flowing
    return !this.#callerHeld
  }

  /** From the caller. */
  end(trailers: Fields): void {
    this.#ended = true
    this.#trailers = trailers
    this.#pump()
  }

  /** What is here goes out, whether or not the attempt asks for it: at most one chunk (rule 5). */
  flush(): void {
    this.#targetFull = false
    this.#pump()
  }

  /** The attempt takes more again. */
  writable(): void {
    this.#targetFull = false
    this.#pump()
  }

  /** True once after the caller was held back and need not be any longer. */
  callerMayGoOn(): boolean {
    if (!this.#callerHeld || !this.#flowing) return false
    this.#callerHeld = false
    return true
  }

  /** What the caller writes next goes straight to the attempt. */
  get #flowing(): boolean {
    return this.#target !== undefined && !this.#targetFull && this.#next === this.#chunks.length
  }

  #pump(): void {
    const target = this.#target
    if (target === undefined) return
    while (!this.#targetFull && this.#next < this.#chunks.length) {
      this.#pass(this.#chunks[this.#next++]!)
      // The write may have failed the attempt and started another, which was pumped in turn.
      if (this.#target !== target) return
    }
    if (this.#next < this.#chunks.length) return
    if (this.#kept > this.#limit) this.#outgrown = true
    if (!this.#keep) this.#drop()
    if (this.#ended && !this.#endSent) {
      this.#endSent = true
      target.end(this.#trailers)
    }
  }

  #pass(chunk: Uint8Array): void {
    const target = this.#target
    if (target?.write(chunk) === false && this.#target === target) this.#targetFull = true
  }

  #drop(): void {
    if (this.#chunks.length === 0) return
    this.#chunks = []
    this.#kept = 0
    this.#next = 0
    this.#lost = true
  }
}
