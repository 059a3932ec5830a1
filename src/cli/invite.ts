/** `skein invite`: a token that lets one more host in. The token alone goes to stdout. */
import * as Command from "@effect/cli/Command"
import * as HelpDoc from "@effect/cli/HelpDoc"
import * as Options from "@effect/cli/Options"
import * as ValidationError from "@effect/cli/ValidationError"
import { Clock, Console, Effect, Either, Schema } from "effect"
import { withAdmin } from "../admin/AdminClient.ts"
import { InviteRequest } from "../admin/ControlModel.ts"
import { requestPatterns } from "../mesh/trust/Grant.ts"
import { maxInviteNames, maxInviteUses } from "../mesh/trust/InviteLimits.ts"
import { timeLimit } from "../schema/Duration.ts"
import { explain } from "../schema/ExplainIssue.ts"
import { NodeName } from "../schema/NamesSchema.ts"
import { chosenControl, controlOptions } from "./ChosenNode.ts"
import { span } from "./Figures.ts"
import { readAs } from "./NodeAddress.ts"
import { print } from "./View.ts"

const words = (text: string): ReadonlyArray<string> =>
  text
    .split(",")
    .map((word) => word.trim())
    .filter((word) => word !== "")

const { services: Services, capabilities: Capabilities } = InviteRequest.fields

/** The words of an option through a Schema, each problem with the word it is about. */
const readList =
  <A, I extends ReadonlyArray<string>>(schema: Schema.Schema<A, I>, option: string) =>
  (text: string): Effect.Effect<A, ValidationError.ValidationError> =>
    Either.mapLeft(Schema.decodeUnknownEither(schema)(words(text)), ({ issue }) => {
      const message = explain(issue)
        .map(({ message }) => message)
        .join("; ")
      return ValidationError.invalidValue(HelpDoc.p(`${option}: ${message}`))
    })

const Uses = Schema.Int.pipe(Schema.between(1, maxInviteUses))
const Names = Schema.Array(NodeName).pipe(Schema.minItems(1), Schema.maxItems(maxInviteNames))

const hosts = (uses: number | undefined): string =>
  uses === undefined ? "any number of hosts" : uses === 1 ? "one host" : `${uses} hosts`

const as = (names: ReadonlyArray<string> | undefined): string =>
  names === undefined ? "" : ` called ${names.join(" or ")}`

const readCapabilities = readList(Capabilities, "--capabilities")

const inviteOptions = {
  ...controlOptions,
  services: Options.text("services").pipe(
    Options.withPseudoName("a,b"),
    Options.withDefault("*"),
    Options.mapEffect(readList(Services, "--services")),
    Options.withDescription(
      "Services the new node may offer, by name or pattern: payments,shop-* (default: *, all)"
    )
  ),
  as: Options.text("as").pipe(
    Options.withPseudoName("a,b"),
    Options.withDefault(""),
    Options.mapEffect(readList(requestPatterns, "--as")),
    Options.withDescription(
      "Services the new node may speak for in calls beside those it may offer, by name or pattern"
    )
  ),
  capabilities: Options.text("capabilities").pipe(
    Options.withPseudoName("admit,policy,revoke"),
    Options.withDefault("admit"),
    Options.mapEffect((text) => readCapabilities(text === "none" ? "" : text)),
    Options.withDescription(
      "What else it may do: admit others (the default, so that no node is special), change policies, revoke; or none"
    )
  ),
  uses: Options.text("uses").pipe(
    Options.withPseudoName("number"),
    Options.withDefault("1"),
    Options.mapEffect((text) =>
      text === "any"
        ? Effect.succeed(undefined)
        : readAs(Schema.compose(Schema.NumberFromString, Uses), "--uses")(text)
    ),
    Options.withDescription("How many hosts may join with it (default: 1), or any")
  ),
  name: Options.text("name").pipe(
    Options.withPseudoName("a,b"),
    Options.withDefault(""),
    Options.mapEffect((text) =>
      text === "" ? Effect.succeed(undefined) : readList(Names, "--name")(text)
    ),
    Options.withDescription(
      "What the new node must be called: one of these (default: it may choose)"
    )
  ),
  ttl: Options.text("ttl").pipe(
    Options.withPseudoName("duration"),
    Options.withDefault("1h"),
    Options.mapEffect(readAs(timeLimit("1s", "30d"), "--ttl")),
    Options.withDescription("How long the token can be used (default: 1h; at most 30d)")
  )
}

export const invite = Command.make("invite", inviteOptions, (choice) =>
  Effect.gen(function* () {
    const control = yield* chosenControl(choice)
    const payload = {
      services: choice.services,
      speaks: choice.as,
      capabilities: choice.capabilities,
      ttlMs: Math.round(choice.ttl),
      ...(choice.uses !== undefined && { uses: choice.uses }),
      ...(choice.name !== undefined && { names: choice.name })
    }
    const result = yield* withAdmin(control, (client) => client.actions.invite({ payload }))
    yield* print(`${result.token}\n`)
    for (const warning of result.warnings) yield* Console.error(`warning: ${warning}`)
    const left = result.expiresAt - (yield* Clock.currentTimeMillis)
    yield* Console.error(
      `whoever has this token can join for ${span(left)}, ${hosts(choice.uses)}${as(choice.name)}; on the new host: skein join TOKEN --config FILE (or --token-file FILE: what stands in a command line, others see)`
    )
  })
).pipe(Command.withDescription("Print a token that lets a new host join"))
