import { expect, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Logger, TestClock } from "effect"
import { type ActorContext, type ActorDefinition, spawn } from "./Actor.ts"
import type { Overflow } from "./Mailbox.ts"
import { type ActorStatus, Supervisor } from "./Supervisor.ts"

type Message =
  | { readonly _tag: "Add"; readonly by: number }
  | { readonly _tag: "Get"; readonly reply: (sum: number) => void }
  | { readonly _tag: "Throw" }
  | { readonly _tag: "Do"; readonly effect: Effect.Effect<void, string> }
  | { readonly _tag: "Fork"; readonly effect: Effect.Effect<void, string> }

type Action =
  | { readonly _tag: "Reply"; readonly reply: (sum: number) => void; readonly sum: number }
  | Extract<Message, { readonly _tag: "Do" | "Fork" }>

const step = (sum: number, message: Message): readonly [number, ReadonlyArray<Action>] => {
  switch (message._tag) {
    case "Add":
      return [sum + message.by, []]
    case "Get":
      return [sum, [{ _tag: "Reply", reply: message.reply, sum }]]
    case "Throw":
      throw new Error("broken step")
    default:
      return [sum, [message]]
  }
}

const interpret = (action: Action, context: ActorContext<Message>): Effect.Effect<void, string> => {
  switch (action._tag) {
    case "Reply":
      return Effect.sync(() => action.reply(action.sum))
    case "Do":
      return action.effect
    case "Fork":
      return context.fork(action.effect)
  }
}

const counter = (
  more: Partial<ActorDefinition<number, Message, Action, string, never>> = {}
): ActorDefinition<number, Message, Action, string, never> => ({
  name: "counter",
  mailbox: { capacity: 4, overflow: "reject" as Overflow },
  initial: () => [0, []],
  step,
  interpret,
  ...more
})

const get = (reply: (sum: number) => void): Message => ({ _tag: "Get", reply })
const add = (by: number): Message => ({ _tag: "Add", by })

/**
 * Lets time pass in steps until the first actor has crashed so often and is in that state: how many
 * turns its fiber takes until it has crashed is not said, and it may still be running its old life.
 */
const reaches = (state: ActorStatus["state"], restarts: number, millis: number) =>
  Effect.flatMap(Supervisor, (supervisor) =>
    TestClock.adjust(millis).pipe(
      Effect.repeat({
        until: () => {
          const actor = supervisor.actors()[0]
          return actor?.state === state && actor.restarts === restarts
        }
      })
    )
  )

/** Time stands still: what is waited for is due. */
const crashed = (restarts = 1) => reaches("restarting", restarts, 0)
const restarted = (restarts = 1) => reaches("running", restarts, 100)

const quiet = Logger.remove(Logger.defaultLogger)

it.scoped("answers in the order of its mailbox", () =>
  Effect.gen(function* () {
    const ref = yield* spawn(counter())
    ref.tell(add(1))
    ref.tell(add(2))
    expect(yield* ref.ask(get, "1 second")).toBe(3)
    ref.tell(add(4))
    expect(yield* ref.ask(get, "1 second")).toBe(7)
  }).pipe(Effect.provide(Supervisor.layer()))
)

it.scoped("is bounded, and says so to who asks", () =>
  Effect.gen(function* () {
    const supervisor = yield* Supervisor
    const ref = yield* spawn(counter())
    ref.tell({ _tag: "Do", effect: Effect.never })
    yield* TestClock.adjust(1)
    expect([1, 2, 3, 4, 5].map((n) => ref.tell(add(n)))).toEqual([true, true, true, true, false])
    const error = yield* Effect.flip(ref.ask(get, "1 second"))
    expect(error.reason).toBe("mailbox_full")
    expect(supervisor.actors()).toMatchObject([{ mailbox: 4, dropped: 2, state: "running" }])
  }).pipe(Effect.provide(Supervisor.layer()))
)

it.scoped("gives up an ask in time", () =>
  Effect.gen(function* () {
    const ref = yield* spawn(counter())
    ref.tell({ _tag: "Do", effect: Effect.never })
    const asking = yield* Effect.fork(Effect.flip(ref.ask(get, "1 second")))
    yield* TestClock.adjust("1 second")
    expect((yield* Fiber.join(asking)).reason).toBe("timeout")
  }).pipe(Effect.provide(Supervisor.layer()))
)

it.scoped("handles a full large mailbox in turns of the event loop", () =>
  Effect.gen(function* () {
    const ref = yield* spawn(counter({ mailbox: { capacity: 1_000, overflow: "reject" } }))
    for (let i = 0; i < 1_000; i++) ref.tell(add(1))
    yield* TestClock.adjust(1)
    expect(yield* ref.ask(get, "1 second")).toBe(1_000)
  }).pipe(Effect.provide(Supervisor.layer()))
)

it.effect("takes nothing once its scope is closed", () =>
  Effect.gen(function* () {
    const ref = yield* Effect.scoped(spawn(counter()))
    expect(ref.tell(add(1))).toBe(false)
    expect((yield* Effect.flip(ref.ask(get, "1 second"))).reason).toBe("stopped")
  }).pipe(Effect.provide(Supervisor.layer()))
)

it.scoped("after a crash starts from its initial state, with its mailbox", () =>
  Effect.gen(function* () {
    const supervisor = yield* Supervisor
    const ref = yield* spawn(counter())
    ref.tell(add(5))
    ref.tell({ _tag: "Throw" })
    ref.tell(add(1))
    yield* crashed()
    expect(supervisor.actors()).toEqual([
      {
        name: "counter",
        state: "restarting",
        restarts: 1,
        mailbox: 1,
        dropped: 0,
        lastError: "Error: broken step"
      }
    ])
    yield* restarted()
    expect(yield* ref.ask(get, "1 second")).toBe(1)
    expect(supervisor.actors()).toMatchObject([{ state: "running", restarts: 1 }])
  }).pipe(Effect.provide([Supervisor.layer(), quiet]))
)

it.scoped("recovers from the last state that a whole step returned", () =>
  Effect.gen(function* () {
    const ref = yield* spawn(counter({ recover: (last) => [last, []] }))
    ref.tell(add(5))
    ref.tell({ _tag: "Throw" })
    ref.tell(add(1))
    yield* restarted()
    expect(yield* ref.ask(get, "1 second")).toBe(6)
  }).pipe(Effect.provide([Supervisor.layer(), quiet]))
)

it.scoped("counts a failing interpreter and a failing forked effect as crashes", () =>
  Effect.gen(function* () {
    const supervisor = yield* Supervisor
    const ref = yield* spawn(counter())
    ref.tell({ _tag: "Do", effect: Effect.fail("no disk") })
    yield* restarted()
    expect(supervisor.actors()).toMatchObject([{ lastError: "no disk" }])
    ref.tell({ _tag: "Fork", effect: Effect.fail("no peer") })
    yield* restarted(2)
    expect(supervisor.actors()).toMatchObject([{ lastError: "no peer" }])
  }).pipe(Effect.provide([Supervisor.layer(), quiet]))
)

it.scoped("interrupts what it forked when it crashes, and disturbs no sibling", () =>
  Effect.gen(function* () {
    const interrupted = yield* Deferred.make<void>()
    const sibling = yield* spawn(counter({ name: "sibling" }))
    sibling.tell(add(7))
    const ref = yield* spawn(counter())
    const forked = Effect.onInterrupt(Effect.never, () => Deferred.succeed(interrupted, undefined))
    ref.tell({ _tag: "Fork", effect: forked })
    ref.tell({ _tag: "Throw" })
    yield* Deferred.await(interrupted)
    expect(yield* sibling.ask(get, "1 second")).toBe(7)
  }).pipe(Effect.provide([Supervisor.layer(), quiet]))
)

it.scoped("does in its order what is done at once and what is waited for", () =>
  Effect.gen(function* () {
    const gate = yield* Deferred.make<void>()
    const done: Array<string> = []
    const ref = yield* spawn<number, string, string, never, never>({
      name: "scribe",
      mailbox: { capacity: 8, overflow: "reject" },
      initial: () => [0, []],
      step: (count, word) => [count + 1, [`${word} 1`, `${word} 2`]],
      interpret: (action) => {
        if (action === "b 1") {
          return Effect.zipRight(
            Deferred.await(gate),
            Effect.sync(() => {
              done.push(action)
            })
          )
        }
        done.push(action)
        return undefined
      }
    })
    for (const word of ["a", "b", "c"]) ref.tell(word)
    yield* TestClock.adjust(0)
    expect(done).toEqual(["a 1", "a 2"])
    yield* Deferred.succeed(gate, undefined)
    yield* TestClock.adjust(0)
    expect(done).toEqual(["a 1", "a 2", "b 1", "b 2", "c 1", "c 2"])
  }).pipe(Effect.provide(Supervisor.layer()))
)

it.scoped("takes a defect of what is done at once for a crash", () =>
  Effect.gen(function* () {
    const ref = yield* spawn(
      counter({
        interpret: () => {
          throw new Error("broken interpreter")
        }
      })
    )
    ref.tell(get(() => undefined))
    yield* crashed()
    const supervisor = yield* Supervisor
    expect(supervisor.actors()[0]?.lastError).toContain("broken interpreter")
  }).pipe(Effect.provide(Supervisor.layer()), Effect.provide(quiet))
)

it.scoped("sends itself its ticks, also after a restart", () =>
  Effect.gen(function* () {
    const ref = yield* spawn(counter({ ticks: [{ every: 1_000, message: () => add(1) }] }))
    // An actor that answers has started its ticks.
    expect(yield* ref.ask(get, "1 second")).toBe(0)
    yield* TestClock.adjust("3500 millis")
    expect(yield* ref.ask(get, "1 second")).toBe(3)
    ref.tell({ _tag: "Throw" })
    yield* restarted()
    expect(yield* ref.ask(get, "1 second")).toBe(0)
    yield* TestClock.adjust("2 seconds")
    expect(yield* ref.ask(get, "1 second")).toBe(2)
  }).pipe(Effect.provide([Supervisor.layer(), quiet]))
)

it.scoped("tells each new state to its publisher", () =>
  Effect.gen(function* () {
    const seen: Array<number> = []
    const ref = yield* spawn(counter({ publish: (sum) => seen.push(sum) }))
    ref.tell(add(1))
    ref.tell(add(1))
    yield* ref.ask(get, "1 second")
    expect(seen.slice(0, 3)).toEqual([0, 1, 2])
  }).pipe(Effect.provide(Supervisor.layer()))
)
