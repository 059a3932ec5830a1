import * as Rpc from "@effect/rpc/Rpc"
import { describe, expect, it } from "@effect/vitest"
import { Cause, Effect, Exit, Schema } from "effect"
import { encodeMessage, rpcType } from "../api/RpcBody.ts"
import { hostCaller } from "../model/Caller.ts"
import type { Call, ResponseHead, ResponseReceiver } from "../model/Exchange.ts"
import { authorityOf, NodeName, PeerKey, ServiceName } from "../model/Names.ts"
import { serveActors } from "./ActorServing.ts"
import { ActorStats } from "./ActorStats.ts"
import { messageTarget } from "./ActorWords.ts"
import { Delivery } from "./Delivery.ts"
import type { Message } from "./Message.ts"

const Add = Rpc.make("Add", { payload: { by: Schema.Int }, success: Schema.Int })
const service = ServiceName.make("actor-counter")

/** What is served, by an actor that does with its messages what a test says. */
class Served {
  began = 0
  ended = 0
  status: number | undefined
  fault: string | undefined
  onMessage: (message: Message) => void = () => undefined

  /** Sends a body as the call of a message; `length` is what its head says. */
  readonly send = (body: Uint8Array, { length = body.length, type = rpcType } = {}) =>
    Effect.gen(this, function* () {
      const runtime = yield* Effect.runtime<never>()
      const dispatch = serveActors({
        host: {
          type: "Counter",
          lost: () => undefined,
          deliver: (_, message) => {
            this.onMessage(message)
            return new Delivery(message, 0, new ActorStats(() => 0))
          }
        },
        node: () => "a",
        isHost: () => false,
        requests: new Map<string, Rpc.Any>([["Add", Add]]),
        runtime,
        release: (_, then) => then({ kind: "released", others: [] }),
        calls: { begin: () => void this.began++, end: () => void this.ended++ }
      })
      const receiver: ResponseReceiver = {
        onInfo: () => undefined,
        onHead: (head: ResponseHead) => {
          this.status = head.status
        },
        onData: () => true,
        onEnd: () => undefined,
        onFault: ({ code }) => {
          this.fault = code
        },
        onWritable: () => undefined
      }
      const stream = dispatch(callOf(length, type), receiver)
      stream.write(body)
      stream.end([])
      yield* Effect.repeatN(Effect.yieldNow(), 5)
      return this
    })
}

const peer = PeerKey.make("1".repeat(24))

const callOf = (length: number, type: string): Call => ({
  kind: "http",
  service,
  head: {
    ...{ method: "POST", target: messageTarget("Add", "x"), authority: authorityOf(service) },
    fields: ["content-type", type],
    framing: { kind: "length", length },
    ...{ upgrade: undefined, expectsContinue: false }
  },
  ...{ endpoint: "program", only: undefined, caller: peer, deadline: undefined, attempt: 0 },
  identity: hostCaller(NodeName.make("c"))
})

const bodyOf = (payload: unknown, headers: Array<[string, string]> = []): Uint8Array =>
  encodeMessage({ _tag: "Request", id: "0", tag: "Add", payload, headers })

describe("a call to actors", () => {
  it.effect("that is none says nothing against the host, and is over", () =>
    Effect.gen(function* () {
      const body = bodyOf({ by: 1 })
      const short = yield* new Served().send(body, { length: body.length + 1 })
      expect(short).toMatchObject({ began: 1, ended: 1, fault: "bad_request" })
      const foreign = yield* new Served().send(body, { type: "text/plain" })
      expect(foreign).toMatchObject({ began: 1, ended: 1, status: 415 })
      const odd = yield* new Served().send(new Uint8Array([1, 2, 3]))
      expect(odd).toMatchObject({ began: 1, ended: 1, status: 400 })
      const wrong = yield* new Served().send(bodyOf({ by: "one" }))
      expect(wrong).toMatchObject({ began: 1, ended: 1, status: 400 })
      const keyed = yield* new Served().send(
        bodyOf({ by: 1 }, [["idempotency-key", "x".repeat(129)]])
      )
      expect(keyed).toMatchObject({ began: 1, ended: 1, status: 400 })
    })
  )

  it.effect("that its actor breaks at is no failure of the host", () =>
    Effect.gen(function* () {
      const served = new Served()
      served.onMessage = ({ replies }) =>
        replies.exit(Exit.failCause(Cause.die(new Error("a bug"))))
      yield* served.send(bodyOf({ by: 1 }))
      // As policies see it, 501 is an answer like any other.
      expect(served).toMatchObject({ began: 1, ended: 1, status: 501 })
    })
  )
})
