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
import { AnswerReader, encodeMessage, rpcType, spanFields } from "./RpcBody.ts"
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
        fields: ["content-type", rpcType, ...spanFields(request)],
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
      exchange.start(caller.dispatch, body)
      return read(exchange, write, request).pipe(
        Effect.onInterrupt(() => Effect.sync(() => exchange.cancel()))
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

const next = (exchange: RpcExchange): Effect.Effect<AnswerPart> =>
  Effect.async<AnswerPart>((resume) => {
    const stop = exchange.next((part) => resume(Effect.succeed(part)))
    return Effect.sync(stop)
  })

/** The exit is handed on when the exchange is over: its taker interrupts who reads. */
const read = (
  exchange: RpcExchange,
  write: Write,
  { id, tag }: RequestEncoded
): Effect.Effect<void, RpcClientError> => {
  const reader = new AnswerReader()
  let exit: RpcAnswer | undefined

  const take = (part: AnswerPart): Effect.Effect<boolean, RpcClientError> => {
    switch (part.kind) {
      case "data":
        return Effect.as(takeAll(part.chunks), false)
      case "end":
        return exit === undefined ? failed(`${tag} ended without an answer`) : hand(exit)
      case "fault": {
        const fault = MeshFault.from(part.fault)
        return exit === undefined ? failed(fault.message, fault) : hand(exit)
      }
      case "foreign":
        return failed(`${tag} was answered with status ${part.status}, and not by an RPC server`)
    }
  }

  const hand = (message: RpcAnswer): Effect.Effect<boolean> =>
    // Its parts are decoded by the RPC's own Schemas, whatever they are.
    Effect.as(write({ ...message, requestId: id } as FromServerEncoded), true)

  const takeAll = (chunks: ReadonlyArray<Uint8Array>): Effect.Effect<void, RpcClientError> =>
    Effect.try({
      try: () => reader.read(chunks),
      catch: (cause) => failed(`the answer to ${tag} is none of an RPC: ${String(cause)}`, cause)
    }).pipe(
      Effect.tapError(() => Effect.sync(() => exchange.cancel())),
      Effect.flatMap((answers) =>
        Effect.forEach(
          answers,
          (answer) => {
            if (answer._tag === "Chunk") return hand(answer)
            exit = answer
            return Effect.void
          },
          { discard: true }
        )
      )
    )

  return Effect.iterate(false, {
    while: (done) => !done,
    body: () => Effect.flatMap(next(exchange), take)
  }).pipe(Effect.asVoid)
}
