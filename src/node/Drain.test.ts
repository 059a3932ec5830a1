import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Scope, TestClock } from "effect"
import { makeMembers } from "../../test/fixtures/Members.ts"
import { makeRecordDoor } from "../mesh/catalogue/RecordDoor.ts"
import { RecordRefused } from "../mesh/catalogue/RecordRefused.ts"
import { MeshRpcError } from "../mesh/host/MeshRpc.ts"
import type { MeshRpcClient } from "../mesh/host/MeshRpcClients.ts"
import type { NodeRecord } from "../model/NodeRecord.ts"
import { Drain, type DrainOptions } from "./Drain.ts"

const [me, ...others] = makeMembers(4, 0)
const door = makeRecordDoor({ current: me! })

const entryOf = (state: NodeRecord["state"]) =>
  door.seal(
    {
      peer: me!.peer,
      name: me!.name,
      addresses: [],
      epoch: 0,
      version: 0,
      signedAt: 0,
      state,
      services: [],
      software: "1"
    },
    0
  )

type Answer = (peer: string) => Effect.Effect<void, MeshRpcError>

interface Change extends Partial<DrainOptions> {
  readonly answer?: Answer
}

const make = (change: Change = {}) =>
  Effect.gen(function* () {
    const events: Array<string> = []
    const served = yield* Deferred.make<void>()
    const { answer = () => Effect.void, ...rest } = change
    const drain = yield* Drain.make({
      catalogue: {
        updateOwn: ({ state = "serving" }) =>
          Effect.suspend(() => {
            events.push(`record ${state}`)
            return entryOf(state)
          })
      },
      keeper: { connectedPeers: () => others.map(({ peer }) => peer) },
      threads: {
        drain: () => {
          events.push("refuse")
          return Effect.runPromise(Deferred.await(served))
        }
      },
      clients: {
        // Only this question is ever asked here.
        client: (peer) =>
          Effect.succeed({
            DrainNotice: () => Effect.tap(answer(peer), () => events.push("told"))
          } as Partial<MeshRpcClient> as MeshRpcClient)
      },
      inFlight: Effect.succeed(1),
      deadline: () => 30_000,
      ...rest
    })
    return { drain, events, served }
  })

const announcing = ["record draining", "told", "told", "told", "refuse"]

describe("Drain", () => {
  it.scoped("says it, then has the threads refuse, and waits for what runs there", () =>
    Effect.gen(function* () {
      const { drain, events, served } = yield* make()
      expect(drain.state).toBe("serving")
      expect(yield* drain.begin).toEqual({ acknowledged: 3, told: 3 })
      expect(events).toEqual(announcing)
      expect(drain.state).toBe("draining")
      const finished = yield* Effect.fork(drain.finished)
      yield* TestClock.adjust("29 seconds")
      expect(finished.unsafePoll()).toBeNull()
      yield* Deferred.succeed(served, undefined)
      yield* Fiber.join(finished)
      expect(drain.state).toBe("drained")
    })
  )

  it.scoped("happens once, and everybody who asks gets the same answer", () =>
    Effect.gen(function* () {
      const gate = yield* Deferred.make<void>()
      const { drain, events } = yield* make({ answer: () => Deferred.await(gate) })
      const asked = yield* Effect.fork(Effect.all([drain.begin, drain.begin], { concurrency: 2 }))
      yield* TestClock.adjust(1)
      const later = yield* Effect.fork(drain.begin)
      yield* TestClock.adjust(1)
      expect([asked.unsafePoll(), later.unsafePoll()]).toEqual([null, null])
      yield* Deferred.succeed(gate, undefined)
      const same = { acknowledged: 3, told: 3 }
      expect(yield* Fiber.join(asked)).toEqual([same, same])
      expect(yield* Fiber.join(later)).toEqual(same)
      expect(events).toEqual(announcing)
    })
  )

  it.scoped("goes on when whoever asked for it is gone", () =>
    Effect.gen(function* () {
      const { drain, events, served } = yield* make({ answer: () => Effect.sleep("500 millis") })
      const asked = yield* Effect.fork(drain.begin)
      yield* TestClock.adjust(1)
      yield* Fiber.interrupt(asked)
      yield* TestClock.adjust("1 second")
      expect(events).toEqual(announcing)
      yield* Deferred.succeed(served, undefined)
      yield* drain.finished
    })
  )

  it.scoped("does not wait longer than a second for an answer, nor for one that refuses", () =>
    Effect.gen(function* () {
      const { drain, events } = yield* make({
        answer: (peer) =>
          peer === others[0]!.peer
            ? Effect.never
            : peer === others[1]!.peer
              ? new MeshRpcError({ code: "unavailable", message: "gone" })
              : Effect.void
      })
      const asked = yield* Effect.fork(drain.begin)
      yield* TestClock.adjust("1 second")
      expect(yield* Fiber.join(asked)).toEqual({ acknowledged: 1, told: 3 })
      expect(events.slice(-2)).toEqual(["told", "refuse"])
    })
  )

  for (const [name, updateOwn] of [
    ["fails", () => Effect.fail(new RecordRefused({ code: "full", message: "no room" }))],
    ["breaks", () => Effect.die("bug")],
    ["hangs", () => Effect.never]
  ] as const) {
    it.scoped(`stops taking work also when the announcement ${name}`, () =>
      Effect.gen(function* () {
        const { drain, events } = yield* make({ catalogue: { updateOwn } })
        const asked = yield* Effect.fork(drain.begin)
        yield* TestClock.adjust("5 seconds")
        expect(yield* Fiber.join(asked)).toEqual({ acknowledged: 0, told: 0 })
        expect(events).toEqual(["refuse"])
      })
    )
  }

  for (const [name, wrap] of [
    ["by a fiber", (it: Effect.Effect<void>) => it],
    ["where nothing can be interrupted", (it: Effect.Effect<void>) => Effect.uninterruptible(it)]
  ] as const) {
    it.scoped(`ends at the deadline, asked for ${name}`, () =>
      Effect.gen(function* () {
        const { drain } = yield* make()
        const finished = yield* Effect.fork(wrap(drain.finished))
        yield* TestClock.adjust("29 seconds")
        expect(finished.unsafePoll()).toBeNull()
        yield* TestClock.adjust("1 second")
        yield* Fiber.join(finished)
        expect(drain.state).toBe("drained")
      })
    )
  }

  it.effect("ends at the deadline as the last will of an interrupted fiber", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const { drain, events } = yield* Scope.extend(make(), scope)
      const node = yield* Effect.fork(Effect.onInterrupt(Effect.never, () => drain.finished))
      yield* TestClock.adjust(1)
      const stopping = yield* Effect.fork(Fiber.interrupt(node))
      yield* TestClock.adjust("30 seconds")
      yield* Fiber.join(stopping)
      expect(events).toEqual(announcing)
      yield* Scope.close(scope, Exit.void)
    })
  )

  it.effect("can be asked for by the finalizer of the scope it lives in", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const { drain, events, served } = yield* Scope.extend(make(), scope)
      yield* Deferred.succeed(served, undefined)
      yield* Scope.addFinalizer(scope, drain.finished)
      yield* Scope.close(scope, Exit.void)
      expect(events).toEqual(announcing)
    })
  )

  it.effect("lets nobody wait for a node that has stopped", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const { drain } = yield* Scope.extend(make({ answer: () => Effect.never }), scope)
      const waiting = yield* Effect.fork(drain.leave)
      yield* TestClock.adjust(1)
      yield* Scope.close(scope, Exit.void)
      expect(yield* Fiber.join(waiting)).toEqual({ acknowledged: 0, told: 0 })
      yield* drain.finished
    })
  )
})

describe("leaving", () => {
  it.scoped("drains first, then says good-bye, once", () =>
    Effect.gen(function* () {
      const { drain, events, served } = yield* make()
      const leaving = yield* Effect.fork(Effect.all([drain.leave, drain.leave], { concurrency: 2 }))
      const left = yield* Effect.fork(drain.left)
      yield* TestClock.adjust("10 seconds")
      expect(events).toEqual(announcing)
      expect(left.unsafePoll()).toBeNull()
      yield* Deferred.succeed(served, undefined)
      const same = { acknowledged: 3, told: 3 }
      expect(yield* Fiber.join(leaving)).toEqual([same, same])
      expect(yield* Fiber.join(left)).toEqual(same)
      expect(events).toEqual([...announcing, "record left", "told", "told", "told"])
      expect(drain.state).toBe("leaving")
    })
  )

  it.scoped("is finished also when whoever asked for it is gone", () =>
    Effect.gen(function* () {
      const { drain, events, served } = yield* make()
      const asked = yield* Effect.fork(drain.leave)
      yield* TestClock.adjust(1)
      yield* Fiber.interrupt(asked)
      yield* Deferred.succeed(served, undefined)
      yield* drain.left
      expect(events).toContain("record left")
    })
  )
})
