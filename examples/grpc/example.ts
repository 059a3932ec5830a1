/**
 * Four gRPC services in four languages, which call each other by names, on a mesh of three nodes:
 *
 *     npm run example -- grpc [--once] [--languages typescript,python,go,java]
 */
import { randomBytes } from "node:crypto"
import { join } from "node:path"
import { Console, Effect, Schema, type Scope } from "effect"
import { runChild, runOn } from "../stage/Child.ts"
import type { Example, Stage } from "../stage/Example.ts"
import { eventually, StepFailed } from "../stage/StepFailed.ts"
import { traceTree } from "../stage/TraceCollector.ts"
import { callPaths } from "./stage/Calls.ts"
import {
  type Language,
  languageOf,
  programOf,
  serviceNames,
  spoken,
  wantedLanguages
} from "./stage/Languages.ts"
import { canUnshare, unshare } from "./stage/Names.ts"
import { customerOf, openShop, type Shop } from "./stage/Shop.ts"

const By = Schema.Struct({ by: Schema.String })

/** As much of an order as is checked. */
const Order = Schema.parseJson(
  Schema.Struct({
    by: Schema.String,
    reservation: Schema.Struct({ ...By.fields, readyInDays: Schema.Literal(2) }),
    receipt: Schema.Struct({ ...By.fields, cents: Schema.Literal(300) }),
    progress: Schema.NonEmptyArray(Schema.Struct({ ...By.fields, what: Schema.String }))
  })
)

/** Of an order of tea, whose trace has this id: 300 cents, two days, three words of shipping. */
const order = (shop: Shop, trace: string) =>
  runChild({
    ...customerOf(shop),
    args: ["tea", `00-${trace}-${randomBytes(8).toString("hex")}-01`]
  }).pipe(
    Effect.flatMap(({ stdout }) => Schema.decode(Order)(stdout)),
    Effect.mapError(({ message }) => new StepFailed({ message }))
  )

/** Who called whom, each through two nodes. */
const paths = [
  "order",
  "order > inventory",
  "order > inventory > shipping",
  "order > payment",
  "order > payment > inventory",
  "order > shipping"
]

const acts = (shop: Shop, { step }: Stage["narrator"], wanted: ReadonlyArray<Language>) =>
  Effect.gen(function* () {
    const trace = randomBytes(16).toString("hex")
    const answer = yield* step(
      "a customer orders tea, by names alone",
      order(shop, trace),
      ({ receipt, progress }) => `${receipt.cents} cents, ${progress.at(-1)?.what}`
    )
    const { by, reservation, receipt, progress } = answer
    const said = [by, reservation.by, receipt.by, progress[0].by]
    const meant = serviceNames.map((service) => spoken[languageOf(service, wanted)])
    yield* step(
      "every program has answered, the last by a stream",
      Effect.filterOrFail(
        Effect.succeed(said),
        () => said.join() === meant.join() && progress.length === 3,
        () => new StepFailed({ message: `it was ${said.join(", ")}, not ${meant.join(", ")}` })
      ),
      (all) => all.join(", ")
    )
    const spans = yield* step(
      "one trace has both ends of all six calls",
      eventually(
        paths.join(", "),
        15,
        Effect.suspend(() => {
          const spans = shop.collector.trace(trace)
          const found = callPaths(spans)
          if (found.join() === paths.join()) return Effect.succeed(spans)
          return new StepFailed({ message: found.join(", ") })
        })
      ),
      (all) => `${all.length} spans`
    )
    yield* Console.log(
      traceTree(spans)
        .map((line) => `    ${line}`)
        .join("\n")
    )
  })

/** What the programs and nodes last said, before their files are gone. */
const lastWords = ({ programs }: Shop): Effect.Effect<void> =>
  Effect.forEach(
    programs,
    ({ service, child }) => Console.error(`\n── ${service}\n${child.output()}`),
    { discard: true }
  )

const tries = (shop: Shop, inside: boolean): ReadonlyArray<string> => {
  const { runtime, script, env } = customerOf(shop)
  const [pid] = shop.programs.map(({ child }) => child.pid)
  if (!inside) {
    const settings = Object.entries(env).map(([name, value]) => `${name}=${value}`)
    return [`  ${[...settings, runtime.at(-1), script].join(" ")} tea`]
  }
  return [
    "A shell on host-a, where names of services lead to them:",
    `  nsenter --target ${pid} --user --net --mount --preserve-credentials sh`,
    `  ${process.execPath} ${script} tea`,
    `  curl -s http://${shop.nodes[0]?.admin}/api/v1/services`
  ]
}

const here = (stage: Stage, wanted: ReadonlyArray<Language>, inside: boolean) =>
  Effect.gen(function* () {
    const shop = yield* openShop(stage.narrator, wanted, inside)
    yield* acts(shop, stage.narrator, wanted).pipe(Effect.tapError(() => lastWords(shop)))
    return tries(shop, inside)
  })

/** This very command again, where resolv.conf is ours. It speaks for itself. */
const within = ({
  once,
  args
}: Stage): Effect.Effect<ReadonlyArray<string>, StepFailed, Scope.Scope> =>
  Effect.as(
    runOn({
      name: "the example in its namespaces",
      runtime: [...unshare, process.execPath],
      script: join(import.meta.dirname, "..", "main.ts"),
      args: ["grpc", "--inside", ...args, ...(once ? ["--once"] : [])]
    }),
    []
  )

export const example: Example = {
  shows: "four gRPC services in TypeScript, Python, Go and Java, which call each other by names",
  run: (stage) =>
    Effect.gen(function* () {
      const { args, narrator } = stage
      const wanted = yield* wantedLanguages(args)
      if (args.includes("--inside")) return yield* here(stage, wanted, true)
      yield* narrator.step(
        "there is a program of each service",
        Effect.forEach(serviceNames, (service) => programOf(service, wanted)),
        () => ""
      )
      const alone = canUnshare()
      yield* narrator.say(
        alone
          ? "Everything runs in namespaces of its own, with a resolv.conf that names the host's node."
          : "This system lets us have no namespaces: gRPC is told by dns:// whom to ask for names."
      )
      return yield* alone ? within(stage) : here(stage, wanted, false)
    })
}
