/** One RPC as its caller has it: an exchange whose answer is read part by part, as it is wanted. */
import {
  type Call,
  type Dispatch,
  type Fields,
  fieldValue,
  noFields,
  type RequestStream,
  type ResponseHead,
  type ResponseReceiver
} from "../model/Exchange.ts"
import type { Fault } from "../model/Fault.ts"
import { keep } from "../model/Loan.ts"
import { rpcType } from "./RpcBody.ts"

export type AnswerPart =
  | { readonly kind: "data"; readonly chunks: ReadonlyArray<Uint8Array> }
  | { readonly kind: "end" }
  /** The mesh ended it. */
  | { readonly kind: "fault"; readonly fault: Fault }
  /** Whoever answers speaks no RPC. */
  | { readonly kind: "foreign"; readonly status: number; readonly fields: Fields }

/** Bytes that wait to be read; then `onData` answers false. */
const bufferedBytes = 64 * 1024

export class RpcExchange implements ResponseReceiver {
  readonly #call: Call
  readonly #onInfo: ((fields: Fields) => void) | undefined
  #stream: RequestStream | undefined
  #chunks: Array<Uint8Array> = []
  #buffered = 0
  /** `onData` has answered false, so one `resume` is due. */
  #paused = false
  #last: Exclude<AnswerPart, { readonly kind: "data" }> | undefined
  #reader: ((part: AnswerPart) => void) | undefined

  /** `onInfo`: told what comes before the answer, in interim heads. */
  constructor(call: Call, onInfo?: (fields: Fields) => void) {
    this.#call = call
    this.#onInfo = onInfo
  }

  start(dispatch: Dispatch, body: Uint8Array): void {
    const stream = dispatch(this.#call, this)
    this.#stream = stream
    if (body.length > 0) stream.write(body)
    stream.end(noFields)
  }

  /** What has come; once there is some, or no more. Returns how to stop waiting. */
  next(then: (part: AnswerPart) => void): () => void {
    this.#reader = then
    this.#wake()
    return () => {
      if (this.#reader === then) this.#reader = undefined
    }
  }

  /** Nobody wants it any more. */
  cancel(): void {
    if (this.#last === undefined) this.#giveUp({ kind: "end" })
  }

  #giveUp(last: Exclude<AnswerPart, { readonly kind: "data" }>): void {
    this.#end(last)
    const { service } = this.#call
    const message = "the program that called has given up"
    this.#stream?.cancel({ code: "client_gone", message, node: "", service, sent: true })
  }

  onInfo({ fields }: ResponseHead): void {
    if (this.#last === undefined) this.#onInfo?.(fields)
  }

  onHead(head: ResponseHead): void {
    if (fieldValue(head.fields, "content-type") === rpcType) return
    this.#giveUp({ kind: "foreign", status: head.status, fields: head.fields })
  }

  onData(chunk: Uint8Array): boolean {
    if (this.#last !== undefined || chunk.length === 0) return true
    keep(chunk)
    this.#chunks.push(chunk)
    this.#buffered += chunk.length
    this.#wake()
    this.#paused = this.#buffered >= bufferedBytes
    return !this.#paused
  }

  onEnd(): void {
    this.#end({ kind: "end" })
  }

  onFault(fault: Fault): void {
    this.#end({ kind: "fault", fault })
  }

  onWritable(): void {}

  #end(last: Exclude<AnswerPart, { readonly kind: "data" }>): void {
    this.#last ??= last
    this.#wake()
  }

  #wake(): void {
    const reader = this.#reader
    if (reader === undefined) return
    const part = this.#part()
    if (part === undefined) return
    this.#reader = undefined
    reader(part)
  }

  #part(): AnswerPart | undefined {
    const chunks = this.#chunks
    if (chunks.length === 0) return this.#last
    this.#chunks = []
    this.#buffered = 0
    if (this.#paused) {
      this.#paused = false
      queueMicrotask(() => this.#stream?.resume())
    }
    return { kind: "data", chunks }
  }
}
