import { expect, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Logger, LogLevel, Random, TestClock } from "effect"
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

it.scoped("says when it has failed itself, and not before", () =>
  Effect.gen(function* () {
    const root = yield* Supervisor
    const told: Array<string> = []
    const listening = Logger.replace(
      Logger.defaultLogger,
      Logger.make(({ logLevel, message }) => {
        if (logLevel === LogLevel.Fatal) told.push(String(message))
      })
    )
    const broken = yield* Effect.fork(root.broken)
    yield* root.supervise(mortal("well", 1).child).pipe(Effect.provide(listening))
    yield* TestClock.adjust(1)
    expect(broken.unsafePoll()).toBeNull()
    // What chooses the pause before the next life throws.
    yield* root.supervise(mortal("odd", 1).child).pipe(
      Effect.withRandom({
        ...Random.fixed([0.5]),
        get next(): never {
          throw new TypeError("no dice")
        }
      }),
      Effect.provide(listening)
    )
    yield* TestClock.adjust(1)
    const exit = yield* Fiber.await(broken)
    expect(String(Exit.isFailure(exit) && Cause.squash(exit.cause))).toMatch(
      /^SupervisorBroken: what keeps the actor odd alive has itself failed: no dice/
    )
    expect(told).toHaveLength(1)
    expect(root.actors()).toMatchObject([
      { name: "well", state: "restarting" },
      { name: "odd", state: "failed" }
    ])
  }).pipe(Effect.provide(Supervisor.layer(policy)))
)

it.scoped("takes a life that cannot begin for one that has crashed", () =>
  Effect.gen(function* () {
    const root = yield* Supervisor
    const live = () => {
      throw new TypeError("no life")
    }
    yield* root.supervise({ name: "a", mailbox, live })
    yield* TestClock.adjust(10)
    expect(root.actors()).toMatchObject([{ state: "restarting", lastError: "TypeError: no life" }])
  }).pipe(Effect.provide([Supervisor.layer(policy), quiet]))
)

it.effect("forgets a child with its scope", () =>
  Effect.gen(function* () {
    const root = yield* Supervisor
    yield* Effect.scoped(root.supervise(mortal("a", 1e9).child))
    expect(root.actors()).toEqual([])
  }).pipe(Effect.provide(Supervisor.layer(policy)))
)
