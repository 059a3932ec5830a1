import { describe, expect, it } from "@effect/vitest"
import { Chunk, Deferred, Effect, Exit, Fiber, Stream } from "effect"
import { streamBody } from "../model/Exchange.ts"
import { clientOf, NoMoney, orders, pair, peer } from "../testing/LedgerRpc.ts"
import { endpointView, Fixture, microtasks } from "../testing/OutboundFixture.ts"
import { ScriptedCallee, someFault } from "../testing/ScriptedCallee.ts"
import { MeshFault } from "./MeshFault.ts"
import { encodeMessage, rpcType } from "./RpcBody.ts"
import * as MeshRpc from "./RpcOverMesh.ts"

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
