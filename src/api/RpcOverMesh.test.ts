import { Rpc, RpcClient, RpcGroup, RpcServer } from "@effect/rpc"
import { describe, expect, it } from "@effect/vitest"
import {
  Chunk,
  Deferred,
  Effect,
  Exit,
  Fiber,
  Layer,
  Option,
  Schema,
  Scope,
  Stream,
  TestClock
} from "effect"
import { serviceCaller } from "../model/Caller.ts"
import { type Call, type Dispatch, streamBody } from "../model/Exchange.ts"
import { PeerKey, ServiceName } from "../model/Names.ts"
import { exchange, httpCall } from "../testing/InboundFixture.ts"
import { endpointView, Fixture, microtasks } from "../testing/OutboundFixture.ts"
import { ScriptedCallee, someFault } from "../testing/ScriptedCallee.ts"
import { CalledBy } from "./CalledBy.ts"
import { MeshCaller } from "./MeshCaller.ts"
import { MeshFault } from "./MeshFault.ts"
import { MeshProgram } from "./MeshProgram.ts"
import { encodeMessage, rpcType } from "./RpcBody.ts"
import * as MeshRpc from "./RpcOverMesh.ts"

class NoMoney extends Schema.TaggedError<NoMoney>()("NoMoney", { missing: Schema.Int }) {}

const Ledger = RpcGroup.make(
  Rpc.make("Charge", { payload: { amount: Schema.Int }, success: Schema.Int, error: NoMoney }),
  Rpc.make("Balance", { success: Schema.Int }).annotate(MeshRpc.Idempotent, true),
  Rpc.make("Who", { success: Schema.String }),
  Rpc.make("Headers", { success: Schema.Record({ key: Schema.String, value: Schema.String }) }),
  Rpc.make("Bytes", {
    payload: { bytes: Schema.Uint8ArrayFromSelf },
    success: Schema.Uint8ArrayFromSelf
  }),
  Rpc.make("Count", {
    payload: { to: Schema.Int },
    success: Schema.Int,
    stream: true,
    error: NoMoney
  }),
  Rpc.make("Never"),
  Rpc.make("Dies")
)

const orders = serviceCaller(ServiceName.make("orders"))
const peer = PeerKey.make("12D3KooWGRUVh8NLfSAbc52sBVRLFBqGZxCHsVPVHzQV5FCuaJ8M")

interface Seen {
  made: number
  readonly parents: Array<string>
  readonly begun: Deferred.Deferred<void>
  readonly interrupted: Deferred.Deferred<void>
}

const handlers = (seen: Seen) =>
  Ledger.toLayer({
    Charge: ({ amount }) =>
      amount > 10 ? new NoMoney({ missing: amount - 10 }) : Effect.succeed(10 - amount),
    Balance: () =>
      Effect.map(Effect.currentSpan, ({ parent }) => {
        if (Option.isSome(parent))
          seen.parents.push(`${parent.value.traceId} ${parent.value.spanId}`)
        return 10
      }).pipe(Effect.orDie),
    Who: () => Effect.map(CalledBy, (caller) => caller?.name ?? "nobody"),
    Headers: (_, { headers }) => Effect.succeed({ ...headers }),
    Bytes: ({ bytes }) => Effect.succeed(bytes),
    Count: ({ to }) =>
      Stream.range(1, to).pipe(
        Stream.rechunk(1),
        Stream.tap(() => Effect.sync(() => void seen.made++)),
        Stream.concat(to === 3 ? Stream.fail(new NoMoney({ missing: 3 })) : Stream.empty),
        Stream.ensuring(Deferred.succeed(seen.interrupted, undefined))
      ),
    Never: () =>
      Deferred.succeed(seen.begun, undefined).pipe(
        Effect.zipRight(Effect.never),
        Effect.onInterrupt(() => Deferred.succeed(seen.interrupted, undefined))
      ),
    Dies: () => Effect.die(new Error("a bug"))
  })

/** A server, what it is offered by, and a client whose calls come to it. */
const pair = (scope?: Scope.Scope) =>
  Effect.gen(function* () {
    const seen: Seen = {
      made: 0,
      parents: [],
      begun: yield* Deferred.make<void>(),
      interrupted: yield* Deferred.make<void>()
    }
    const events: Array<string> = []
    const offered = yield* Deferred.make<Dispatch>()
    const node = Layer.succeed(MeshProgram, {
      node: () => "host-a",
      reportActors: () => Effect.void,
      drainDeadline: () => 30_000,
      mayServe: () => Effect.void,
      offer: ({ dispatch }) =>
        Effect.acquireRelease(
          Effect.as(Deferred.succeed(offered, dispatch), {
            endpoint: "program",
            setHealth: () => Effect.void
          }),
          () => Effect.sync(() => void events.push("withdraw"))
        )
    })
    const server = RpcServer.layer(Ledger).pipe(
      Layer.provide(handlers(seen)),
      Layer.provide(Layer.provide(MeshRpc.layerServer("ledger"), node))
    )
    yield* Layer.buildWithScope(server, scope ?? (yield* Effect.scope))
    const dispatch = yield* Deferred.await(offered)
    const calls: Array<Call> = []
    const statuses: Array<number> = []
    const client = yield* clientOf((call, receiver) => {
      calls.push(call)
      const onHead = receiver.onHead.bind(receiver)
      receiver.onHead = (head) => {
        statuses.push(head.status)
        onHead(head)
      }
      return dispatch(call, receiver)
    })
    return { calls, client, dispatch, events, seen, statuses }
  })

const clientOf = (dispatch: Dispatch, service = "ledger") =>
  RpcClient.make(Ledger).pipe(
    Effect.provide(
      Layer.provide(
        MeshRpc.layerClient(service, { group: Ledger }),
        Layer.succeed(MeshCaller, { dispatch, peer, identity: orders })
      )
    )
  )

describe("an RPC over the mesh", () => {
  it.scoped("is answered, and a typed failure is an answer", () =>
    Effect.gen(function* () {
      const { client, statuses } = yield* pair()
      expect(yield* client.Charge({ amount: 3 })).toBe(7)
      expect(yield* Effect.flip(client.Charge({ amount: 13 }))).toEqual(new NoMoney({ missing: 3 }))
      const bytes = crypto.getRandomValues(new Uint8Array(60_000))
      expect(Buffer.from(yield* client.Bytes({ bytes }))).toEqual(Buffer.from(bytes))
      expect(statuses).toEqual([200, 200, 200])
    })
  )

  it.scoped("is a call like any: its name is the path, and what may be repeated is a PUT", () =>
    Effect.gen(function* () {
      const { calls, client } = yield* pair()
      yield* client.Balance()
      yield* client.Charge({ amount: 1 })
      expect(calls.map(({ head, service }) => [service, head?.method, head?.target])).toEqual([
        ["ledger", "PUT", "/Balance"],
        ["ledger", "POST", "/Charge"]
      ])
      expect(calls[0]).toMatchObject({ identity: orders, caller: peer, attempt: 0 })
    })
  )

  it.scoped("tells the handler who calls, and headers but those of the mesh", () =>
    Effect.gen(function* () {
      const { calls, client } = yield* pair()
      expect(yield* client.Who()).toBe("orders")
      const forged = { "skein-caller": "admin", "skein.caller": "admin", skein_caller: "admin" }
      const headers = { "x-a": "1", ...forged, "skein-deadline": "250" }
      expect(yield* client.Headers(undefined, { headers })).toEqual({
        "x-a": "1",
        "skein-caller": "orders",
        "skein-deadline": "250"
      })
      expect(calls[1]?.deadline).toBe(250)
      const wrong = client.Who(undefined, { headers: { "skein-deadline": "soon" } })
      expect((yield* Effect.flip(wrong)).message).toContain("skein-deadline")
    })
  )

  it.scoped("is of one trace with what carries it, and with the last node that traced it", () =>
    Effect.gen(function* () {
      const { calls, dispatch, seen } = yield* pair()
      const spanId = "00f067aa0ba902b7"
      const client = yield* clientOf((call, receiver) => {
        calls.push(call)
        const { fields = [] } = call.head ?? {}
        const traced = [
          ...fields.slice(0, 3),
          (fields[3] ?? "").replace(/-[0-9a-f]{16}-/, `-${spanId}-`)
        ]
        const head = { ...call.head!, fields: traced }
        return dispatch({ ...call, head }, receiver)
      })
      const own = yield* Effect.withSpan(
        Effect.zipRight(client.Balance(), Effect.currentSpan),
        "own"
      )
      const [, value] = calls[0]?.head?.fields.slice(2) ?? []
      expect(value).toMatch(new RegExp(`^00-${own.traceId}-[0-9a-f]{16}-01$`))
      expect(seen.parents).toEqual([`${own.traceId} ${spanId}`])
    })
  )

  it.scoped("that dies is the endpoint's failure, and nobody else's", () =>
    Effect.gen(function* () {
      const { client, seen, statuses } = yield* pair()
      const never = yield* Effect.fork(client.Never())
      yield* Deferred.await(seen.begun)
      const exit = yield* Effect.exit(client.Dies())
      expect(Exit.isFailure(exit) && String(exit.cause)).toContain("a bug")
      expect(statuses).toEqual([500])
      expect(yield* client.Balance()).toBe(10)
      expect(never.unsafePoll()).toBeNull()
      yield* Fiber.interrupt(never)
    })
  )

  it.scoped("is interrupted at the server when its client is", () =>
    Effect.gen(function* () {
      const { client, seen } = yield* pair()
      const never = yield* Effect.fork(client.Never())
      yield* Deferred.await(seen.begun)
      yield* Fiber.interrupt(never)
      yield* Deferred.await(seen.interrupted)
    })
  )

  it.scoped("streams, with its failure at the end", () =>
    Effect.gen(function* () {
      const { client } = yield* pair()
      const all = yield* Stream.runCollect(client.Count({ to: 1_000 }))
      expect(Chunk.size(all)).toBe(1_000)
      const some: Array<number> = []
      const failed = client
        .Count({ to: 3 })
        .pipe(Stream.runForEach((n) => Effect.sync(() => void some.push(n))))
      expect(yield* Effect.flip(failed)).toEqual(new NoMoney({ missing: 3 }))
      expect(some).toEqual([1, 2, 3])
    })
  )

  it.scoped("whose stream is read slowly is made slowly, and ends with its reader", () =>
    Effect.gen(function* () {
      const { client, seen } = yield* pair()
      const taken = yield* Stream.runCollect(Stream.take(client.Count({ to: 1_000_000 }), 5))
      expect(Chunk.toReadonlyArray(taken)).toEqual([1, 2, 3, 4, 5])
      yield* Deferred.await(seen.interrupted)
      expect(seen.made).toBeLessThan(10_000)
    })
  )

  it.scoped("that the mesh ends fails with why, in typed fields", () =>
    Effect.gen(function* () {
      const callee = new ScriptedCallee()
      callee.onCall = () =>
        queueMicrotask(() => callee.receiver.onFault({ ...someFault, code: "overflow" }))
      const client = yield* clientOf(callee.dispatch)
      const error = yield* Effect.flip(client.Balance())
      expect(MeshRpc.isMeshError(error) && error.cause).toBeInstanceOf(MeshFault)
      expect(MeshRpc.isMeshError(error) && error.cause.code).toBe("overflow")
      expect(MeshRpc.isMeshError(new NoMoney({ missing: 1 }))).toBe(false)
    })
  )

  it.scoped("is answered in pieces, and ends with what is no answer", () =>
    Effect.gen(function* () {
      const callee = new ScriptedCallee()
      const head = {
        ...{ status: 200, reason: "OK", upgrade: undefined, framing: streamBody },
        fields: ["content-type", rpcType]
      }
      const exit = { _tag: "Success", value: 10 } as const
      const answer = encodeMessage({ _tag: "Exit", requestId: "0", exit })
      const client = yield* clientOf(callee.dispatch)
      const called = yield* Effect.fork(client.Balance())
      yield* Effect.promise(microtasks)
      callee.receiver.onHead(head)
      for (const piece of [answer.subarray(0, 9), answer.subarray(9)]) {
        callee.receiver.onData(piece)
        yield* Effect.promise(microtasks)
      }
      // It may still be a failure of the mesh's.
      expect(called.unsafePoll()).toBeNull()
      callee.receiver.onEnd([])
      expect(yield* Fiber.join(called)).toBe(10)
      expect(callee.cancelled).toBeUndefined()

      const wrong = yield* Effect.fork(Effect.flip(client.Balance()))
      yield* Effect.promise(microtasks)
      callee.receiver.onHead(head)
      callee.receiver.onData(new Uint8Array([0xc1, 0xff]))
      expect((yield* Fiber.join(wrong)).message).toContain(
        "the answer to Balance is none of an RPC"
      )
      expect(callee.cancelled).toBeDefined()
    })
  )

  it.scoped("to what is no RPC server fails in words", () =>
    Effect.gen(function* () {
      const callee = new ScriptedCallee()
      callee.onCall = () =>
        queueMicrotask(() => {
          callee.receiver.onHead({
            ...{
              status: 404,
              reason: "",
              upgrade: undefined,
              fields: ["content-type", "text/html"]
            },
            framing: { kind: "stream" }
          })
        })
      const client = yield* clientOf(callee.dispatch)
      const error = yield* Effect.flip(client.Balance())
      expect(error.message).toBe("Balance was answered with status 404, and not by an RPC server")
      expect(callee.cancelled).toBeDefined()
    })
  )
})

describe("retries of an RPC", () => {
  /** Two endpoints that break off; then, what the program has of it. */
  const callTwo = (
    call: (
      client: Effect.Effect.Success<ReturnType<typeof clientOf>>
    ) => Effect.Effect<unknown, unknown>
  ) =>
    Effect.gen(function* () {
      const mesh = new Fixture({ retry: { attempts: 1 } }, [endpointView("a"), endpointView("b")])
      const client = yield* clientOf(mesh.outbound.dispatch, "payments")
      const called = yield* Effect.fork(Effect.flip(call(client)))
      yield* Effect.promise(microtasks)
      mesh.sent[0]?.fault("upstream_reset", true)
      mesh.ticker.advance(1_000)
      yield* Effect.promise(microtasks)
      mesh.sent[1]?.fault("upstream_reset", true)
      const error = yield* called
      expect(MeshRpc.isMeshError(error) && error.cause.code).toBe("upstream_reset")
      return mesh.sent.map((sent) => sent.call.head?.target)
    })

  it.scoped("are made of one that is annotated Idempotent, and of no other", () =>
    Effect.gen(function* () {
      expect(yield* callTwo((client) => client.Balance())).toEqual(["/Balance", "/Balance"])
      expect(yield* callTwo((client) => client.Charge({ amount: 1 }))).toEqual(["/Charge"])
    })
  )
})

describe("a server of RPCs", () => {
  const type = ["content-type", "application/vnd.skein.rpc+msgpack"]

  it.scoped("answers others in words", () =>
    Effect.gen(function* () {
      const { dispatch } = yield* pair()
      const post = (fields: ReadonlyArray<string>, body: string) =>
        Effect.promise(() => {
          const framing = { kind: "length", length: body.length } as const
          return exchange(dispatch, httpCall({ method: "POST", fields, framing }), body)
        })
      const curl = yield* post([], "x")
      expect([curl.head?.status, curl.text]).toEqual([415, expect.stringContaining("speaks RPC")])
      expect((yield* post(type, "x")).head?.status).toBe(400)
      expect((yield* post(type, "")).head?.status).toBe(400)
    })
  )

  it.scoped("says that it has no such RPC, to this client alone", () =>
    Effect.gen(function* () {
      const { dispatch } = yield* pair()
      const Other = RpcGroup.make(Rpc.make("Other"))
      const statuses: Array<number> = []
      const client = yield* RpcClient.make(Other).pipe(
        Effect.provide(MeshRpc.layerClient("ledger")),
        Effect.provideService(MeshCaller, {
          peer,
          dispatch: (call, receiver) => {
            const onHead = receiver.onHead.bind(receiver)
            receiver.onHead = (head) => {
              statuses.push(head.status)
              onHead(head)
            }
            return dispatch(call, receiver)
          }
        })
      )
      const exit = yield* Effect.exit(client.Other())
      expect(Exit.isFailure(exit) && String(exit.cause)).toContain("Unknown request tag: Other")
      expect(statuses).toEqual([404])
    })
  )

  it.scoped("ends what runs by itself, after the mesh has heard of it", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const { client, events, seen } = yield* pair(scope)
      const never = yield* Effect.fork(client.Never())
      yield* Deferred.await(seen.begun)
      const closing = yield* Effect.fork(Scope.close(scope, Exit.void))
      yield* TestClock.adjust("29 seconds")
      expect(events).toEqual(["withdraw"])
      expect(never.unsafePoll()).toBeNull()
      yield* TestClock.adjust("1 second")
      yield* closing
      const error = yield* Effect.flip(never)
      expect(MeshRpc.isMeshError(error) && error.cause.code).toBe("upstream_reset")
    })
  )
})
