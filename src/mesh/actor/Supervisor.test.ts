import { expect, it } from "@effect/vitest"
import { Effect, Logger, TestClock } from "effect"
import { type Child, Supervisor } from "./Supervisor.ts"

const quiet = Logger.remove(Logger.defaultLogger)
const mailbox = () => ({ size: 0, dropped: 0 })

/** Lives for `life` milliseconds, over and over; remembers how each life began. */
const mortal = (name: string, life: number) => {
  const births: Array<boolean> = []
  const child: Child = {
    name,
    mailbox,
    live: (fresh) =>
      Effect.suspend(() => {
        births.push(fresh)
        return Effect.zipRight(Effect.sleep(life), Effect.fail(`${name} died`))
      })
  }
  return { child, births }
}

const policy = { base: 100, max: 10_000, jitter: 0, restarts: 2, window: 60_000, quiet: 60_000 }

it.scoped("the root never gives up: it waits its longest and begins from scratch", () =>
  Effect.gen(function* () {
    const root = yield* Supervisor
    const { child, births } = mortal("a", 1)
    yield* root.supervise(child)
    yield* TestClock.adjust(1_000)
    // First life, two plain restarts, then the third crash within the window.
    expect(births).toEqual([true, false, false])
    expect(root.actors()).toMatchObject([{ name: "a", state: "failed", lastError: "a died" }])
    yield* TestClock.adjust(policy.max)
    expect(births.slice(0, 4)).toEqual([true, false, false, true])
  }).pipe(Effect.provide([Supervisor.layer(policy), quiet]))
)

it.scoped("a group restarts all its children when one is escalated; the rest stays", () =>
  Effect.gen(function* () {
    const root = yield* Supervisor
    const outside = mortal("outside", 1e9)
    yield* root.supervise(outside.child)
    const group = yield* root.group("mesh")
    const sick = mortal("sick", 1)
    const healthy = mortal("healthy", 1e9)
    yield* group.supervise(sick.child)
    yield* group.supervise(healthy.child)
    yield* TestClock.adjust(304)
    expect(healthy.births).toEqual([true])
    yield* TestClock.adjust(200)
    expect(healthy.births).toEqual([true, true])
    expect(sick.births.slice(0, 4)).toEqual([true, false, false, true])
    expect(outside.births).toEqual([true])
    expect(root.actors().map(({ name }) => name)).toEqual(["outside", "mesh/sick", "mesh/healthy"])
  }).pipe(Effect.provide([Supervisor.layer(policy), quiet]))
)

it.scoped("a group that restarts too often is escalated itself", () =>
  Effect.gen(function* () {
    const root = yield* Supervisor
    const group = yield* root.group("mesh")
    const sick = mortal("sick", 1)
    const healthy = mortal("healthy", 1e9)
    yield* group.supervise(sick.child)
    yield* group.supervise(healthy.child)
    // A round takes 303 ms and the group waits 100, then 200 ms; the third goes to the root.
    yield* TestClock.adjust(1_210 + policy.max - 5)
    expect(healthy.births.length).toBe(3)
    yield* TestClock.adjust(10)
    expect(healthy.births.length).toBe(4)
  }).pipe(Effect.provide([Supervisor.layer(policy), quiet]))
)

it.effect("forgets a child with its scope", () =>
  Effect.gen(function* () {
    const root = yield* Supervisor
    yield* Effect.scoped(root.supervise(mortal("a", 1e9).child))
    expect(root.actors()).toEqual([])
  }).pipe(Effect.provide(Supervisor.layer(policy)))
)
