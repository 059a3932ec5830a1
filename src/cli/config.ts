/** `skein config check|schema`: is a config right, and what may stand in it. */
import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import { Console, Effect, Option } from "effect"
import { readConfig } from "../config/ConfigFile.ts"
import { configJsonSchema } from "../config/ConfigJsonSchema.ts"
import { settingJsonSchema } from "../config/SettingJsonSchema.ts"
import { warn, wrongUsage } from "./CommandFailed.ts"
import { counted } from "./Figures.ts"
import { environment } from "./NodeAddress.ts"
import { print } from "./View.ts"

const file = Args.text({ name: "FILE" }).pipe(
  Args.withDescription("The config file (default: SKEIN_CONFIG)"),
  Args.optional
)

const check = Command.make("check", { file }, (choice) =>
  Effect.gen(function* () {
    const { config } = yield* environment
    const path = Option.orElse(choice.file, () => config)
    if (Option.isNone(path))
      return yield* wrongUsage("name the config to check, or set SKEIN_CONFIG")
    const { config: read, warnings } = yield* readConfig(path.value)
    const { node, services, programs, upstreams, policies } = read
    yield* warn(warnings)
    yield* Console.error(
      `${path.value} is right: node ${node.name}, ${counted(services.length, "service")}, ${counted(programs.length, "place")} for programs, ${counted(upstreams.length, "upstream")}, policies for ${counted(Object.keys(policies).length, "service")}`
    )
  })
).pipe(Command.withDescription("Say every problem of a config, without starting anything"))

const what = Args.choice([
  ["config", "config"],
  ["settings", "settings"]
] as const).pipe(
  Args.withDefault("config" as const),
  Args.withDescription("Of what: config (default), or settings: the files of skein apply")
)

const schema = Command.make("schema", { what }, (choice) =>
  Effect.suspend(() => print(choice.what === "config" ? configJsonSchema() : settingJsonSchema()))
).pipe(Command.withDescription("Print the JSON Schema of the config or of settings, for editors"))

export const config = Command.make("config").pipe(
  Command.withSubcommands([check, schema]),
  Command.withDescription("Check a config, or print its JSON Schema")
)
