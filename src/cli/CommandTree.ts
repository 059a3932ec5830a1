/** The commands as plain data: what the library knows of them, without how it would show it. */
import * as CliConfig from "@effect/cli/CliConfig"
import * as CommandDescriptor from "@effect/cli/CommandDescriptor"
import type * as HelpDoc from "@effect/cli/HelpDoc"
import type * as Span from "@effect/cli/HelpDoc/Span"
import type * as Usage from "@effect/cli/Usage"
import { HashMap, Option } from "effect"
import { byText } from "../model/TextOrder.ts"

export interface CommandOption {
  /** As they are written: `-o`, `--output`. */
  readonly names: ReadonlyArray<string>
  /** What stands behind it (`file`, `table | json`); undefined: nothing does. */
  readonly value: string | undefined
  readonly required: boolean
  readonly about: string
}

export interface CommandArgument {
  /** `NAME` */
  readonly name: string
  readonly required: boolean
  /** Any number of them may stand there; it is the last one. */
  readonly repeated: boolean
  readonly about: string
}

export interface CommandNode {
  readonly name: string
  /** How it is called: `skein config check`. */
  readonly path: string
  readonly about: string
  readonly options: ReadonlyArray<CommandOption>
  readonly arguments: ReadonlyArray<CommandArgument>
  readonly subcommands: ReadonlyArray<CommandNode>
}

type Descriptor = CommandDescriptor.Command<unknown>

/** What every command takes, and the library acts upon before it reads anything else. */
export const globalOptions: ReadonlyArray<CommandOption> = [
  { names: ["-h", "--help"], value: undefined, required: false, about: "What a command takes" },
  {
    names: ["--log-level"],
    value: "all | trace | debug | info | warning | error | fatal | none",
    required: false,
    about: "The least level that is logged (also: SKEIN_LOG_LEVEL; default: info)"
  },
  { names: ["--version"], value: undefined, required: false, about: "Which version this is" },
  {
    names: ["--completions"],
    value: "sh | bash | fish | zsh",
    required: false,
    about: "Print a script that completes commands in a shell"
  },
  { names: ["--wizard"], value: undefined, required: false, about: "Be asked for each option" }
]

interface Part {
  readonly names: ReadonlyArray<string>
  readonly value: string | undefined
  readonly required: boolean
  readonly repeated?: boolean
}

/** Options and arguments, in their order; the command's own name comes first. */
const parts = (usage: Usage.Usage, required = true): ReadonlyArray<Part> => {
  switch (usage._tag) {
    case "Named":
      return [{ names: usage.names, value: Option.getOrUndefined(usage.acceptedValues), required }]
    case "Optional":
      return parts(usage.usage, false)
    case "Repeated":
      return parts(usage.usage, false).map((part) => ({ ...part, repeated: true }))
    case "Concat":
      return [...parts(usage.left, required), ...parts(usage.right, required)]
    case "Alternation":
      return [...parts(usage.left, false), ...parts(usage.right, false)]
    case "Empty":
    case "Mixed":
      return []
  }
}

const textOf = (span: Span.Span): string => {
  switch (span._tag) {
    case "Sequence":
      return textOf(span.left) + textOf(span.right)
    case "Text":
    case "URI":
      return span.value
    default:
      return textOf(span.value)
  }
}

/** What the library says of every option of a kind, beside what was said of this one. */
const boilerplate =
  /^(A user-defined piece of text\.|An? (file|directory|integer)\.|A true or false value\.|One of the following: .*|This (setting|option) is (optional|set to .*)\.?|This (argument|option) may be repeated .*)$/

/** Paragraphs that were written for this command. */
const paragraphs = (doc: HelpDoc.HelpDoc): ReadonlyArray<string> => {
  switch (doc._tag) {
    case "Paragraph": {
      const text = textOf(doc.value)
      return boilerplate.test(text) ? [] : [text]
    }
    case "Sequence":
      return [...paragraphs(doc.left), ...paragraphs(doc.right)]
    default:
      return []
  }
}

/** By name, as it stands in the list of options and arguments. */
const descriptions = (doc: HelpDoc.HelpDoc): ReadonlyArray<readonly [string, string]> => {
  switch (doc._tag) {
    case "DescriptionList":
      return doc.definitions.map(([span, text]) => [textOf(span), paragraphs(text).join(" ")])
    case "Sequence":
      return [...descriptions(doc.left), ...descriptions(doc.right)]
    default:
      return []
  }
}

/** Made when it is first asked for, and kept. */
const once = <A>(make: () => A): (() => A) => {
  let made: { readonly value: A } | undefined
  return () => {
    made ??= { value: make() }
    return made.value
  }
}

/**
 * Of most command lines only the names on their way down matter, and those are right: what a command
 * takes, and how it is described, is read when somebody asks.
 */
const nodeOf = (
  path: string,
  descriptor: Descriptor,
  subcommandsOf: () => ReadonlyArray<CommandNode>
): CommandNode => {
  const help = once(() => CommandDescriptor.getHelp(descriptor, CliConfig.defaultConfig))
  const about = (part: Part): string => {
    const found = descriptions(help()).find(([text]) =>
      part.names.some((name) =>
        text
          .replaceAll("...", "")
          .split(/[ (),]+/)
          .includes(name)
      )
    )
    return found?.[1] ?? ""
  }
  const own = once(() => parts(CommandDescriptor.getUsage(descriptor)).slice(1))
  const options = once(() =>
    own()
      .filter(({ names }) => names[0]?.startsWith("-"))
      .map((part) => ({
        ...part,
        get about() {
          return about(part)
        }
      }))
  )
  const args = once(() =>
    own()
      .filter(({ names }) => names[0]?.startsWith("<"))
      .map((part) => ({
        name: part.names[0]?.replace(/[<>]/g, "") ?? "",
        required: part.required,
        repeated: part.repeated === true,
        get about() {
          return about(part)
        }
      }))
  )
  const subcommands = once(subcommandsOf)
  return {
    name: path.split(" ").at(-1) ?? path,
    path,
    get about() {
      return paragraphs(help())[0] ?? ""
    },
    get options() {
      return options()
    },
    get arguments() {
      return args()
    },
    get subcommands() {
      return subcommands()
    }
  }
}

/** Of a descriptor the library knows the commands one level below, in no order. */
const below = (descriptor: Descriptor): ReadonlyArray<readonly [string, Descriptor]> =>
  Array.from(HashMap.entries(CommandDescriptor.getSubcommands(descriptor))).sort(([a], [b]) =>
    byText(a, b)
  )

const nameOf = (descriptor: Descriptor): string =>
  Array.from(CommandDescriptor.getNames(descriptor))[0] ?? ""

/** `commands`: those below `root`, in the order in which they are shown. */
export const commandTree = (root: Descriptor, commands: ReadonlyArray<Descriptor>): CommandNode => {
  const rootName = nameOf(root)
  const children = commands.map((command) => {
    const name = nameOf(command)
    const path = `${rootName} ${name}`
    const deeper = () =>
      below(command)
        .filter(([nested]) => nested !== name)
        .map(([nested, child]) => nodeOf(`${path} ${nested}`, child, () => []))
    return nodeOf(path, command, deeper)
  })
  return nodeOf(rootName, root, () => children)
}
