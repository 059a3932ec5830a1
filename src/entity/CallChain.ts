/**
 * Messages that wait for each other: an actor that handles one of them sends another, and its answer waits for
 * that one's. All of them have the id of the first, which goes with each message, and with it the calls that wait
 * for that very one. So an actor that is sent a message by what it waits for itself can be told from a busy one,
 * and may let it in (`Reentrant`); and where it does not, the error can say who waits for whom.
 *
 * A message that is told (`discard: true`) begins anew: nobody waits for it.
 */
import { randomInt, randomUUID } from "node:crypto"
import type * as Rpc from "@effect/rpc/Rpc"
import { Context, Option } from "effect"
import { type ActorAddress, formatAddress } from "./ActorAddress.ts"

export interface CallChain {
  /** One for all of them. */
  readonly id: string
  /**
   * The calls that wait for this message, the first of them first. Branches of what was sent side by side have
   * the chain's id in common, and not these.
   */
  readonly calls: ReadonlyArray<number>
  /** The actors that wait, the first of them first; the latest 16, or fewer with long ids. */
  readonly path: ReadonlyArray<string>
}

/** So many may wait for each other. One more is refused: reentrant actors could call each other for ever. */
export const maxDepth = 64
const maxPath = 16

/**
 * A message that an actor may handle while it waits for what the same chain of messages comes to:
 * `Rpc.make("Balance", …).annotate(Actor.Reentrant, true)`.
 */
export class Reentrant extends Context.Tag("skein/entity/Reentrant")<Reentrant, boolean>() {}

export const isReentrant = ({ annotations }: Rpc.AnyWithProps): boolean =>
  Option.getOrElse(Context.getOption(annotations, Reentrant), () => false)

export const newChainId = (): string => randomUUID()

// Of other hosts are others, or a chain that comes through two of them would have one twice.
let lastCall = randomInt(2 ** 32)

/** Of one that an actor has under way. */
export const newCall = (): number => ++lastCall

/** The chain of that call of an actor which handles a message of `before`, or the first one of `id`. */
export const longerChain = (
  id: string,
  before: CallChain | undefined,
  address: ActorAddress,
  call: number
): CallChain => ({
  id,
  calls: [...(before?.calls ?? []), call],
  path: [...(before?.path ?? []), formatAddress(address)].slice(-maxPath)
})

/** `Cart/a → Stock/b → Cart/a`, where the actor waits for what this message comes to. */
export const cycleOf = (chain: CallChain | undefined, to: ActorAddress): string | undefined => {
  const name = formatAddress(to)
  const from = chain?.path.lastIndexOf(name) ?? -1
  return chain === undefined || from === -1
    ? undefined
    : [...chain.path.slice(from), name].join(" → ")
}

/**
 * Of a message that was not answered in time, and why that is, where it is known. `circle`: one that it has waited in,
 * though it does not close it itself.
 */
export const lateText = (
  chain: CallChain | undefined,
  to: ActorAddress,
  circle?: string
): string => {
  const cycle = cycleOf(chain, to)
  if (cycle !== undefined) {
    return `has not answered in time: it waits for itself (${cycle}), and the message is not reentrant`
  }
  return circle === undefined
    ? "has not answered in time"
    : `has not answered in time: it was in a circle of actors that wait for each other (${circle}), and the message that closes it is not reentrant`
}

// ── Between hosts ─────────────────────────────────────────────────────────────────────────────

/** Under this field of a call's head. */
export const chainField = "skein-actor-chain"

/** Under this one of an interim head (102): the message waits for actors that wait for each other. */
export const circleField = "skein-actor-circle"

/** And under this one when it does so no more. */
export const circleOverField = "skein-actor-circle-over"

/** Characters of one: what is longer says less, and a head has an end. */
const maxCircle = 1_024

export const formatCircle = (circle: string): string => encodeURI(cut(circle).toWellFormed())

export const readCircle = (text: string): string | undefined => {
  try {
    return cut(decodeURI(text))
  } catch {
    return undefined
  }
}

const cut = (circle: string): string =>
  circle.length <= maxCircle ? circle : `${circle.slice(0, maxCircle)}…`

/** Bytes of the path in a head, which has room for 32 KiB: ids may take nine for each character. */
const maxPathBytes = 6 * 1024

/** With the latest of the path that there is room for, and always one. */
export const formatChain = ({ calls, id, path }: CallChain): string => {
  const names = path.map(encodeURIComponent)
  let bytes = names.reduce((sum, { length }) => sum + length + 1, 0)
  let from = 0
  while (bytes > maxPathBytes && from < names.length - 1) bytes -= names[from++]!.length + 1
  const waiting = calls.map((call) => call.toString(36)).join(",")
  return [id, waiting, ...names.slice(from)].join(" ")
}

const idPattern = /^[\w-]{1,64}$/
/** Below 2^53. */
const callPattern = /^[0-9a-z]{1,10}$/

/** Undefined: it is none. */
export const readChain = (text: string): CallChain | undefined => {
  const [id = "", said = "", ...path] = text.split(" ")
  const calls = said.split(",")
  if (!idPattern.test(id) || path.length === 0 || path.length > maxPath) return undefined
  if (calls.length < path.length || calls.length > maxDepth + 1) return undefined
  if (!calls.every((call) => callPattern.test(call))) return undefined
  try {
    const numbers = calls.map((call) => Number.parseInt(call, 36))
    return { id, calls: numbers, path: path.map(decodeURIComponent) }
  } catch {
    return undefined
  }
}
