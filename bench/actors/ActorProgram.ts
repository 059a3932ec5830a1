/**
 * Runs actors, and calls those of this host and of the other: `ActorProgram.ts WAY HOST AT DIRECTORY`. Says `ready`
 * when one has answered; then each line of its input is an order, whose outcome is a line of JSON.
 */
import { createInterface } from "node:readline"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { Cause, Effect, Logger, LogLevel, Schedule, Schema } from "effect"
import { quantile } from "../Statistics.ts"
import { answerOf, hostOf, isWay, Order, Outcome, question } from "./ActorContract.ts"
import { layerOf } from "./ActorWays.ts"
import { Call } from "./Call.ts"

const [way, host = "", at = "", directory = ""] = process.argv.slice(2)
if (!isWay(way)) throw new Error(`no way ${way}`)

/** Actors that calls are spread over. */
const spread = 64
/** And of which so many are looked at, to find as many on each host. */
const known = 1_024

type CallFunction = Call["Type"]

const outcome = (began: number, times: Array<number>, errors: number, moved = 0): Outcome => ({
  ...{ calls: times.length, errors, moved, seconds: (performance.now() - began) / 1_000 },
  heap: process.memoryUsage().heapUsed,
  p50: times.length === 0 ? 0 : quantile(times, 0.5),
  p99: times.length === 0 ? 0 : quantile(times, 0.99)
})

const idsOf = (count: number): ReadonlyArray<string> =>
  Array.from({ length: count }, (_, i) => `${i}`)

const ask = (call: CallFunction, id: string): Effect.Effect<string> =>
  call(id, question).pipe(
    // For who looks what it was like (log level debug): it is counted by those who ask.
    Effect.tapErrorCause((cause) => Effect.logDebug(Cause.pretty(cause))),
    Effect.catchAllCause(() => Effect.succeed(""))
  )

/** Calls that ask nobody else never leave Effect's microtasks: sockets wait for seconds, unless they are let in. */
const letIn = Effect.async<void>((resume) => void setImmediate(() => resume(Effect.void)))
const asksBetween = 32

type Where = "here" | "there"

const found: Partial<Record<Where, ReadonlyArray<string>>> = {}

/** Actors of this host, or of the other. Tried again until there are some: hosts hear of each other in a while. */
const find = (call: CallFunction, where: Where): Effect.Effect<ReadonlyArray<string>, Error> => {
  const before = found[where]
  return before === undefined ? look(call, where) : Effect.succeed(before)
}

const look = (call: CallFunction, where: Where) =>
  Effect.forEach(
    idsOf(known),
    (id) => Effect.map(ask(call, id), (answer) => [id, answer] as const),
    {
      concurrency: spread
    }
  ).pipe(
    Effect.map((all) =>
      all
        .filter(([, answer]) => answer !== "" && (hostOf(answer) === host) === (where === "here"))
        .map(([id]) => id)
        .slice(0, spread)
    ),
    Effect.filterOrFail(
      ({ length }) => length === spread,
      () => new Error(`there are no actors ${where}`)
    ),
    Effect.retry({ schedule: Schedule.spaced("100 millis"), times: 200 }),
    Effect.tap((ids) =>
      Effect.sync(() => {
        found[where] = ids
      })
    )
  )

const run = (call: CallFunction, { calls, concurrency, where }: Extract<Order, { do: "call" }>) =>
  Effect.gen(function* () {
    const ids = yield* find(call, where)
    const times: Array<number> = []
    let errors = 0
    let next = 0
    const began = performance.now()
    const caller = Effect.gen(function* () {
      while (next < calls) {
        const id = ids[next++ % ids.length] ?? ""
        const since = performance.now()
        const answer = yield* ask(call, id)
        times.push(performance.now() - since)
        if (next % asksBetween === 0) yield* letIn
        const isRight = answer === answerOf(hostOf(answer), question)
        if (!isRight || (hostOf(answer) === host) !== (where === "here")) errors++
      }
    })
    yield* Effect.all(
      Array.from({ length: concurrency }, () => caller),
      { concurrency: "unbounded", discard: true }
    )
    return outcome(began, times, errors)
  })

/** Those that wait their turn are asked, so many at a time, until none is left; `then` says who waits again. */
const askAll = (
  call: CallFunction,
  waiting: Array<string>,
  then: (id: string, answer: string) => boolean
) => {
  let next = 0
  const caller = Effect.gen(function* () {
    for (;;) {
      const id = waiting[next++]
      if (id === undefined) return
      const answer = yield* ask(call, id)
      if (then(id, answer)) waiting.push(id)
      if (next % asksBetween === 0) yield* letIn
    }
  })
  return Effect.all(
    Array.from({ length: spread }, () => caller),
    { concurrency: "unbounded", discard: true }
  )
}

setFlagsFromString("--expose-gc")
/** Gives back to the system what is free, too. */
const collect = (): void =>
  void runInNewContext("gc({ type: 'major', execution: 'sync', flavor: 'last-resort' })")

const begin = (call: CallFunction, actors: number) =>
  Effect.gen(function* () {
    const began = performance.now()
    let errors = 0
    const times: Array<number> = []
    yield* askAll(call, [...idsOf(actors)], (_, answer) => {
      if (answer === "") errors++
      times.push(0)
      return false
    })
    yield* Effect.sleep("1 second")
    collect()
    return outcome(began, times, errors)
  })

const take = (call: CallFunction, { actors, from }: Extract<Order, { do: "take" }>) =>
  Effect.gen(function* () {
    const theirs: Array<string> = []
    let errors = 0
    yield* askAll(call, [...idsOf(actors)], (id, answer) => {
      if (answer === "") errors++
      else if (hostOf(answer) !== host) theirs.push(id)
      return false
    })
    const times: Array<number> = []
    const moved = theirs.length
    const began = performance.now()
    process.kill(from, "SIGTERM")
    yield* askAll(call, theirs, (_, answer) => {
      times.push(0)
      if (answer === "") errors++
      return hostOf(answer) !== host
    })
    return outcome(began, times, errors, moved)
  })

const obey = (call: CallFunction, order: Order) => {
  switch (order.do) {
    case "call":
      return run(call, order)
    case "begin":
      return begin(call, order.actors)
    case "take":
      return take(call, order)
  }
}

const program = Effect.gen(function* () {
  const call = yield* Call
  yield* Effect.retry(call("0", question), {
    schedule: Schedule.spaced("100 millis"),
    times: 200
  })
  console.log("ready")
  const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
  for (;;) {
    const line = yield* Effect.promise(() => lines.next())
    if (line.done === true) return
    const answer = yield* obey(call, Schema.decodeUnknownSync(Order)(line.value))
    console.log(Schema.encodeSync(Outcome)(answer))
  }
}).pipe(
  Effect.provide(layerOf(way, { host, at, directory })),
  Logger.withMinimumLogLevel(LogLevel.Warning)
)

const fiber = Effect.runFork(program)
process.once("SIGTERM", () => fiber.unsafeInterruptAsFork(fiber.id()))
fiber.addObserver((exit) =>
  process.exit(exit._tag === "Success" || Cause.isInterruptedOnly(exit.cause) ? 0 : 1)
)
