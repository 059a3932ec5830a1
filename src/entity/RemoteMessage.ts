/** One message to an actor of another host: an exchange of the mesh, to that host and no other. */
import { Cause, Effect, Exit, ParseResult } from "effect"
import type { MeshCaller } from "../api/MeshCaller.ts"
import { MeshFault } from "../api/MeshFault.ts"
import { AnswerReader, encodeMessage, rpcFieldsWith, spanFields } from "../api/RpcBody.ts"
import type { RpcAnswer } from "../api/RpcEnvelope.ts"
import { type AnswerPart, RpcExchange } from "../api/RpcExchange.ts"
import { hostCaller } from "../model/Caller.ts"
import { type Call, type Fields, fieldValue, noBody } from "../model/Exchange.ts"
import type { Fault } from "../model/Fault.ts"
import { authorityOf, NodeName, type ServiceName } from "../model/Names.ts"
import type { ActorAddress } from "./ActorAddress.ts"
import { ActorUnavailable } from "./ActorError.ts"
import type { Outgoing } from "./Actors.ts"
import { messageTarget, readRefusal, readReleased, releaseTarget, tellField } from "./ActorWords.ts"
import { chainField, circleField, circleOverField, formatChain, readCircle } from "./CallChain.ts"
import type { Released } from "./Handover.ts"
import { deadlineHeader, type Refusal } from "./Message.ts"
import { atOnce, codecOf, type MessageCodec } from "./MessageCodec.ts"
import { UnderWay } from "./UnderWay.ts"

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

/**
 * Asks a host to let a shard go, which may take so many milliseconds; `turn`: whether its turn has come. `by`: this
 * host's endpoint.
 */
export const askRelease = (
  target: Target,
  shard: number,
  { by, millis, turn }: { readonly by: string; readonly millis: number; readonly turn: boolean }
): Effect.Effect<Released> =>
  Effect.suspend(() => {
    const said = releaseTarget({ shard, turn, by })
    const head = { method: "PUT", target: said, fields: [], length: 0 }
    // The host may be well by now for all that waits for its answer: its actors' other callers find that out.
    const call = { ...callTo(target, head, millis), pastCircuit: true }
    const exchange = new RpcExchange(call)
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

export interface SendingOptions extends RemoteMessage {
  /** Begins what Schemas cannot do at once, and what waits; returns how to interrupt it. */
  readonly run: <A, E>(
    effect: Effect.Effect<A, E>,
    then: (exit: Exit.Exit<A, E>) => void
  ) => () => void
}

/** Who hears of it. */
export interface SentNews {
  /** What came of it: undefined when it was answered, and a defect for what its Schemas do not take. */
  readonly ended: (exit: Exit.Exit<RemoteRefusal | undefined>) => void
  /** It waits for actors that wait for each other; undefined: not any more. */
  readonly inCircle: (circle: string | undefined) => void
}

/** Returns how to cancel it; then nothing comes of it any more. */
export const sendRemote = (options: SendingOptions, news: SentNews): (() => void) => {
  const sent = new SentMessage(options, news)
  sent.begin()
  return () => sent.cancel()
}

class SentMessage {
  readonly #options: SendingOptions
  readonly #codec: MessageCodec
  readonly #reader = new AnswerReader()
  #news: SentNews | undefined
  #exchange: RpcExchange | undefined
  #exit: Exit.Exit<unknown, unknown> | undefined
  /** What is waited for. */
  readonly #underWay = new UnderWay()

  constructor(options: SendingOptions, news: SentNews) {
    this.#options = options
    this.#codec = codecOf(options.message.rpc)
    this.#news = news
  }

  begin(): void {
    this.#do(this.#codec.encodePayload(this.#options.message.payload), (payload) =>
      this.#send(payload)
    )
  }

  cancel(): void {
    if (this.#news === undefined) return
    this.#news = undefined
    this.#underWay.stop()
    this.#exchange?.cancel()
  }

  #end(exit: Exit.Exit<RemoteRefusal | undefined>): void {
    const news = this.#news
    this.#news = undefined
    news?.ended(exit)
  }

  #answered(): void {
    this.#end(Exit.succeed(undefined))
  }

  #refused(refusal: RemoteRefusal): void {
    this.#end(Exit.succeed(refusal))
  }

  #broken(cause: unknown): void {
    this.#exchange?.cancel()
    const { address, message, service } = this.#options
    if (!ParseResult.isParseError(cause)) {
      this.#refused({ _tag: "Fault", fault: unreadable(service, cause) })
      return
    }
    // Another release of the type, which would answer the same again: it was carried out.
    const what = `has answered ${message.rpc._tag} with what does not fit its Schema here: ${cause.message}`
    this.#refused(ActorUnavailable.of("answer_unreadable", address, what, { sent: true, cause }))
  }

  /** Goes on with what it comes to: now, if it is known now. What breaks before all is sent is the sender's. */
  #do<A, E>(effect: Effect.Effect<A, E>, then: (value: A) => void): void {
    const taken = (exit: Exit.Exit<A, E>): void => {
      if (this.#news === undefined) return
      if (Exit.isSuccess(exit)) then(exit.value)
      else if (this.#exchange === undefined) this.#end(Exit.die(Cause.squash(exit.cause)))
      else this.#broken(Cause.squash(exit.cause))
    }
    const now = atOnce(effect)
    if (now === undefined) this.#underWay.begin(() => this.#options.run(effect, taken))
    else taken(now)
  }

  #send(payload: unknown): void {
    const { address, caller, left, message } = this.#options
    const { headers, isIdempotent, parent, rpc, tells } = message
    const said: Array<[string, string]> = []
    for (const name of Object.keys(headers)) {
      if (name !== deadlineHeader) said.push([name, headers[name] ?? ""])
    }
    let body: Uint8Array
    try {
      body = encodeMessage({ _tag: "Request", id: "0", tag: rpc._tag, payload, headers: said })
    } catch (cause) {
      this.#end(Exit.die(cause))
      return
    }
    const others: Array<string> = parent === undefined ? [] : [...spanFields(parent)]
    if (tells) others.push(tellField, "1")
    if (message.chain !== undefined) others.push(chainField, formatChain(message.chain))
    const fields = rpcFieldsWith(others)
    const method = isIdempotent || message.key !== undefined ? "PUT" : "POST"
    const target = messageTarget(rpc._tag, address.entityId)
    const call = callTo(this.#options, { method, target, fields, length: body.length }, left)
    const exchange = new RpcExchange(call, (fields) => this.#heard(fields))
    this.#exchange = exchange
    exchange.start(caller.dispatch, body)
    this.#next(exchange)
  }

  #heard(fields: Fields): void {
    const said = fieldValue(fields, circleField)
    const circle = said === undefined ? undefined : readCircle(said)
    const isOver = fieldValue(fields, circleOverField) !== undefined
    if (circle !== undefined || isOver) this.#news?.inCircle(circle)
  }

  #next(exchange: RpcExchange): void {
    this.#underWay.begin(() => exchange.next((part) => this.#take(part, exchange)))
  }

  #take(part: AnswerPart, exchange: RpcExchange): void {
    const { address, message, service } = this.#options
    const { replies, tells } = message
    switch (part.kind) {
      case "data":
        this.#read(part.chunks, exchange)
        return
      case "foreign": {
        if (tells && part.status === 202) {
          replies.accepted?.()
          this.#answered()
          return
        }
        const fault = unreadable(service, `it has status ${part.status}`)
        this.#refused(readRefusal(part, address) ?? { _tag: "Fault", fault })
        return
      }
      default:
        if (this.#exit !== undefined) {
          replies.exit(this.#exit)
          this.#answered()
          return
        }
        this.#refused({
          _tag: "Fault",
          fault:
            part.kind === "fault"
              ? part.fault
              : unreadable(service, "it has ended before its answer")
        })
    }
  }

  #read(chunks: ReadonlyArray<Uint8Array>, exchange: RpcExchange): void {
    let answers: ReadonlyArray<RpcAnswer>
    try {
      answers = this.#reader.read(chunks)
    } catch (cause) {
      this.#broken(cause)
      return
    }
    this.#hand(answers, 0, exchange)
  }

  /** One after the other: the next part when there is room for it. */
  #hand(answers: ReadonlyArray<RpcAnswer>, from: number, exchange: RpcExchange): void {
    const answer = answers[from]
    if (answer === undefined) {
      this.#next(exchange)
      return
    }
    const next = (): void => this.#hand(answers, from + 1, exchange)
    if (answer._tag === "Exit") {
      this.#do(this.#codec.decodeExit(answer.exit), (exit) => {
        this.#exit = exit
        next()
      })
      return
    }
    this.#do(this.#codec.decodeParts(answer.values), (parts) =>
      this.#do(this.#options.message.replies.part(parts), next)
    )
  }
}

const unreadable = (service: ServiceName, cause: unknown): Fault => ({
  code: "upstream_reset",
  message: `the answer is none to a message of ${service}: ${String(cause)}`,
  node: "",
  service,
  sent: true
})

export const faultOf = (fault: Fault): MeshFault => MeshFault.from(fault)
