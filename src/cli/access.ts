/**
 * `skein access check|lint|suggest`: what the rules say that the node asked holds, what is wrong with
 * them, and which would allow what it has seen.
 */
import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import { Effect, Option } from "effect"
import { stringify } from "yaml"
import type {
  AccessAnswer,
  AccessFinding,
  AccessSuggestions,
  NodesAsked
} from "../admin/AccessModel.ts"
import { withAdmin } from "../admin/AdminClient.ts"
import { ServiceName } from "../schema/NamesSchema.ts"
import { chosenNode } from "./ChosenNode.ts"
import { CommandFailed, warn } from "./CommandFailed.ts"
import { counted } from "./Figures.ts"
import { nodeOptions, readAs } from "./NodeAddress.ts"
import { type Column, renderTable, type Tone, tinted } from "./Table.ts"
import { outputOption, print, useColour } from "./View.ts"

const decisions: Record<AccessAnswer["decision"], readonly [words: string, tone: Tone]> = {
  allow: ["allowed", "good"],
  deny: ["denied", "bad"],
  would_deny: ["allowed, and would be denied if what is in audit held", "warn"]
}

/** On one line: `{ from: orders, methods: [ POST ], path: /charge }`. */
const flow = (value: unknown): string =>
  stringify(value, { collectionStyle: "flow", lineWidth: 0 }).trimEnd()

export const renderAnswer = (answer: AccessAnswer, colour: boolean): string => {
  const [words, tone] = decisions[answer.decision]
  const rules = answer.rules.map(
    ({ list, mode, rule, written }) =>
      `  ${rule === answer.rule ? "→" : " "} ${list.padEnd(5)} ${rule}  ${flow(written)}${mode === "audit" ? "  (audit)" : ""}`
  )
  const about = rules.length === 0 ? [] : ["rules about them:", ...rules]
  const { id, name } = answer.caller
  // Who reads no further is to know that the rules are not all there is.
  const isBare = answer.decision === "allow" && answer.notes.length > 0
  const lines = [
    `${isBare ? tinted("allowed by the rules", "warn", colour) : tinted(words, tone, colour)}: ${answer.why}`,
    ...answer.notes.map((note) => `but ${note}`),
    `caller: ${name} (${id})`,
    ...about
  ]
  return `${lines.join("\n")}\n`
}

const callerArgument = Args.text({ name: "FROM" }).pipe(
  Args.withDescription("Who calls: a service (orders), a host (host/ops-1), or a SPIFFE ID")
)
const serviceText = (name: string) =>
  Args.text({ name }).pipe(
    Args.mapEffect((text) => Effect.mapError(readAs(ServiceName, name)(text), ({ error }) => error))
  )

const methodArgument = Args.text({ name: "METHOD" }).pipe(
  Args.withDescription("An HTTP method; without one it is a tunnel, or TCP"),
  Args.optional
)
const pathArgument = Args.text({ name: "PATH" }).pipe(
  Args.withDescription("A path; without one it is /"),
  Args.optional
)

const hostOption = Options.text("host").pipe(
  Options.withPseudoName("name"),
  Options.withDescription(
    "The node that a service calls from: may it speak for that, and is there a rule that denies hosts"
  ),
  Options.optional
)
const portOption = Options.integer("port").pipe(
  Options.withDescription("Where the program listens, for rules about ports"),
  Options.optional
)

const given = <Key extends string, A>(key: Key, value: Option.Option<A>) =>
  Option.match(value, { onNone: () => ({}), onSome: (some) => ({ [key]: some }) })

const check = Command.make(
  "check",
  {
    ...nodeOptions,
    output: outputOption,
    host: hostOption,
    port: portOption,
    from: callerArgument,
    to: serviceText("TO").pipe(Args.withDescription("The service that is called")),
    method: methodArgument,
    path: pathArgument
  },
  (choice) =>
    Effect.gen(function* () {
      const address = yield* chosenNode(choice)
      const answer = yield* withAdmin(address, (client) =>
        client.access.check({
          urlParams: {
            from: choice.from,
            to: choice.to,
            ...given("method", choice.method),
            ...given("path", choice.path),
            ...given("host", choice.host),
            ...given("port", choice.port)
          }
        })
      )
      yield* print(
        choice.output === "json"
          ? `${JSON.stringify(answer, undefined, 2)}\n`
          : renderAnswer(answer, useColour())
      )
      if (answer.decision === "deny") {
        return yield* new CommandFailed({ message: answer.why, silent: true })
      }
    })
).pipe(Command.withDescription("Say whether a call may pass, and by which rule; 1 when it may not"))

const tones: Record<AccessFinding["kind"], Tone> = {
  shadowed: "warn",
  unreachable: "bad",
  unused: "dim",
  closed: "bad",
  unknown: "warn"
}

const columns: ReadonlyArray<Column<AccessFinding>> = [
  { title: "FINDING", cell: ({ kind }) => kind, tone: ({ kind }) => tones[kind] },
  { title: "RULE", cell: ({ rule }) => rule },
  { title: "WHY", cell: ({ message }) => message }
]

/** Who did not say what it has counted. */
const silentLines = ({ answered, silent }: NodesAsked): ReadonlyArray<string> =>
  silent.length === 0
    ? []
    : [
        `of ${counted(answered.length + silent.length, "node")} asked, ${silent.length} did not say what they have seen:`,
        ...silent.slice(0, maxSilent).map(({ node, reason }) => `  ${node}: ${reason}`),
        ...(silent.length > maxSilent ? [`  and ${silent.length - maxSilent} more`] : [])
      ]

/** Named at most. */
const maxSilent = 16

export const renderFindings = (findings: ReadonlyArray<AccessFinding>, colour: boolean): string =>
  renderTable(columns, findings, { colour, empty: "Nothing to say about the access rules." })

const lint = Command.make("lint", { ...nodeOptions, output: outputOption }, (choice) =>
  Effect.gen(function* () {
    const address = yield* chosenNode(choice)
    const found = yield* withAdmin(address, (client) => client.access.lint({}))
    const { findings, nodes } = found
    if (choice.output === "json") yield* print(`${JSON.stringify(found, undefined, 2)}\n`)
    else {
      yield* print(renderFindings(findings, useColour()))
      const lines = silentLines(nodes)
      if (lines.length > 0) yield* warn(lines)
    }
    if (findings.some(({ kind }) => kind !== "unused")) {
      const message = counted(findings.length, "finding")
      return yield* new CommandFailed({ message, silent: true })
    }
  })
).pipe(
  Command.withDescription(
    "Find rules that others make meaningless, or that no call can meet or has met"
  )
)

const placesOf = ({ answered }: NodesAsked): string =>
  answered.length <= 3
    ? answered.join(", ")
    : `${answered.slice(0, 2).join(", ")} and ${answered.length - 2} more nodes`

/** A document for each service, as `skein apply` takes them. */
export const renderSuggestions = ({ nodes, suggestions }: AccessSuggestions): string =>
  suggestions
    .map(({ name, rules, service }) => {
      const calls = rules.reduce((sum, rule) => sum + rule.calls, 0)
      return [
        `# ${counted(calls, "call")} seen at ${placesOf(nodes)}. Look it over, apply it, and leave mode out when it is right.`,
        "kind: access",
        `name: ${name}`,
        `service: ${service}`,
        "mode: audit",
        "allow:",
        ...rules.map(({ calls: of, rule }) => `  - ${flow(rule)} # ${counted(of, "call")}`)
      ].join("\n")
    })
    .map((document) => `${document}\n`)
    .join("---\n")

const nothingSeen = (service: string) => [
  `nothing was seen to be called of ${service} while it was in audit; to have it seen, apply and wait:`,
  `  kind: access`,
  `  name: ${service}`,
  `  service: ${service}`,
  `  mode: audit`,
  `  allow: []`
]

const suggest = Command.make(
  "suggest",
  {
    ...nodeOptions,
    output: Options.choice("output", ["yaml", "json"]).pipe(
      Options.withAlias("o"),
      Options.withDefault("yaml" as const),
      Options.withDescription("yaml for skein apply, json for programs")
    ),
    service: serviceText("SERVICE").pipe(
      Args.withDescription("Of which service; default: of all that are in audit"),
      Args.optional
    )
  },
  (choice) =>
    Effect.gen(function* () {
      const address = yield* chosenNode(choice)
      const found = yield* withAdmin(address, (client) =>
        client.access.suggest({ urlParams: given("service", choice.service) })
      )
      if (choice.output === "json") return yield* print(`${JSON.stringify(found, undefined, 2)}\n`)
      if (found.left > 0) {
        yield* warn([
          `${counted(found.left, "call")} are not in it: there was no room, or no rule can be about their paths`
        ])
      }
      const silent = silentLines(found.nodes)
      if (silent.length > 0) yield* warn(silent)
      if (found.suggestions.length === 0) {
        const about = Option.getOrUndefined(choice.service)
        const lines =
          silent.length > 0 && found.nodes.answered.length === 0
            ? ["nobody said what was called; ask at a node whose certificate grants policy"]
            : about === undefined
              ? ["no service is in audit, or nothing called one that is"]
              : nothingSeen(about)
        return yield* new CommandFailed({ message: lines.join("\n") })
      }
      yield* print(renderSuggestions(found))
    })
).pipe(Command.withDescription("Write rules that allow what was called of services in audit"))

export const access = Command.make("access").pipe(
  Command.withSubcommands([check, lint, suggest]),
  Command.withDescription("Who may call what: ask the rules, find what is wrong, have some written")
)
