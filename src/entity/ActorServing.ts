/**
 * Calls of the mesh to the actors of a type that are run here. Each exchange has one message; its answer
 * goes as that of any RPC, and what stands in its place is told in the head (ActorWords.ts).
 */
import * as Headers from "@effect/platform/Headers"
import type * as Rpc from "@effect/rpc/Rpc"
import type { RequestEncoded } from "@effect/rpc/RpcMessage"
import { Cause, Effect, Exit, Option, Runtime, Schema, Tracer } from "effect"
import { RpcAnswering } from "../api/RpcAnswering.ts"
import { ServedCall } from "../api/ServedCall.ts"
import { type Dispatch, fieldValue, noBody } from "../model/Exchange.ts"
import type { PeerKey } from "../model/Names.ts"
import { refuse } from "../model/RefusedExchange.ts"
import { addressOf } from "./ActorAddress.ts"
import { watchRpc } from "./ActorEvent.ts"
import type { ActorHost } from "./ActorHost.ts"
import { propsOf } from "./ActorProtocol.ts"
import {
  type RefusalHead,
  type ReleaseQuestion,
  readTarget,
  refusalHead,
  releasedHead,
  tellField
} from "./ActorWords.ts"
import { keyHeader, keyProblem } from "./AnsweredOnce.ts"
import { chainField, circleField, circleOverField, formatCircle, readChain } from "./CallChain.ts"
import type { Delivery } from "./Delivery.ts"
import { mergeRpc } from "./HandedState.ts"
import type { Released } from "./Handover.ts"
import type { Message } from "./Message.ts"
import { atOnce, codecOf } from "./MessageCodec.ts"

export interface ServingOptions {
  readonly host: Pick<ActorHost, "deliver" | "lost" | "type">
  /** Name of this node, for faults. */
  readonly node: () => string
  readonly requests: ReadonlyMap<string, Rpc.Any>
  readonly runtime: Runtime.Runtime<never>
  /** Another host wants the shard, or knows that it is queued and waits for its `turn`. `by`: its endpoint's key. */
  readonly release: (question: ReleaseQuestion, then: (released: Released) => void) => void
  /** It runs the type, so it may have a state of an actor to give. */
  readonly isHost: (peer: PeerKey) => boolean
  /** Calls that are in work, for who waits for their end. */
  readonly calls: { readonly begin: () => void; readonly end: () => void }
}

/** An actor that breaks says nothing against its host, which policies are to ask for all the others. */
const defectStatus = 501

const encodeDefect = Schema.encodeSync(Schema.Defect)

export const serveActors = (options: ServingOptions): Dispatch => {
  const { calls, node } = options
  return (call, receiver) => {
    const { head, service } = call
    if (head === undefined) {
      const message = `the actors of ${service} take messages, and no tunnels`
      return refuse(receiver, { code: "bad_request", message, node: node(), service, sent: false })
    }
    let delivery: Delivery | undefined
    const served = new ServedCall(call, head, receiver, {
      node: node(),
      onCancel: () => delivery?.cancel(),
      onOver: calls.end
    })
    calls.begin()
    const answered = (answer: RefusalHead): void => {
      served.answer({ ...plain, ...answer }, false)
      served.finish()
    }
    // Nothing may be answered before this has returned.
    queueMicrotask(() => {
      if (served.over) return
      const target = readTarget(head.target)
      if (target === undefined) {
        answered({ status: 400, fields: [] })
      } else if (target.kind === "release") {
        const { shard, turn } = target
        // Of the node that has called, whatever is said.
        const by = target.by === undefined ? undefined : `${call.caller}/${service}/${target.by}`
        options.release({ shard, turn, by }, (released) => answered(releasedHead(released)))
      } else {
        const answering = new RpcAnswering(served)
        answering.request((request) => {
          delivery = new ServedMessage(options, served, answering, request).begin(
            target.id,
            answered
          )
        })
      }
    })
    return served
  }
}

/** What hosts of a type and those who watch its actors say, beside their messages. */
const ownRpcs = new Map([watchRpc, mergeRpc].map((rpc) => [rpc._tag, rpc]))

const plain = { reason: "", framing: noBody, upgrade: undefined } as const

class ServedMessage {
  readonly #options: ServingOptions
  readonly #served: ServedCall
  readonly #answering: RpcAnswering
  readonly #request: RequestEncoded

  constructor(
    options: ServingOptions,
    served: ServedCall,
    answering: RpcAnswering,
    request: RequestEncoded
  ) {
    this.#options = options
    this.#served = served
    this.#answering = answering
    this.#request = request
  }

  begin(id: string, answered: (answer: RefusalHead) => void): Delivery | undefined {
    const { host, requests } = this.#options
    const { headers, id: requestId, tag } = this.#request
    const ended = (message: Parameters<RpcAnswering["end"]>[0], defect = defectStatus): void =>
      this.#answering.end(message, defect)
    const known = ownRpcs.get(tag) ?? requests.get(tag)
    if (known === undefined) {
      ended({ _tag: "Defect", defect: `Unknown request tag: ${tag}` })
      return undefined
    }
    const dies = (defect: unknown, status?: number): void => {
      const exit = {
        _tag: "Failure",
        cause: { _tag: "Die", defect: encodeDefect(defect) }
      } as const
      ended({ _tag: "Exit", requestId, exit }, status)
    }
    const rpc = propsOf(known)
    const codec = codecOf(rpc)
    if (rpc === mergeRpc && !this.#options.isHost(this.#served.call.caller)) {
      answered({ status: 403, fields: [] })
      return undefined
    }
    const payload = this.#now(codec.decodePayload(this.#request.payload))
    if (Exit.isFailure(payload)) {
      dies(Cause.squash(payload.cause), 400)
      return undefined
    }
    const all = Headers.fromInput(headers)
    const key = Option.getOrUndefined(Headers.get(all, keyHeader))
    if (keyProblem(key) !== undefined) {
      answered({ status: 400, fields: [] })
      return undefined
    }
    const { call, head } = this.#served
    const said = fieldValue(head.fields, chainField)
    const chain = said === undefined ? undefined : readChain(said)
    if (said !== undefined && chain === undefined) {
      answered({ status: 400, fields: [] })
      return undefined
    }
    const told = fieldValue(head.fields, tellField) !== undefined
    let isAccepted = false
    const message: Message = {
      rpc,
      payload: payload.value,
      headers: all,
      caller: call.identity,
      parent: this.#parent,
      ...{ chain, key, told },
      replies: {
        accepted: () => {
          if (!told) return
          isAccepted = true
          answered({ status: 202, fields: [] })
        },
        part: (values) =>
          Effect.flatMap(Effect.orDie(codec.encodeParts(values)), (parts) =>
            this.#answering.send({ _tag: "Chunk", requestId, values: parts })
          ),
        exit: (exit) => {
          if (told) return
          const encoded = this.#now(codec.encodeExit(exit))
          if (Exit.isFailure(encoded)) dies(Cause.squash(encoded.cause))
          else ended({ _tag: "Exit", requestId, exit: encoded.value })
        },
        circle: (circle) => {
          if (!told)
            this.#served.info({
              ...plain,
              status: 102,
              fields:
                circle === undefined ? [circleOverField, "1"] : [circleField, formatCircle(circle)]
            })
        },
        refuse: (refusal) => {
          if (isAccepted) host.lost(addressOf(host.type, id), refusal)
          else answered(refusalHead(refusal))
        }
      }
    }
    return host.deliver(id, message, call.deadline)
  }

  get #parent(): Tracer.ExternalSpan | undefined {
    const { sampled = false, spanId, traceId } = this.#request
    if (spanId === undefined || traceId === undefined) return undefined
    return Tracer.externalSpan({ traceId, spanId, sampled })
  }

  /** What Schemas do is done at once, if they ask nobody. */
  #now<A, E>(effect: Effect.Effect<A, E>): Exit.Exit<A, E> {
    return atOnce(effect) ?? Runtime.runSyncExit(this.#options.runtime)(effect)
  }
}
