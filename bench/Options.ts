/** The command line. */
import { existsSync } from "node:fs"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { type PeerName, peerNames } from "./peers/Peer.ts"
import type { BenchOptions, Question } from "./Question.ts"

/** Kept in the repository: what `--compare` and `--save` mean when no file is named. */
export const baseline = join(import.meta.dirname, "baseline.json")

export class WrongUsage extends Error {}

export interface CommandLine {
  /** Absent: list the questions. */
  readonly question: string | undefined
  readonly compare: string | undefined
  readonly save: string | undefined
  readonly markdown: boolean
  readonly options: (question: Question) => BenchOptions
}

const positive = (name: string, text: string | undefined): number | undefined => {
  if (text === undefined) return undefined
  const value = Number(text)
  if (Number.isFinite(value) && value > 0) return value
  throw new WrongUsage(`--${name} ${text}: not a number above 0`)
}

const whole = (name: string, text: string | undefined): number | undefined => {
  const value = positive(name, text)
  if (value === undefined || Number.isInteger(value)) return value
  throw new WrongUsage(`--${name} ${text}: not a whole number`)
}

const isPeer = (text: string): text is PeerName => peerNames.some((name) => name === text)

const peersOf = (text: string | undefined): ReadonlyArray<PeerName> | undefined =>
  text?.split(",").map((name) => {
    if (isPeer(name)) return name
    throw new WrongUsage(`--peers ${name}: not a peer; there are ${peerNames.join(", ")}`)
  })

/** `--compare` and `--save` may stand without a file, which parseArgs cannot express. */
const withFiles = (args: ReadonlyArray<string>): Array<string> =>
  args.flatMap((arg, i) => {
    const next = args[i + 1]
    const bare = (arg === "--compare" || arg === "--save") && (next ?? "--").startsWith("--")
    return bare ? [arg, baseline] : [arg]
  })

/** Throws WrongUsage. */
export const readCommandLine = (args: ReadonlyArray<string>): CommandLine => {
  const text = { type: "string" } as const
  const flag = { type: "boolean", default: false } as const
  let parsed: ReturnType<typeof parse>
  const parse = () =>
    parseArgs({
      args: withFiles(args),
      allowPositionals: true,
      options: {
        rounds: text,
        seconds: text,
        minutes: text,
        peers: text,
        cases: text,
        profile: text,
        compare: text,
        save: text,
        quick: flag,
        sources: flag,
        markdown: flag
      }
    })
  try {
    parsed = parse()
  } catch (cause) {
    throw new WrongUsage(cause instanceof Error ? cause.message : String(cause))
  }
  const { values, positionals } = parsed
  if (positionals.length > 1)
    throw new WrongUsage(`one question at a time: ${positionals.join(" ")}`)
  if (values.compare !== undefined && !existsSync(values.compare)) {
    throw new WrongUsage(`--compare ${values.compare}: there is no such file; --save writes one`)
  }
  const rounds = whole("rounds", values.rounds)
  const seconds = positive("seconds", values.seconds)
  const minutes = positive("minutes", values.minutes)
  const peers = peersOf(values.peers)
  return {
    // A comparison without a question is about the one that matters most.
    question: positionals[0] ?? (values.compare === undefined ? undefined : "http"),
    compare: values.compare,
    save: values.save,
    markdown: values.markdown,
    options: ({ defaults }) => ({
      rounds: rounds ?? (values.quick ? 2 : defaults.rounds),
      seconds: seconds ?? (values.quick ? 1 : defaults.seconds),
      minutes: minutes ?? (values.quick ? 2 : 30),
      quick: values.quick,
      built: !values.sources,
      peers,
      cases: values.cases?.split(","),
      profiles: values.profile
    })
  }
}
