/**
 * How a peer is told that it may open no more streams (RFC 9113 §6.8): first that so it will be, with a ping,
 * then, when the ping is answered, which stream was the last.
 */
import { goawayFrame } from "./ControlFrames.ts"
import { Http2Code } from "./Http2Error.ts"
import { FrameType, frame, lastStream } from "./Http2Frame.ts"

/** What the ping says by which a peer lets us know that it has read our goaway. */
const drainPing = Buffer.of(0x67, 0x6f, 0x61, 0x77, 0x61, 0x79, 0x2e, 0x2e)

export class DrainNotice {
  readonly #answer: (frame: Buffer) => void
  #state: "none" | "announced" | "said" = "none"

  /** `answer`: to be written. */
  constructor(answer: (frame: Buffer) => void) {
    this.#answer = answer
  }

  get isSaid(): boolean {
    return this.#state === "said"
  }

  announce(): void {
    if (this.#state !== "none") return
    this.#state = "announced"
    this.#answer(goawayFrame(lastStream, Http2Code.none, ""))
    this.#answer(frame(FrameType.ping, 0, 0, drainPing))
  }

  /** Of the ping that followed the announcement. */
  isAnswer(payload: Buffer): boolean {
    return this.#state === "announced" && payload.equals(drainPing)
  }

  /** False: it was not announced, or is said already. */
  say(last: number): boolean {
    if (this.#state !== "announced") return false
    this.#state = "said"
    this.#answer(goawayFrame(last, Http2Code.none, ""))
    return true
  }
}
