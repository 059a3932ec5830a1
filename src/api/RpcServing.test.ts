import type { FromClientEncoded } from "@effect/rpc/RpcMessage"
import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Fiber } from "effect"
import type { Dispatch } from "../model/Exchange.ts"
import { ServiceName } from "../model/Names.ts"
import { exchange, httpCall } from "../testing/InboundFixture.ts"
import { CalledBy } from "./CalledBy.ts"
import { encodeMessage, rpcType } from "./RpcBody.ts"
import { makeRpcServing } from "./RpcServing.ts"

/** What an RpcServer is told, and how it is asked. */
const serving = Effect.gen(function* () {
  const asked: Array<readonly [number, FromClientEncoded]> = []
  const callers: Array<string | undefined> = []
  const spans: Array<string> = []
  const offered = yield* Deferred.make<Dispatch>()
  const protocol = yield* makeRpcServing(
    {
      ...{ node: () => "host-a", drainDeadline: () => 0, reportActors: () => Effect.void },
      mayServe: () => Effect.void,
      offer: () => Effect.never
    },
    ServiceName.make("ledger"),
    (dispatch) => Effect.asVoid(Deferred.succeed(offered, dispatch))
  )
  yield* Effect.forkScoped(
    protocol.run((id, message) =>
      Effect.map(Effect.zip(CalledBy, Effect.orDie(Effect.currentSpan)), ([caller, { name }]) => {
        callers.push(caller?.name)
        spans.push(name)
        asked.push([id, message])
      })
    )
  ).pipe(Effect.withSpan("server"))
  const dispatch = yield* Deferred.await(offered)
  const body = encodeMessage({ _tag: "Request", id: "7", tag: "Pay", payload: 1, headers: [] })
  const ask = Effect.promise(() => {
    const framing = { kind: "length", length: body.length } as const
    const fields = ["content-type", rpcType]
    return exchange(dispatch, httpCall({ method: "POST", fields, framing }), body)
  })
  return { ask, asked, callers, protocol, spans }
})

const turn = Effect.promise(() => new Promise<void>((resolve) => setImmediate(resolve)))

describe("what serves RPCs", () => {
  it.scoped("has a client as long as its one request is not answered, and then a turn", () =>
    Effect.gen(function* () {
      const { ask, asked, callers, protocol, spans } = yield* serving
      const answer = yield* Effect.fork(ask)
      yield* turn
      expect(asked.map(([id, { _tag }]) => [id, _tag])).toEqual([[1, "Request"]])
      expect(callers).toEqual(["host-a"])
      // What is traced of it is linked to that.
      expect(spans).toEqual(["server"])
      expect([...(yield* protocol.clientIds)]).toEqual([1])
      yield* protocol.send(1, {
        ...{ _tag: "Exit", requestId: "7" },
        exit: { _tag: "Success", value: 2 }
      })
      expect((yield* Fiber.join(answer)).head?.status).toBe(200)
      expect([...(yield* protocol.clientIds)]).toEqual([])
      // Whoever has answered is to come to its end first: what has gone is interrupted.
      expect(protocol.disconnects.unsafeSize()).toMatchObject({ value: 0 })
      yield* turn
      expect(yield* protocol.disconnects.take).toBe(1)
      // Nothing of an answer that comes later is anybody's.
      yield* protocol.send(1, { _tag: "Defect", defect: "late" })
      yield* turn
      expect(protocol.disconnects.unsafeSize()).toMatchObject({ value: 0 })
    })
  )

  it.scoped("lets go a client whose stream has no form, which nobody reads any more", () =>
    Effect.gen(function* () {
      const { ask, protocol } = yield* serving
      const answer = yield* Effect.fork(ask)
      yield* turn
      const noForm = {
        get value(): never {
          throw new Error("no form")
        }
      }
      yield* protocol.send(1, { _tag: "Chunk", requestId: "7", values: [noForm] })
      expect((yield* Fiber.join(answer)).head?.status).toBe(500)
      expect(yield* protocol.disconnects.take).toBe(1)
    })
  )
})
