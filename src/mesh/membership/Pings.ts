/**
 * Pings of other nodes, and answers to theirs: the only thing that an idle mesh does all the time.
 * So it is plain callbacks, on one stream to each peer that is made when first needed and gone with
 * its connection; nothing here starts a fiber or makes a promise but a new stream. Clocks are measured
 * on the way.
 */

import type { ByteChannel } from "../../model/ByteChannel.ts"
import type { PeerKey } from "../../model/Names.ts"
import type { Ticker } from "../../model/Time.ts"
import type { Timer } from "../../model/TimerWheel.ts"
import type { RpcTransport } from "../host/RpcTransport.ts"
import type { PingAnswer } from "./MembershipMessages.ts"
import type { PeerClocks } from "./PeerClocks.ts"
import { PingFrames, type PingReply } from "./PingFrames.ts"

export interface PingsOptions {
  readonly transport: RpcTransport
  readonly ticker: Pick<Ticker, "after" | "wall">
  readonly clocks: Pick<PeerClocks, "answered" | "now" | "told">
  /** Rejects when there is no connection and none is to be had now. */
  readonly connect: (peer: PeerKey) => Promise<void>
  readonly addressesOf: (peer: PeerKey) => ReadonlyArray<string>
}

/** Answers a ping of `from`, at once or later; never, when it cannot. */
export type AnswerPing = (
  from: PeerKey,
  accused: number | undefined,
  reply: (answer: PingAnswer) => void
) => void

type Done = (answer: PingAnswer | undefined) => void

type Late = (answer: PingAnswer) => void

/** An answer that is late is listened for so many times as long as it was waited for. */
const lateTimes = 2

const protocol = "/skein/ping/1"

/** For a connection and a stream, ms. What waits for them has its own time, which is shorter. */
const openTimeout = 5_000

/** Questions to one peer that wait for an answer: an observer has one, a helper a few. */
const mostWaiting = 32

interface Waiting {
  readonly askedAt: number
  readonly accused: number | undefined
  readonly done: Done
  /** Told of an answer that comes after `done` has heard of none. */
  readonly late: Late | undefined
  readonly timer: Timer
}

/** The way to one peer. */
interface Line {
  /** Undefined while it is being made. */
  frames: PingFrames | undefined
  readonly waiting: Map<number, Waiting>
}

export class Pings {
  readonly #options: PingsOptions
  readonly #lines = new Map<PeerKey, Line>()
  readonly #answering = new Set<PingFrames>()
  #last = 0
  #stopped = false

  constructor(options: PingsOptions) {
    this.#options = options
  }

  /**
   * Calls back once: with the answer, or with undefined when there is none within `timeout` ms. `late` is told of
   * one that comes after that: where all are late, silence for a moment says nothing of anybody.
   */
  ping(peer: PeerKey, accused: number | undefined, timeout: number, done: Done, late?: Late): void {
    const line = this.#lines.get(peer) ?? this.#open(peer)
    if (this.#stopped || line.waiting.size >= mostWaiting) {
      done(undefined)
      return
    }
    // u32 on the wire.
    this.#last = (this.#last + 1) >>> 0
    const id = this.#last
    const timer = this.#options.ticker.after(timeout, () => this.#expire(line, id, timeout))
    line.waiting.set(id, { askedAt: this.#options.clocks.now(), accused, done, late, timer })
    if (line.frames !== undefined) this.#ask(line.frames, id, accused)
  }

  /** Takes pings of others from now on. Returns how to stop. */
  async listen(answer: AnswerPing): Promise<() => Promise<void>> {
    const { clocks, ticker, transport } = this.#options
    const accept = (peer: PeerKey, channel: ByteChannel): void => {
      const frames = new PingFrames(channel, {
        onQuestion: ({ accused, clock, id }) => {
          clocks.told(peer, clock)
          answer(peer, accused, ({ alive, incarnation }) =>
            frames.answer({ id, clock: ticker.wall(), incarnation, alive })
          )
        },
        // Nothing was asked here.
        onReply: () => undefined,
        onClose: () => void this.#answering.delete(frames)
      })
      this.#answering.add(frames)
    }
    return transport.handle(protocol, accept)
  }

  /** Whoever waits hears that there is no answer. */
  stop(): void {
    this.#stopped = true
    for (const frames of [...this.#answering]) frames.close()
    for (const [peer, line] of [...this.#lines]) {
      line.frames?.close()
      this.#lost(peer, line)
    }
  }

  #ask(frames: PingFrames, id: number, accused: number | undefined): void {
    frames.ask({ id, clock: this.#options.ticker.wall(), accused })
  }

  #open(peer: PeerKey): Line {
    const line: Line = { frames: undefined, waiting: new Map() }
    if (this.#stopped) return line
    this.#lines.set(peer, line)
    this.#channelTo(peer).then(
      (channel) => this.#opened(peer, line, channel),
      () => this.#lost(peer, line)
    )
    return line
  }

  async #channelTo(peer: PeerKey): Promise<ByteChannel> {
    const { addressesOf, connect, transport } = this.#options
    await connect(peer)
    const limit = AbortSignal.timeout(openTimeout)
    return transport.open(peer, protocol, addressesOf(peer), limit)
  }

  #opened(peer: PeerKey, line: Line, channel: ByteChannel): void {
    const frames = new PingFrames(channel, {
      // Questions come on the peer's own stream.
      onQuestion: () => undefined,
      onReply: (reply) => this.#replied(peer, line, reply),
      onClose: () => this.#lost(peer, line)
    })
    line.frames = frames
    if (this.#stopped) frames.close()
    for (const [id, { accused }] of line.waiting) this.#ask(frames, id, accused)
  }

  #replied(peer: PeerKey, line: Line, { alive, clock, id, incarnation }: PingReply): void {
    const waiting = line.waiting.get(id)
    // It came too late, or twice.
    if (waiting === undefined) return
    this.#options.clocks.answered(peer, clock, waiting.askedAt)
    this.#end(line, id, { incarnation, alive })
  }

  #expire(line: Line, id: number, timeout: number): void {
    const waiting = line.waiting.get(id)
    if (waiting?.late === undefined) {
      this.#end(line, id, undefined)
      return
    }
    const { done, late } = waiting
    const timer = this.#options.ticker.after(lateTimes * timeout, () =>
      this.#end(line, id, undefined)
    )
    const listen: Done = (answer) => (answer === undefined ? undefined : late(answer))
    line.waiting.set(id, { ...waiting, done: listen, late: undefined, timer })
    done(undefined)
  }

  #end(line: Line, id: number, answer: PingAnswer | undefined): void {
    const waiting = line.waiting.get(id)
    if (waiting === undefined) return
    line.waiting.delete(id)
    waiting.timer.cancel()
    waiting.done(answer)
  }

  #lost(peer: PeerKey, line: Line): void {
    if (this.#lines.get(peer) === line) this.#lines.delete(peer)
    for (const id of [...line.waiting.keys()]) this.#end(line, id, undefined)
  }
}
