/** The command line. */
import { existsSync } from "node:fs"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { type PeerName, peerNames } from "./peers/Peer.ts"
import type { BenchOptions, Question } from "./Question.ts"

/** Kept in the repository: what `--compare` and `--save` mean when no file is named. */
export const baseline = join(import.meta.dirname, "baseline.json")

/** Of a node or a peer: more is a slip of the finger, and each is a pair of processes of its own. */
const mostThreads = 64

/** One that is killed, one that sees it, one more; and what a large host has the memory for. */
const fewestNodes = 3
const mostNodes = 200

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

/** `1,2,4`, each once. */
const counts = (
  name: string,
  text: string | undefined,
  least = 1,
  most = mostThreads
): ReadonlyArray<number> | undefined => {
  const values = text?.split(",").map((one) => {
    const value = Number(one)
    if (Number.isInteger(value) && value >= least && value <= most) return value
    throw new WrongUsage(`--${name} ${text}: ${one} is not a whole number from ${least} to ${most}`)
  })
  if (new Set(values).size === (values?.length ?? 0)) return values
  throw new WrongUsage(`--${name} ${text}: one of them stands there twice`)
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

const quick: Question["defaults"] = { rounds: 2, seconds: 1 }

/** What a question has no use for is refused: a table without it would look like an answer to it. */
const checkThreads = (
  { name, threads: takes }: Question,
  threads: ReadonlyArray<number> | undefined,
  peerThreads: ReadonlyArray<number> | undefined
): void => {
  if (peerThreads !== undefined && takes !== "pairs") {
    throw new WrongUsage(`--peer-threads: ${name} measures no peers with threads`)
  }
  if (threads === undefined) return
  if (takes === undefined) throw new WrongUsage(`--threads: ${name} runs no node with threads`)
  if (takes === "node" && threads.length > 1) {
    throw new WrongUsage(`--threads ${threads.join(",")}: ${name} runs with one number of threads`)
  }
}

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
        threads: text,
        nodes: text,
        "peer-threads": text,
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
  const threads = counts("threads", values.threads)
  const peerThreads = counts("peer-threads", values["peer-threads"])
  const nodes = counts("nodes", values.nodes, fewestNodes, mostNodes)
  return {
    // A comparison without a question is about the one that matters most.
    question: positionals[0] ?? (values.compare === undefined ? undefined : "http"),
    compare: values.compare,
    save: values.save,
    markdown: values.markdown,
    options: (question) => {
      checkThreads(question, threads, peerThreads)
      const usual = values.quick ? (question.quick ?? quick) : question.defaults
      if (nodes !== undefined && question.defaults.nodes === undefined) {
        throw new WrongUsage(`--nodes: ${question.name} is not asked of a number of nodes`)
      }
      return {
        rounds: rounds ?? usual.rounds,
        seconds: seconds ?? usual.seconds,
        minutes: minutes ?? (values.quick ? 2 : 30),
        quick: values.quick,
        built: !values.sources,
        peers,
        cases: values.cases?.split(","),
        profiles: values.profile,
        threads,
        peerThreads,
        nodes: nodes ?? usual.nodes ?? []
      }
    }
  }
}
