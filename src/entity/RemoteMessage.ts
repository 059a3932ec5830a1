/** One message to an actor of another host: an exchange of the mesh, to that host and no other. */
import * as Rpc from "@effect/rpc/Rpc"
import * as RpcSchema from "@effect/rpc/RpcSchema"
import { Effect, type Exit, Option, Schema } from "effect"
import type { NonEmptyReadonlyArray } from "effect/Array"
import type { MeshCaller } from "../api/MeshCaller.ts"
import { MeshFault } from "../api/MeshFault.ts"
import { decodeAnswers, encodeMessage, makeParser, rpcType, spanFields } from "../api/RpcBody.ts"
import { type AnswerPart, RpcExchange } from "../api/RpcExchange.ts"
import { hostCaller } from "../model/Caller.ts"
import { type Call, noBody } from "../model/Exchange.ts"
import type { Fault } from "../model/Fault.ts"
import { authorityOf, NodeName, type ServiceName } from "../model/Names.ts"
import type { ActorAddress } from "./ActorAddress.ts"
import type { Outgoing } from "./Actors.ts"
import { messageTarget, readRefusal, readReleased, releaseTarget, tellField } from "./ActorWords.ts"
import { chainField, formatChain } from "./CallChain.ts"
import type { Released } from "./Handover.ts"
import type { Refusal } from "./Message.ts"

/** What stands in place of an answer. */
export type RemoteRefusal = Refusal | { readonly _tag: "Fault"; readonly fault: Fault }

interface Target {
  readonly caller: MeshCaller["Type"]
  readonly service: ServiceName
  /** Key of the owner's endpoint. */
  readonly owner: string
}

const callTo = (
  { caller, owner, service }: Target,
  head: {
    readonly method: string
    readonly target: string
    readonly fields: ReadonlyArray<string>
    readonly length: number
  },
  deadline: number | undefined
): Call => ({
  kind: "http",
  service,
  head: {
    method: head.method,
    target: head.target,
    authority: authorityOf(service),
    fields: head.fields,
    framing: head.length === 0 ? noBody : { kind: "length", length: head.length },
    upgrade: undefined,
    expectsContinue: false
  },
  endpoint: undefined,
  only: owner,
  caller: caller.peer,
  identity: caller.identity ?? hostCaller(NodeName.make(caller.peer)),
  deadline: deadline === undefined ? undefined : Math.max(1, Math.ceil(deadline)),
  attempt: 0
})

const nextPart = (exchange: RpcExchange): Effect.Effect<AnswerPart> =>
  Effect.async<AnswerPart>((resume) => {
    const stop = exchange.next((part) => resume(Effect.succeed(part)))
    return Effect.sync(stop)
  })

/** Asks a host to let a shard go, which may take so many milliseconds; `turn`: whether its turn has come. */
export const askRelease = (
  target: Target,
  shard: number,
  { millis, turn }: { readonly millis: number; readonly turn: boolean }
): Effect.Effect<Released> =>
  Effect.suspend(() => {
    const head = { method: "PUT", target: releaseTarget(shard, turn), fields: [], length: 0 }
    const exchange = new RpcExchange(callTo(target, head, millis))
    exchange.start(target.caller.dispatch, new Uint8Array(0))
    return Effect.map(nextPart(exchange), (part) =>
      part.kind === "foreign" ? readReleased(part) : silent
    ).pipe(
      Effect.onInterrupt(() => Effect.sync(() => exchange.cancel())),
      Effect.timeoutTo({
        duration: millis,
        onSuccess: (released) => released,
        onTimeout: () => silent
      })
    )
  })

const silent: Released = { kind: "silent" }

export interface RemoteMessage extends Target {
  readonly address: ActorAddress
  readonly message: Outgoing
  /** Milliseconds left for it; undefined: as the mesh's policy says. */
  readonly left: number | undefined
}

/** Undefined: it was answered. An interruption cancels it. */
export const sendRemote = (options: RemoteMessage): Effect.Effect<RemoteRefusal | undefined> =>
  Effect.gen(function* () {
    const { address, left, message, service } = options
    const { headers, isIdempotent, parent, replies, rpc, tells } = message
    const payload = yield* known(Schema.encode(rpc.payloadSchema)(message.payload))
    const span =
      parent === undefined
        ? {}
        : { traceId: parent.traceId, spanId: parent.spanId, sampled: parent.sampled }
    const said = Object.entries(headers).filter(([name]) => name !== "skein-deadline")
    const body = encodeMessage(makeParser(), {
      ...{ _tag: "Request", id: "0", tag: rpc._tag, payload },
      headers: said
    } as const)
    const fields = ["content-type", rpcType, ...spanFields(span)]
    if (tells) fields.push(tellField, "1")
    if (message.chain !== undefined) fields.push(chainField, formatChain(message.chain))
    const method = isIdempotent || message.key !== undefined ? "PUT" : "POST"
    const target = messageTarget(rpc._tag, address.entityId)
    const call = callTo(options, { method, target, fields, length: body.length }, left)
    const exchange = new RpcExchange(call)
    exchange.start(options.caller.dispatch, body)
    return yield* read(exchange, options, replies).pipe(
      Effect.onInterrupt(() => Effect.sync(() => exchange.cancel())),
      Effect.catchAllDefect((cause) =>
        Effect.sync((): RemoteRefusal => {
          exchange.cancel()
          return { _tag: "Fault", fault: unreadable(service, cause) }
        })
      )
    )
  })

const unreadable = (service: ServiceName, cause: unknown): Fault => ({
  code: "upstream_reset",
  message: `the answer is none to a message of ${service}: ${String(cause)}`,
  node: "",
  service,
  sent: true
})

const read = (
  exchange: RpcExchange,
  { address, message: { rpc, tells }, service }: RemoteMessage,
  replies: Outgoing["replies"]
): Effect.Effect<RemoteRefusal | undefined> =>
  Effect.gen(function* () {
    const parser = makeParser()
    let exit: Exit.Exit<unknown, unknown> | undefined
    while (true) {
      const part = yield* nextPart(exchange)
      if (part.kind === "foreign") {
        if (tells && part.status === 202) {
          replies.accepted?.()
          return undefined
        }
        const refusal = readRefusal(part, address)
        if (refusal !== undefined) return refusal
        const fault = unreadable(service, `it has status ${part.status}`)
        return { _tag: "Fault", fault } as const
      }
      if (part.kind === "data") {
        for (const answer of part.chunks.flatMap((chunk) => decodeAnswers(parser, chunk))) {
          if (answer._tag === "Chunk")
            yield* replies.part(yield* known(decodeParts(rpc)(answer.values)))
          else exit = yield* known(Schema.decodeUnknown(exitSchemaOf(rpc))(answer.exit))
        }
        continue
      }
      if (exit !== undefined) {
        replies.exit(exit)
        return undefined
      }
      const fault =
        part.kind === "fault" ? part.fault : unreadable(service, "it has ended before its answer")
      return { _tag: "Fault", fault } as const
    }
  })

export const faultOf = (fault: Fault): MeshFault => MeshFault.from(fault)

/** What the RPCs' Schemas need is in the program's context, as for any client of theirs. */
const known = <A, E>(effect: Effect.Effect<A, E, unknown>): Effect.Effect<A> =>
  Effect.orDie(effect as Effect.Effect<A, E>)

const exitSchemaOf = (
  rpc: Rpc.AnyWithProps
): Schema.Schema<Exit.Exit<unknown, unknown>, unknown, unknown> =>
  Rpc.exitSchema(rpc as unknown as Rpc.Any) as unknown as Schema.Schema<
    Exit.Exit<unknown, unknown>,
    unknown,
    unknown
  >

const decodeParts = (rpc: Rpc.AnyWithProps) => {
  const parts = RpcSchema.getStreamSchemas(rpc.successSchema.ast)
  const schema = Option.isSome(parts) ? parts.value.success : Schema.Never
  return Schema.decodeUnknown(
    Schema.NonEmptyArray(schema as Schema.Schema<unknown, unknown, unknown>)
  ) as unknown as (
    values: unknown
  ) => Effect.Effect<NonEmptyReadonlyArray<unknown>, unknown, unknown>
}
