/**
 * What a peer may have us do that carries no message: frames that are only answered, and streams that are
 * given up. Beyond it the connection ends (CVE-2019-9512 to 9518, CVE-2023-44487). Messages earn more.
 */
import { Allowance } from "./Allowance.ts"
import { Http2Error } from "./Http2Error.ts"
import type { Http2Limits } from "./Http2Limits.ts"

export class FloodGuard {
  readonly #control: Allowance
  readonly #resets: Allowance
  readonly #now: () => number

  /** `now` in milliseconds. */
  constructor({ control, resets }: Pick<Http2Limits, "control" | "resets">, now: () => number) {
    this.#control = new Allowance(control)
    this.#resets = new Allowance(resets)
    this.#now = now
  }

  /** A frame that carries nothing of a message. */
  spend(what: string): void {
    if (this.#control.take(this.#now())) return
    throw new Http2Error("h2_control_flood", `${what} come too often`)
  }

  /** A stream that was given up before it was answered, or was refused. */
  spendReset(): void {
    if (this.#resets.take(this.#now())) return
    throw new Http2Error("h2_reset_flood", "streams are given up or refused too often")
  }

  /** Something of a message has come or gone: so many more frames are in order. */
  earn(frames: number): void {
    this.#control.earn(frames)
  }
}
