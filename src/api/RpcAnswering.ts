/**
 * One RPC as its server has it: the request's body until it is whole, then the answer, message by
 * message. A typed failure is an answer like any other; a defect is one with status 500, which
 * policies take for the endpoint's failure, unless who answers knows better.
 */
import { STATUS_CODES } from "node:http"
import type { FromServerEncoded, RequestEncoded } from "@effect/rpc/RpcMessage"
import { Effect, Schema } from "effect"
import { type Fields, type Framing, fieldValue, streamBody } from "../model/Exchange.ts"
import { isMeshName } from "../request/http1/Sender.ts"
import {
  decodeRequest,
  encodeMessage,
  requestLimit,
  rpcFields,
  rpcType,
  spanOf
} from "./RpcBody.ts"
import type { ServedCall } from "./ServedCall.ts"

type Exit = Extract<FromServerEncoded, { readonly _tag: "Exit" }>
type Defect = Extract<FromServerEncoded, { readonly _tag: "Defect" }>

const encodeDefect = Schema.encodeSync(Schema.Defect)

const dies = (requestId: string, defect: unknown): Exit => ({
  _tag: "Exit",
  requestId,
  exit: { _tag: "Failure", cause: { _tag: "Die", defect } }
})

type EncodedCause = Extract<Exit["exit"], { readonly _tag: "Failure" }>["cause"]

const has = (cause: EncodedCause, tag: EncodedCause["_tag"]): boolean =>
  cause._tag === tag ||
  ((cause._tag === "Parallel" || cause._tag === "Sequential") &&
    (has(cause.left, tag) || has(cause.right, tag)))

/** It says nothing but that its server has ended. */
const isCutOff = ({ exit }: Exit): boolean =>
  exit._tag === "Failure" &&
  has(exit.cause, "Interrupt") &&
  !has(exit.cause, "Fail") &&
  !has(exit.cause, "Die")

const isDefect = ({ exit }: Exit): boolean => exit._tag === "Failure" && has(exit.cause, "Die")

export class RpcAnswering {
  readonly #call: ServedCall
  #request: Pick<RequestEncoded, "id" | "tag"> = { id: "0", tag: "" }

  constructor(call: ServedCall) {
    this.#call = call
  }

  /** Calls back once, with what was asked; or answers what is no RPC itself, and never does. */
  request(then: (request: RequestEncoded) => void): void {
    const { head, told } = this.#call
    if (fieldValue(head.fields, "content-type") !== rpcType) {
      this.#refuse(415, `This service speaks RPC of Effect (${rpcType}).\n`)
      return
    }
    this.#body((body) => {
      const request = decodeRequest(...body)
      if (request === undefined) {
        this.#refuse(400, "This is no request of an RPC.\n")
        return
      }
      this.#request = request
      const headers = [...pairs(told)]
      for (const [name, value] of request.headers) {
        // It is the mesh's to say.
        if (!isMeshName(name)) headers.push([name, value])
      }
      const span = spanOf(fieldValue(head.fields, "traceparent"))
      then({ ...request, ...span, headers })
    })
  }

  /** Done when there is room for more. `defect`: the status of an answer that is one. */
  send(message: FromServerEncoded, defect = 500): Effect.Effect<void> {
    switch (message._tag) {
      case "Chunk":
        return this.#chunk(this.#encoded(message))
      case "Exit":
      case "Defect":
        return Effect.sync(() => this.end(message, defect))
      default:
        return Effect.void
    }
  }

  /** The same of what ends it, which waits for nothing. */
  end(message: Exit | Defect, defect = 500): void {
    if (message._tag === "Exit") {
      this.#exit(message, isDefect(message) ? defect : 200)
      return
    }
    const { id, tag } = this.#request
    // Who asks for what is not there has not met a failure of the endpoint.
    const isUnknown = message.defect === `Unknown request tag: ${tag}`
    this.#exit(dies(id, message.defect), isUnknown ? 404 : 500)
  }

  #chunk(bytes: Uint8Array | Exit): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (!(bytes instanceof Uint8Array)) {
        this.#exit(bytes)
        return Effect.void
      }
      if (!this.#call.answered) this.#answer(200, streamBody)
      return this.#call.send(bytes) ? Effect.void : untilRoom(this.#call)
    })
  }

  #exit(message: Exit, status = isDefect(message) ? 500 : 200): void {
    if (isCutOff(message)) {
      this.#call.fail("upstream_reset", "was interrupted before it had answered")
      return
    }
    const encoded = this.#encoded(message)
    if (!(encoded instanceof Uint8Array)) {
      this.#exit(encoded)
      return
    }
    if (!this.#call.answered) {
      this.#answer(status, { kind: "length", length: encoded.length })
    }
    this.#call.send(encoded)
    this.#call.finish()
  }

  /** What has no form as MessagePack is a defect of the program. */
  #encoded(message: FromServerEncoded): Uint8Array | Exit {
    try {
      return encodeMessage(message)
    } catch (cause) {
      return dies(this.#request.id, encodeDefect(cause))
    }
  }

  #answer(status: number, framing: Framing): void {
    const reason = STATUS_CODES[status] ?? ""
    this.#call.answer({ status, reason, fields: rpcFields, framing, upgrade: undefined }, true)
  }

  #refuse(status: number, text: string): void {
    const body = new TextEncoder().encode(text)
    const framing = { kind: "length", length: body.length } as const
    const fields = ["content-type", "text/plain"]
    const reason = STATUS_CODES[status] ?? ""
    this.#call.answer({ status, reason, fields, framing, upgrade: undefined }, true)
    this.#call.send(body)
    this.#call.finish()
  }

  #body(then: (body: ReadonlyArray<Uint8Array>) => void): void {
    const chunks: Array<Uint8Array> = []
    let length = 0
    const read = (): void => {
      this.#call.read((part) => {
        if (part.kind === "end") then(chunks)
        if (part.kind !== "data") return
        for (const chunk of part.chunks) {
          chunks.push(chunk)
          length += chunk.length
        }
        if (length <= requestLimit) read()
        else this.#refuse(413, `A request of an RPC has ${requestLimit} bytes at most.\n`)
      })
    }
    read()
  }
}

const untilRoom = (call: ServedCall): Effect.Effect<void> =>
  Effect.async<void>((resume) => {
    const stop = call.room(() => resume(Effect.void))
    return Effect.sync(stop)
  })

const pairs = (fields: Fields): ReadonlyArray<[string, string]> =>
  fields.flatMap(
    (name, i): Array<[string, string]> => (i % 2 === 0 ? [[name, fields[i + 1] ?? ""]] : [])
  )
