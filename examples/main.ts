/**
 * The one command of all examples:
 *
 *     npm run example                      what there is
 *     npm run example -- rpc               as a story; Ctrl-C ends it
 *     npm run example -- rpc --once        as a checklist that ends with 0 or 1
 *     npm run example -- --all --once      each of them, one after the other
 */
import { existsSync, readdirSync } from "node:fs"
import { join } from "node:path"
import { Console, Effect } from "effect"
import type { Example } from "./stage/Example.ts"
import { makeNarrator } from "./stage/Narrator.ts"

const names = readdirSync(import.meta.dirname)
  .filter((name) => existsSync(join(import.meta.dirname, name, "example.ts")))
  .sort()

const load = async (name: string): Promise<Example> => {
  const module: { readonly example: Example } = await import(`./${name}/example.ts`)
  return module.example
}

const usage = async (): Promise<string> => {
  const all = await Promise.all(names.map(async (name) => [name, await load(name)] as const))
  const width = Math.max(...names.map((name) => name.length))
  return [
    "npm run example -- NAME [--once]    (--once: checks itself and ends with 0 or 1)",
    ...all.map(([name, { shows }]) => `  ${name.padEnd(width)}  ${shows}`)
  ].join("\n")
}

/** Whether it came out as it should. Whatever way it ends, no process and no file is left behind. */
const play = (name: string, once: boolean, args: ReadonlyArray<string>): Effect.Effect<boolean> =>
  Effect.gen(function* () {
    const { run } = yield* Effect.promise(() => load(name))
    const narrator = makeNarrator(once)
    const tries = yield* run({ narrator, once, args })
    if (once || tries.length === 0) return true
    yield* narrator.say("Try things yourself (Ctrl-C ends it all):", ...tries, "")
    return yield* Effect.never
  }).pipe(
    Effect.scoped,
    Effect.catchAll(({ message }) => Effect.as(Console.error(message), false))
  )

const main = async (): Promise<number> => {
  const given = process.argv.slice(2)
  const once = given.includes("--once")
  const [name, ...args] = given.filter((word) => word !== "--once")
  const chosen = name === "--all" ? names : names.filter((it) => it === name)
  if (chosen.length === 0) {
    console.log(
      name === undefined ? await usage() : `there is no example ${name}\n${await usage()}`
    )
    return name === undefined ? 0 : 2
  }
  const plays = Effect.forEach(chosen, (it) =>
    (chosen.length > 1 ? Console.log(`── ${it}`) : Effect.void).pipe(
      Effect.zipRight(play(it, once, args))
    )
  )
  const fiber = Effect.runFork(plays)
  for (const signal of ["SIGINT", "SIGTERM"]) {
    process.once(signal, () => fiber.unsafeInterruptAsFork(fiber.id()))
  }
  const exit = await Effect.runPromise(fiber.await)
  if (exit._tag === "Success") return exit.value.every(Boolean) ? 0 : 1
  // Somebody who ends a story ends it as it is meant to be ended; a checklist has not come to its end.
  return once ? 1 : 0
}

process.exit(await main())
