/** In which ways a peer runs in one question: with how many threads, and what it is called then. */
import type { BenchOptions } from "../Question.ts"
import type { PeerName } from "./Peer.ts"

export interface Way {
  readonly name: PeerName
  /** Undefined: one, and for Skein what it takes by itself. */
  readonly threads: number | undefined
  /** In tables. */
  readonly label: string
  /** Label of the way that this one is also divided by. */
  readonly over: string | undefined
}

/** What each peer calls what it can have several of; the others have one whatever is asked. */
const words: Readonly<Partial<Record<PeerName, string>>> = {
  skein: "thread",
  haproxy: "thread",
  nginx: "worker",
  envoy: "thread"
}

/** Plural in place, so that `1 thread` and `2 threads` read as they are said. */
const labelOf = (name: PeerName, threads: number, word: string): string =>
  `${name}, ${threads} ${word}${threads === 1 ? "" : "s"}`

type Asked = Pick<BenchOptions, "threads" | "peerThreads">

const list = (counts: ReadonlyArray<number>): string => {
  const last = counts.at(-1)
  return counts.length < 2 ? `${last}` : `${counts.slice(0, -1).join(", ")} and ${last}`
}

const ownColumn = "; / own: over the first of its kind"

const ownThreads = (threads: Asked["threads"]): string => {
  if (threads === undefined) return ""
  const word = threads.length === 1 && threads[0] === 1 ? "thread" : "threads"
  return `; Skein with ${list(threads)} request ${word}`
}

/** For the line above a table without peers; empty when nothing was said of threads. */
export const describeThreads = (threads: Asked["threads"]): string =>
  ownThreads(threads) + ((threads?.length ?? 0) > 1 ? ownColumn : "")

/** The same where peers stand beside. */
export const describeWays = ({ threads, peerThreads }: Asked): string => {
  const more = peerThreads?.filter((count) => count > 1) ?? []
  if (threads === undefined && more.length === 0) return ""
  const peers = `; peers with one${more.length === 0 ? "" : `, and with ${list(more)}`}`
  const own = (threads?.length ?? 0) > 1 || more.length > 0 ? ownColumn : ""
  return `${ownThreads(threads)}${peers}${own}`
}

/**
 * Skein as often as it was asked for, each time under its number. A peer always runs with one, under
 * its bare name, since the others are divided by that; and with more where that was asked for.
 */
export const waysOf = (name: PeerName, { threads, peerThreads }: Asked): ReadonlyArray<Way> => {
  const word = words[name]
  const isSkein = name === "skein"
  const asked = isSkein ? threads : peerThreads?.filter((count) => count > 1)
  const bare: Way = { name, threads: undefined, label: name, over: undefined }
  if (word === undefined || asked === undefined) return [bare]
  const [first] = isSkein ? asked.map((count) => labelOf(name, count, word)) : [name]
  const more = asked.map((count): Way => {
    const label = labelOf(name, count, word)
    return { name, threads: count, label, over: label === first ? undefined : first }
  })
  return isSkein ? more : [bare, ...more]
}
