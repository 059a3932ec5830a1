/**
 * One call to a program that serves it in this thread: the request plane's callbacks on one side, a
 * body to read and an answer to give on the other. Each side holds what the other has not taken, and
 * says so when that is enough (Exchange.ts, rule 5). Once the program has switched to another protocol,
 * both are halves of a tunnel (rule 7).
 */
import { formatCaller } from "../model/Caller.ts"
import {
  type Call,
  type Fields,
  noBody,
  noFields,
  type RequestHead,
  type RequestStream,
  type ResponseHead,
  type ResponseReceiver
} from "../model/Exchange.ts"
import type { FaultCode } from "../model/Fault.ts"
import {
  asTunnel,
  endRequest,
  endResponse,
  isOver,
  isRequestEnded,
  isResponseEnded,
  isTunnel,
  openHalves
} from "../model/Halves.ts"
import { keep } from "../model/Loan.ts"

export type BodyPart =
  | { readonly kind: "data"; readonly chunks: ReadonlyArray<Uint8Array> }
  | { readonly kind: "end" }
  /** Nothing follows, and that was not all. */
  | { readonly kind: "broken"; readonly reason: string }

/** Bytes of a request that wait for the program to read them; then `write` answers false. */
const bufferedBytes = 64 * 1024

const goOn: ResponseHead = {
  status: 100,
  reason: "Continue",
  fields: noFields,
  framing: noBody,
  upgrade: undefined
}

export class ServedCall implements RequestStream {
  readonly call: Call
  readonly head: RequestHead
  readonly #node: string
  #receiver: ResponseReceiver | undefined
  /** Nobody waits for the answer any more. */
  readonly #onCancel: () => void
  readonly #onOver: (() => void) | undefined
  readonly #onSwitch: (() => void) | undefined
  #chunks: Array<Uint8Array> = []
  #buffered = 0
  /** Of a body with a length: bytes still to come. */
  #left: number
  #halves = openHalves(false)
  /** What follows the head is for the protocol it asks for, and nobody's if that is not spoken. */
  readonly #asksToSwitch: boolean
  /** `write` has answered false, so one `onWritable` is due. */
  #stalled = false
  #reader: ((part: BodyPart) => void) | undefined
  #writer: (() => void) | undefined
  #broken: (() => void) | undefined
  #leaving: (() => void) | undefined
  #isLeaving = false
  #answered = false
  /** Of an answer with a length: bytes still to be given; undefined: it ends where it ends. */
  #owed: number | undefined = undefined

  constructor(
    call: Call,
    head: RequestHead,
    receiver: ResponseReceiver,
    options: {
      readonly node: string
      readonly onCancel: () => void
      /** Once, however it ends: answered, failed or cancelled. */
      readonly onOver?: () => void
      /** It has been answered with a 101. */
      readonly onSwitch?: () => void
    }
  ) {
    this.call = call
    this.head = head
    this.#receiver = receiver
    this.#node = options.node
    this.#onCancel = options.onCancel
    this.#onOver = options.onOver
    this.#onSwitch = options.onSwitch
    this.#left = head.framing.kind === "length" ? head.framing.length : 0
    this.#asksToSwitch = head.upgrade !== undefined && head.framing.kind === "none"
  }

  get over(): boolean {
    return this.#receiver === undefined
  }

  /** The head of the answer is given. */
  get answered(): boolean {
    return this.#answered
  }

  /** It may be answered with a 101: its caller asks for another protocol, and has not ended its half. */
  get maySwitch(): boolean {
    return this.#asksToSwitch && !this.over && !this.#answered && !isRequestEnded(this.#halves)
  }

  /** A 101 was given: from now on there are bytes both ways, and each half ends on its own. */
  get switched(): boolean {
    return isTunnel(this.#halves)
  }

  /** What a program behind an address is told of a call in its head, as name and value. */
  get told(): Fields {
    const { attempt, deadline, identity } = this.call
    const told = ["skein-caller", formatCaller(identity)]
    if (deadline !== undefined)
      told.push("skein-deadline", String(Math.max(1, Math.floor(deadline))))
    if (attempt > 0) told.push("skein-attempt", String(attempt))
    return told
  }

  // ── The caller ──────────────────────────────────────────────────────────────────────────────

  write(chunk: Uint8Array): boolean {
    if (this.over || isRequestEnded(this.#halves) || chunk.length === 0) return !this.#stalled
    if (this.head.framing.kind !== "stream" && !this.#asksToSwitch) {
      this.#left -= chunk.length
      if (this.#left < 0) {
        queueMicrotask(() => this.fail("bad_request", "was sent more than the request's head says"))
        return true
      }
    }
    // The program may pass it on and keep it as well, and knows of no loans.
    keep(chunk)
    this.#chunks.push(chunk)
    this.#buffered += chunk.length
    this.#wakeReader()
    this.#stalled = this.#buffered >= bufferedBytes
    return !this.#stalled
  }

  end(): void {
    if (this.over || isRequestEnded(this.#halves)) return
    if (this.#left > 0) {
      queueMicrotask(() => this.fail("bad_request", "was sent less than the request's head says"))
      return
    }
    this.#halves = endRequest(this.#halves)
    this.#wakeReader()
    if (isOver(this.#halves)) this.#finish()
  }

  cancel(): void {
    if (this.#finish() === undefined) return
    this.#onCancel()
    this.#broken?.()
  }

  resume(): void {
    const writer = this.#writer
    this.#writer = undefined
    writer?.()
  }

  // ── The program ─────────────────────────────────────────────────────────────────────────────

  /**
   * What of the body has come, or of the tunnel; once there is some, or no more. Returns how to stop waiting.
   */
  read(then: (part: BodyPart) => void): () => void {
    this.#reader = then
    if (!this.#wakeReader() && this.head.expectsContinue && !this.#answered) {
      this.#receiver?.onInfo(goOn)
    }
    return () => {
      if (this.#reader === then) this.#reader = undefined
    }
  }

  /** `owes`: a body follows, of as many bytes as the head says, or as many as there are. */
  answer(head: ResponseHead, owes: boolean): void {
    if (this.#answered) return
    this.#answered = true
    this.#owed = !owes ? 0 : head.framing.kind === "length" ? head.framing.length : undefined
    this.#receiver?.onHead(head)
  }

  /** Something is to be known before the answer; nothing comes of it once that was begun. */
  info(head: ResponseHead): void {
    if (!this.#answered) this.#receiver?.onInfo(head)
  }

  /** Answers with a 101. To be asked only while it `maySwitch`. */
  switch(head: ResponseHead): void {
    this.#halves = asTunnel(this.#halves)
    this.answer(head, true)
    this.#onSwitch?.()
  }

  /** False: `room` says when there is more. It was taken, or is nobody's any more. */
  send(chunk: Uint8Array): boolean {
    if (this.#receiver === undefined || chunk.length === 0) return true
    if (isResponseEnded(this.#halves)) return true
    if (this.#owed !== undefined) {
      this.#owed -= chunk.length
      if (this.#owed < 0) {
        this.fail("upstream_reset", "answered with more than the head of its answer says")
        return true
      }
    }
    return this.#receiver.onData(chunk)
  }

  /** Once the caller takes more, or nobody takes anything. Returns how to stop waiting. */
  room(then: () => void): () => void {
    if (this.over) {
      then()
      return () => undefined
    }
    this.#writer = then
    return () => {
      if (this.#writer === then) this.#writer = undefined
    }
  }

  /** The answer is whole; of a tunnel: this half of it has ended. */
  finish(): void {
    if (this.over || isResponseEnded(this.#halves)) return
    if (this.#owed !== undefined && this.#owed > 0) {
      this.fail("upstream_reset", "answered with less than the head of its answer says")
      return
    }
    this.#halves = endResponse(this.#halves)
    const receiver = isOver(this.#halves) ? this.#finish() : this.#receiver
    receiver?.onEnd(noFields)
  }

  /** Nothing more comes of it. */
  fail(code: FaultCode, what: string): void {
    const { service } = this.call
    const message = `the program of ${service} ${what}`
    const receiver = this.#finish()
    if (receiver === undefined) return
    receiver.onFault({ code, message, node: this.#node, service, sent: true })
    this.#broken?.()
  }

  /** Calls back when it ends before its end: its caller has gone, or it has failed. */
  whenBroken(then: () => void): void {
    this.#broken = then
  }

  /** The program is about to end: what it has switched to, which may last for ever, is to end soon. */
  leave(): void {
    this.#isLeaving = true
    this.#leaving?.()
  }

  /** Calls back then; at once, if it is already. */
  whenLeaving(then: () => void): void {
    this.#leaving = then
    if (this.#isLeaving) then()
  }

  #finish(): ResponseReceiver | undefined {
    const receiver = this.#receiver
    this.#receiver = undefined
    this.resume()
    this.#wakeReader()
    if (receiver !== undefined) this.#onOver?.()
    return receiver
  }

  /** False: there is nothing to be said yet, or nobody to say it to. */
  #wakeReader(): boolean {
    const reader = this.#reader
    if (reader === undefined) return false
    const part = this.#part()
    if (part === undefined) return false
    this.#reader = undefined
    reader(part)
    return true
  }

  #part(): BodyPart | undefined {
    // Such a head has no body, and what is to come is not for whoever reads one.
    if (this.#asksToSwitch && !this.switched) return { kind: "end" }
    const chunks = this.#chunks
    if (chunks.length > 0) {
      this.#chunks = []
      this.#buffered = 0
      if (this.#stalled) {
        this.#stalled = false
        // Whoever reads is in the middle of something, and so may be who writes.
        queueMicrotask(() => this.#receiver?.onWritable())
      }
      return { kind: "data", chunks }
    }
    if (isRequestEnded(this.#halves)) return { kind: "end" }
    return this.over ? { kind: "broken", reason: "the call is over" } : undefined
  }
}
