/** The version of this program, from its own package.json. */
import { readFile } from "node:fs/promises"
import { Effect, Schema } from "effect"

const Package = Schema.parseJson(Schema.Struct({ version: Schema.String }))

export const softwareVersion: Effect.Effect<string> = Effect.tryPromise(() =>
  readFile(new URL("../../package.json", import.meta.url), "utf8")
).pipe(
  Effect.flatMap(Schema.decode(Package)),
  Effect.map(({ version }) => version),
  // A bundle without its package.json works as well; only the label is poorer.
  Effect.orElseSucceed(() => "unknown")
)
