/** A question the bench answers, and what it is given to do so. */
import type { PeerName } from "./peers/Peer.ts"
import type { Result, Row } from "./Result.ts"
import type { ToolName, Tools } from "./Tools.ts"

export interface BenchOptions {
  readonly rounds: number
  readonly seconds: number
  readonly minutes: number
  readonly quick: boolean
  readonly peers: ReadonlyArray<PeerName> | undefined
  /** Names of cases; undefined: all. */
  readonly cases: ReadonlyArray<string> | undefined
  /** Run Skein from dist/, as it is shipped, instead of src/. */
  readonly built: boolean
  /** Write CPU profiles of the Skein nodes here. */
  readonly profiles: string | undefined
  /** Run Skein once for each of these numbers of request threads; undefined: once, as it comes. */
  readonly threads: ReadonlyArray<number> | undefined
  /** The same of the peers that have threads or workers; undefined: with one. */
  readonly peerThreads: ReadonlyArray<number> | undefined
  /** Of how many nodes the question is asked, one after the other; empty where that is no matter. */
  readonly nodes: ReadonlyArray<number>
}

/** What a question takes when the command line does not say. */
interface Usual {
  readonly rounds: number
  readonly seconds: number
  /** Default: it is not asked of a number of nodes. */
  readonly nodes?: ReadonlyArray<number>
}

export interface Bench {
  readonly options: BenchOptions
  readonly tools: Tools
  /** Gone when the run is over. */
  readonly directory: string
  /** What must be stopped when the run is over, in the reverse order. */
  readonly stack: AsyncDisposableStack
  /** Tells whoever waits what is being done. */
  readonly say: (progress: string) => void
}

export interface Answer {
  readonly method: string
  readonly rows: ReadonlyArray<Row>
  readonly absent: Result["absent"]
}

export interface Question {
  readonly name: string
  /** One line for the list. */
  readonly asks: string
  readonly needs: ReadonlyArray<ToolName>
  readonly measures: Result["measures"]
  /** The peer others are divided by. */
  readonly reference?: string
  readonly cases: ReadonlyArray<string>
  readonly defaults: Usual
  /** What `--quick` means. Default: 2 rounds of 1 s. */
  readonly quick?: Usual
  /**
   * Of what threads may be asked: Skein and its peers side by side, several ways of running a node,
   * one such way. Default: of nothing.
   */
  readonly threads?: "pairs" | "nodes" | "node"
  readonly answer: (bench: Bench) => Promise<Answer>
}

/** The cases that are wanted; throws when one is not this question's. */
export const casesOf = <Case extends { readonly name: string }>(
  all: ReadonlyArray<Case>,
  wanted: ReadonlyArray<string> | undefined
): ReadonlyArray<Case> => {
  if (wanted === undefined) return all
  const unknown = wanted.find((name) => !all.some((it) => it.name === name))
  if (unknown !== undefined) {
    const names = all.map(({ name }) => name).join(", ")
    throw new Error(`--cases ${unknown}: not a case of this question; there are ${names}`)
  }
  return all.filter(({ name }) => wanted.includes(name))
}
