/**
 * Calls of an `RpcClient` over the mesh: each is an exchange of its own, under the policies of its
 * service, balanced by itself. A client that is interrupted cancels it.
 */
import * as RpcClient from "@effect/rpc/RpcClient"
import { RpcClientError } from "@effect/rpc/RpcClientError"
import type { FromServerEncoded, RequestEncoded } from "@effect/rpc/RpcMessage"
import { Effect } from "effect"
import { hostCaller } from "../model/Caller.ts"
import type { Call } from "../model/Exchange.ts"
import { NodeName, type ServiceName } from "../model/Names.ts"
import type { MeshCaller } from "./MeshCaller.ts"
import { MeshFault } from "./MeshFault.ts"
import { AnswerReader, encodeMessage, rpcFieldsWith, spanFields } from "./RpcBody.ts"
import type { RpcAnswer } from "./RpcEnvelope.ts"
import { type AnswerPart, RpcExchange } from "./RpcExchange.ts"

export interface RpcCallerOptions {
  readonly service: ServiceName
  readonly caller: MeshCaller["Type"]
  /** Key of the one endpoint that is asked. Absent: any of the service. */
  readonly only?: string | undefined
  /** May this RPC be carried out twice? */
  readonly isIdempotent: (tag: string) => boolean
}

type Write = (message: FromServerEncoded) => Effect.Effect<void>

const failed = (message: string, cause?: unknown): RpcClientError =>
  new RpcClientError({
    reason: "Protocol",
    message,
    ...(cause === undefined ? {} : { cause })
  })

/** How long it may take, and which attempt it is: said as by any client of the mesh. */
const ofCall = new Set(["skein-deadline", "skein-attempt"])

const saidNumber = (
  headers: RequestEncoded["headers"],
  name: string,
  least: number
): number | undefined | RpcClientError => {
  const value = headers.findLast(([one]) => one === name)?.[1]
  if (value === undefined) return undefined
  return /^\d{1,9}$/.test(value) && Number(value) >= least
    ? Number(value)
    : failed(
        `header ${name} is ${JSON.stringify(value)}, and has to be a whole number from ${least}`
      )
}

export const makeRpcCaller = ({
  caller,
  isIdempotent,
  only,
  service
}: RpcCallerOptions): Effect.Effect<RpcClient.Protocol["Type"]> => {
  const identity = caller.identity ?? hostCaller(NodeName.make(caller.peer))

  const callOf = (request: RequestEncoded, length: number): Call | RpcClientError => {
    const deadline = saidNumber(request.headers, "skein-deadline", 1)
    const attempt = saidNumber(request.headers, "skein-attempt", 0)
    if (deadline instanceof RpcClientError) return deadline
    if (attempt instanceof RpcClientError) return attempt
    return {
      kind: "http",
      service,
      head: {
        // What may be repeated is said as HTTP says it: policies go by the method.
        method: isIdempotent(request.tag) ? "PUT" : "POST",
        target: `/${encodeURIComponent(request.tag)}`,
        authority: `${service}.mesh`,
        fields: rpcFieldsWith(spanFields(request)),
        framing: { kind: "length", length },
        upgrade: undefined,
        expectsContinue: false
      },
      endpoint: undefined,
      only,
      caller: caller.peer,
      identity,
      deadline,
      attempt: attempt ?? 0
    }
  }

  const converse = (request: RequestEncoded, write: Write): Effect.Effect<void, RpcClientError> =>
    Effect.suspend(() => {
      const headers = request.headers.filter(([name]) => !ofCall.has(name))
      const body = encodeMessage({ ...request, headers })
      const call = callOf(request, body.length)
      if (call instanceof RpcClientError) return call
      const exchange = new RpcExchange(call)
      const answers = new RpcAnswers(exchange, request, write)
      return Effect.onInterrupt(
        Effect.suspend(() => {
          exchange.start(caller.dispatch, body)
          return answers.all
        }),
        () => Effect.sync(() => exchange.cancel())
      )
    })

  return RpcClient.Protocol.make((write) =>
    Effect.succeed({
      // Interruptions come as such, to the fiber that reads the answer.
      send: (message) => (message._tag === "Request" ? converse(message, write) : Effect.void),
      supportsAck: false,
      supportsTransferables: false
    })
  )
}

type Resume = (effect: Effect.Effect<void, RpcClientError>) => void

/**
 * What an exchange answers, for the client that waits. An answer that is no stream costs one turn of its
 * fiber, however many pieces it comes in: to resume one is most of what it costs to be told of a piece.
 */
class RpcAnswers {
  readonly #exchange: RpcExchange
  readonly #request: RequestEncoded
  readonly #write: Write
  readonly #reader = new AnswerReader()
  /** Handed on when the exchange is over: its taker interrupts who reads. */
  #exit: RpcAnswer | undefined

  constructor(exchange: RpcExchange, request: RequestEncoded, write: Write) {
    this.#exchange = exchange
    this.#request = request
    this.#write = write
  }

  /**
   * Some of a stream and all that follows it, or how it has ended. It has no canceller of its own, which whoever
   * runs it is to have: what follows would run inside of that, and so on, a frame deeper for each piece.
   */
  get all(): Effect.Effect<void, RpcClientError> {
    return Effect.async((resume) => {
      this.#take(resume)
    })
  }

  #take(resume: Resume): void {
    this.#exchange.next((part) => {
      const then = this.#taken(part)
      if (then === undefined) this.#take(resume)
      else resume(then)
    })
  }

  /** Undefined: there is nothing to be told yet. */
  #taken(part: AnswerPart): Effect.Effect<void, RpcClientError> | undefined {
    const { tag } = this.#request
    switch (part.kind) {
      case "data":
        return this.#read(part.chunks)
      case "end":
        return this.#exit === undefined
          ? failed(`${tag} ended without an answer`)
          : this.#hand(this.#exit)
      case "fault": {
        if (this.#exit !== undefined) return this.#hand(this.#exit)
        const fault = MeshFault.from(part.fault)
        return failed(fault.message, fault)
      }
      case "foreign":
        return failed(`${tag} was answered with status ${part.status}, and not by an RPC server`)
    }
  }

  #read(chunks: ReadonlyArray<Uint8Array>): Effect.Effect<void, RpcClientError> | undefined {
    let answers: ReadonlyArray<RpcAnswer>
    try {
      answers = this.#reader.read(chunks)
    } catch (cause) {
      this.#exchange.cancel()
      const { tag } = this.#request
      return failed(`the answer to ${tag} is none of an RPC: ${String(cause)}`, cause)
    }
    const ofStream: Array<RpcAnswer> = []
    for (const answer of answers) {
      if (answer._tag === "Chunk") ofStream.push(answer)
      else this.#exit = answer
    }
    if (ofStream.length === 0) return undefined
    return Effect.zipRight(
      Effect.forEach(ofStream, (answer) => this.#hand(answer), { discard: true }),
      this.all
    )
  }

  #hand(message: RpcAnswer): Effect.Effect<void> {
    // Its parts are decoded by the RPC's own Schemas, whatever they are.
    return this.#write({ ...message, requestId: this.#request.id } as FromServerEncoded)
  }
}
