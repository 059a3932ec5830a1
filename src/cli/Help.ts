/** The page of help of a command: one line for each thing it takes. */
import { type CommandNode, type CommandOption, globalOptions } from "./CommandTree.ts"
import { tinted } from "./Table.ts"

const optionText = ({ names, value }: CommandOption): string =>
  `${names.join(", ")}${value === undefined ? "" : ` ${value}`}`

const usageOf = (command: CommandNode): string => {
  if (command.subcommands.length > 0) return `${command.path} COMMAND`
  const options = command.options.map((option) => {
    const text = `${option.names.at(-1)}${option.value === undefined ? "" : ` ${option.value}`}`
    return option.required ? text : `[${text}]`
  })
  const args = command.arguments.map(({ name, repeated, required }) => {
    const text = repeated ? `${name}…` : name
    return required ? text : `[${text}]`
  })
  return [command.path, ...args, ...options].join(" ")
}

/** Name and meaning per line, meanings aligned unless a name is very long. */
const rows = (
  pairs: ReadonlyArray<readonly [name: string, about: string]>
): ReadonlyArray<string> => {
  const widest = 34
  const width = Math.max(...pairs.map(([name]) => (name.length > widest ? 0 : name.length)))
  return pairs.map(([name, about]) =>
    name.length > widest
      ? `  ${name}\n  ${" ".repeat(width)}  ${about}`
      : `  ${name.padEnd(width)}  ${about}`.trimEnd()
  )
}

/** Ends without a newline. */
export const renderHelp = (command: CommandNode, version: string, colour: boolean): string => {
  const head = (text: string) => tinted(text, "head", colour)
  const section = (title: string, pairs: ReadonlyArray<readonly [string, string]>) =>
    pairs.length === 0 ? [] : ["", head(title), ...rows(pairs)]
  const isRoot = command.path === command.name
  const optionRows = (options: ReadonlyArray<CommandOption>) =>
    options.map((option) => [optionText(option), option.about] as const)
  return [
    `${isRoot ? `${command.path} ${version}` : command.path}: ${command.about}`,
    "",
    head("USAGE"),
    `  ${usageOf(command)}`,
    ...section(
      "COMMANDS",
      command.subcommands.map(({ name, about }) => [name, about])
    ),
    ...section(
      "ARGUMENTS",
      command.arguments.map(({ name, about }) => [name, about])
    ),
    ...section("OPTIONS", optionRows(command.options)),
    ...(isRoot ? section("OPTIONS OF EVERY COMMAND", optionRows(globalOptions)) : []),
    "",
    command.subcommands.length > 0
      ? `\`${command.path} COMMAND --help\` says what a command takes.`
      : "`skein --help` lists all commands, and the options that every one takes."
  ].join("\n")
}
