/**
 * What a command line asks for, as far as that can be said better than by the library that carries
 * it out: the help of a command, or what is wrong, with the command or option that was meant.
 */

import { nearest } from "../model/NearestKey.ts"
import { quote } from "../schema/ExplainIssue.ts"
import {
  type CommandArgument,
  type CommandNode,
  type CommandOption,
  globalOptions
} from "./CommandTree.ts"

export type Reading =
  /** Nothing to say: it is to be carried out. */
  | { readonly kind: "run" }
  | { readonly kind: "help"; readonly command: CommandNode }
  | { readonly kind: "mistake"; readonly message: string }

const run: Reading = { kind: "run" }

const mistake = (command: CommandNode, what: string, known: string): Reading => ({
  kind: "mistake",
  message: `${what}\n  \`${command.path} --help\` says ${known}.`
})

/** As it is written behind `skein`, which stands before every message. */
const label = ({ path }: CommandNode): string => path.replace(/^\S+ /, "")

const meant = (word: string, known: ReadonlyArray<string>): string => {
  const one = nearest(word, known)
  return one === undefined ? "" : `; did you mean ${one}?`
}

/** What people call things elsewhere, and here. */
const elsewhere: ReadonlyMap<string, string> = new Map([
  ["start", "up"],
  ["run", "up"],
  ["serve", "up"],
  ["stop", "drain or leave (SIGTERM ends the process)"],
  ["token", "invite"],
  ["nodes", "members"],
  ["ls", "services"],
  ["list", "services"],
  ["check", "doctor, or config check"],
  ["validate", "config check"],
  ["wait", "await"],
  ["version", "--version"]
])

const meantCommand = (command: CommandNode, word: string, atRoot: boolean): string => {
  const other = atRoot ? elsewhere.get(word) : undefined
  const names = command.subcommands.map(({ name }) => name)
  return other === undefined ? meant(word, names) : `; did you mean ${other}?`
}

const child = (command: CommandNode, word: string): CommandNode | undefined =>
  command.subcommands.find(({ name }) => name === word)

/** The command whose help is wanted: options between the words are passed over. */
const deepest = (command: CommandNode, words: ReadonlyArray<string>): CommandNode =>
  words.reduce((at, word) => child(at, word) ?? at, command)

const optionsOf = (command: CommandNode): ReadonlyArray<CommandOption> => [
  ...command.options,
  ...globalOptions
]

const longNames = (options: ReadonlyArray<CommandOption>): ReadonlyArray<string> =>
  options.flatMap(({ names }) => names.filter((name) => name.startsWith("--")))

/** A value that cannot be one of the option's; undefined when it may be. */
const wrongValue = (
  command: CommandNode,
  name: string,
  option: CommandOption,
  value: string | undefined
): Reading | undefined => {
  const wanted = option.value ?? ""
  if (value === undefined || optionsOf(command).some(({ names }) => names.includes(value))) {
    return mistake(command, `${name} needs a value: ${name} ${wanted}`, "what it takes")
  }
  if (!wanted.includes(" | ")) return undefined
  const words = wanted.split(" | ")
  if (words.includes(value)) return undefined
  const what = `${name} ${quote(value)} is not one of ${words.join(", ")}${meant(value, words)}`
  return mistake(command, what, "what it takes")
}

const wrongArguments = (
  command: CommandNode,
  words: ReadonlyArray<string>
): Reading | undefined => {
  const missing: CommandArgument | undefined = command.arguments
    .slice(words.length)
    .find(({ required }) => required)
  if (missing !== undefined) {
    const about = missing.about === "" ? "" : `: ${missing.about}`
    const what = `${label(command)} needs ${missing.name}${about}`
    return mistake(command, what, "what it takes")
  }
  const surplus = words[command.arguments.length]
  if (surplus === undefined || command.arguments.at(-1)?.repeated === true) return undefined
  const takes = command.arguments.map(({ name }) => name).join(" ")
  const but = takes === "" ? "takes no arguments" : `takes ${takes} and no more`
  return mistake(command, `${label(command)} ${but}, and not ${quote(surplus)}`, "what it takes")
}

/** `words`: behind `skein`. */
export const readCommandLine = (root: CommandNode, words: ReadonlyArray<string>): Reading => {
  let command = root
  const given: Array<string> = []
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!
    if (word === "--") {
      given.push(...words.slice(i + 1))
      break
    }
    if (!/^-./.test(word)) {
      const next = child(command, word)
      if (next === undefined && command === root && word === "help") {
        return { kind: "help", command: deepest(root, words.slice(i + 1)) }
      }
      if (next === undefined && command.subcommands.length > 0) {
        const path = command === root ? word : `${label(command)} ${word}`
        const hint = meantCommand(command, word, command === root)
        const what = `there is no command ${quote(path)}${hint}`
        return mistake(command, what, "which there are")
      }
      if (next === undefined) given.push(word)
      else command = next
      continue
    }
    const equals = word.indexOf("=")
    const name = equals === -1 ? word : word.slice(0, equals)
    const option = optionsOf(command).find(({ names }) => names.includes(name))
    if (option === undefined) {
      const hint = meant(name, longNames(optionsOf(command)))
      return mistake(command, `${label(command)} has no option ${name}${hint}`, "which it has")
    }
    if (option.names.includes("--help")) {
      return { kind: "help", command: deepest(command, words.slice(i + 1)) }
    }
    if (option.value === undefined) {
      // The library does these in place of the command, whatever else stands there.
      if (globalOptions.includes(option)) return run
      continue
    }
    const value = equals === -1 ? words[++i] : word.slice(equals + 1)
    const wrong = wrongValue(command, name, option, value)
    if (wrong !== undefined) return wrong
    if (option.names.includes("--completions")) return run
  }
  if (command.subcommands.length > 0) return { kind: "help", command }
  return wrongArguments(command, given) ?? run
}
