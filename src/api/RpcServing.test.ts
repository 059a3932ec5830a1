import { Rpc, RpcGroup, RpcServer } from "@effect/rpc"
import type { FromClientEncoded } from "@effect/rpc/RpcMessage"
import { describe, expect, it } from "@effect/vitest"
import { Context, Deferred, Effect, Fiber, Layer, Schema } from "effect"
import {
  type Dispatch,
  type Fields,
  type Framing,
  noFields,
  streamBody
} from "../model/Exchange.ts"
import { ServiceName } from "../model/Names.ts"
import { exchange, httpCall } from "../testing/InboundFixture.ts"
import { someFault } from "../testing/ScriptedCallee.ts"
import { CalledBy } from "./CalledBy.ts"
import type { MeshProgram } from "./MeshProgram.ts"
import { AnswerReader, encodeMessage, requestLimit, rpcType } from "./RpcBody.ts"
import { makeRpcServing } from "./RpcServing.ts"

const program: MeshProgram["Type"] = {
  node: () => "host-a",
  drainDeadline: () => 0,
  reportActors: () => Effect.void,
  mayServe: () => Effect.void,
  offer: () => Effect.never
}

class Key extends Context.Tag("Key")<Key, number>() {}

/** Its parts need a service, which is asked of whoever runs the server, and not of its handlers. */
const Locked = Schema.transformOrFail(Schema.Int, Schema.Int, {
  decode: (locked) => Effect.map(Key, (key) => locked - key),
  encode: (open) => Effect.map(Key, (key) => open + key)
})
const Vault = RpcGroup.make(
  Rpc.make("Double", { payload: { of: Locked }, success: Locked, error: Locked })
)
const vaultHandlers = Vault.toLayer({
  Double: ({ of }) => (of > 10 ? Effect.fail(of) : Effect.succeed(2 * of))
})

/** What an RpcServer is told, and how it is asked; `broken`: it dies of that. */
const servingOf = (broken: boolean) =>
  Effect.gen(function* () {
    const asked: Array<readonly [number, FromClientEncoded]> = []
    const callers: Array<string | undefined> = []
    const spans: Array<string> = []
    const keys: Array<string> = []
    const offered = yield* Deferred.make<Dispatch>()
    const protocol = yield* makeRpcServing(program, ServiceName.make("ledger"), (dispatch) =>
      Effect.asVoid(Deferred.succeed(offered, dispatch))
    )
    yield* Effect.forkScoped(
      protocol.run((id, message) =>
        Effect.map(
          Effect.all([CalledBy, Effect.orDie(Effect.currentSpan), Effect.context<never>()]),
          ([caller, { name }, context]) => {
            callers.push(caller?.name)
            spans.push(name)
            keys.push(...context.unsafeMap.keys())
            asked.push([id, message])
            if (broken) throw new Error("a bug of the server")
          }
        )
      )
    ).pipe(Effect.withSpan("server"))
    const dispatch = yield* Deferred.await(offered)
    const body = encodeMessage({ _tag: "Request", id: "7", tag: "Pay", payload: 1, headers: [] })
    const ask = Effect.promise(() => {
      const framing = { kind: "length", length: body.length } as const
      const fields = ["content-type", rpcType]
      return exchange(dispatch, httpCall({ method: "POST", fields, framing }), body)
    })
    /** A request that comes in turns of its own. */
    const begin = (fields: Fields, framing: Framing) => {
      const told: Array<number | string> = []
      const stream = dispatch(httpCall({ method: "POST", fields, framing }), {
        onInfo: () => undefined,
        onHead: ({ status }) => void told.push(status),
        onData: () => true,
        onEnd: () => undefined,
        onFault: ({ code }) => void told.push(code),
        onWritable: () => undefined
      })
      return { stream, told }
    }
    const left = Effect.gen(function* () {
      yield* turn
      yield* turn
      return { clients: [...(yield* protocol.clientIds)], gone: yield* protocol.disconnects.clear }
    })
    return { ask, asked, begin, body, callers, keys, left, protocol, spans }
  })
const serving = servingOf(false)

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

  it.scoped(
    "lets go who is refused once its body has come, and whose body is not what its head says",
    () =>
      Effect.gen(function* () {
        const { asked, begin, left } = yield* serving
        const type = ["content-type", rpcType]
        const noRequest = begin(type, streamBody)
        const tooLong = begin(type, streamBody)
        const more = begin(type, { kind: "length", length: 2 })
        const less = begin(type, { kind: "length", length: 4 })
        yield* turn
        for (const { stream } of [noRequest, more, less]) stream.write(new Uint8Array([1, 2, 3]))
        for (const { stream } of [noRequest, less]) stream.end(noFields)
        tooLong.stream.write(new Uint8Array(requestLimit + 1))
        expect(yield* left).toMatchObject({ clients: [] })
        expect([noRequest, tooLong, more, less].map(({ told }) => told)).toEqual([
          ...[[400], [413]],
          ...[["bad_request"], ["bad_request"]]
        ])
        expect(asked).toEqual([])
      })
  )

  it.scoped("has its server let go whom it broke with, once", () =>
    Effect.gen(function* () {
      const { begin, body, left } = yield* servingOf(true)
      const { stream, told } = begin(["content-type", rpcType], streamBody)
      yield* turn
      stream.write(body)
      stream.end(noFields)
      const { clients, gone } = yield* left
      expect(told).toEqual(["upstream_reset"])
      expect([clients, [...gone]]).toEqual([[], [1]])
    })
  )

  it.scoped("has its server let go who has gone, once", () =>
    Effect.gen(function* () {
      const { asked, begin, body, left, protocol } = yield* serving
      const { stream } = begin(["content-type", rpcType], streamBody)
      stream.write(body)
      stream.end(noFields)
      yield* turn
      expect(asked.map(([id]) => id)).toEqual([1])
      stream.cancel(someFault)
      // What runs of it is interrupted before the turn is over.
      expect(protocol.disconnects.unsafeSize()).toMatchObject({ value: 1 })
      const { clients, gone } = yield* left
      expect([clients, [...gone]]).toEqual([[], [1]])
    })
  )

  it.scoped("need not be told to let go whom its server has ended", () =>
    Effect.gen(function* () {
      const { ask, left, protocol } = yield* serving
      const answer = yield* Effect.fork(ask)
      yield* turn
      yield* protocol.end(1)
      expect((yield* Fiber.join(answer)).fault?.code).toBe("upstream_reset")
      const { clients, gone } = yield* left
      expect([clients, [...gone]]).toEqual([[], []])
    })
  )

  it.scoped("has Schemas find what the server was given for them", () =>
    Effect.gen(function* () {
      const offered = yield* Deferred.make<Dispatch>()
      const protocol = makeRpcServing(program, ServiceName.make("vault"), (dispatch) =>
        Effect.asVoid(Deferred.succeed(offered, dispatch))
      )
      yield* RpcServer.layer(Vault).pipe(
        Layer.provide(Layer.succeed(Key, 5)),
        Layer.provide(vaultHandlers),
        Layer.provide(Layer.effect(RpcServer.Protocol, protocol)),
        Layer.build
      )
      const dispatch = yield* Deferred.await(offered)
      const double = (of: number) =>
        Effect.gen(function* () {
          const asked = { _tag: "Request", id: "1", tag: "Double", payload: { of } } as const
          const body = encodeMessage({ ...asked, headers: [] })
          const framing = { kind: "length", length: body.length } as const
          const fields = ["content-type", rpcType]
          const call = httpCall({ method: "POST", fields, framing })
          const { chunks } = yield* Effect.promise(() => exchange(dispatch, call, body))
          return new AnswerReader().read(chunks)[0]
        })
      expect(yield* double(8)).toMatchObject({ exit: { _tag: "Success", value: 11 } })
      expect(yield* double(16)).toMatchObject({ exit: { cause: { _tag: "Fail", error: 16 } } })
    })
  )

  it.scoped("does not carry the handlers of all RPCs through each", () =>
    Effect.gen(function* () {
      const { ask, keys } = yield* serving.pipe(
        Effect.provide(vaultHandlers),
        Effect.provideService(Key, 5)
      )
      yield* Effect.fork(ask)
      yield* turn
      expect(keys).toContain(Key.key)
      expect(keys.filter((key) => key.startsWith("@effect/rpc/"))).toEqual([])
    })
  )
})
