/** One message that all ways have: a small one there, and a small one back that says which host has answered. */
import { Rpc } from "@effect/rpc"
import { Schema } from "effect"

export const Echo = Rpc.make("Echo", { payload: { text: Schema.String }, success: Schema.String })

export const actorType = "Bench"

export const question = "q".repeat(30)
export const answerOf = (host: string, text: string): string => `${host} ${text}`
export const hostOf = (answer: string): string => answer.slice(0, answer.indexOf(" "))

/**
 * How actors are run and found: by programs with a node within, by programs that are attached to their host's, or by
 * @effect/cluster.
 */
export const ways = ["mesh", "attached", "cluster"] as const
export type Way = (typeof ways)[number]
export const isWay = (text: string | undefined): text is Way => ways.some((name) => name === text)

/** What a program is told, a line of JSON each; it answers with one of numbers. */
export const Order = Schema.parseJson(
  Schema.Union(
    /** So many calls, of which so many at a time, to actors of this host or of the other. */
    Schema.Struct({
      do: Schema.Literal("call"),
      where: Schema.Literal("here", "there"),
      concurrency: Schema.Positive,
      calls: Schema.Positive
    }),
    /** So many actors are begun, and left idle. */
    Schema.Struct({ do: Schema.Literal("begin"), actors: Schema.Positive }),
    /** So many actors are begun, the other host is ended, and those it had are called until all have come here. */
    Schema.Struct({
      do: Schema.Literal("take"),
      actors: Schema.Positive,
      from: Schema.Positive
    })
  )
)
export type Order = typeof Order.Type

export const Outcome = Schema.parseJson(
  Schema.Struct({
    calls: Schema.NonNegative,
    errors: Schema.NonNegativeInt,
    seconds: Schema.Positive,
    p50: Schema.Finite,
    p99: Schema.Finite,
    /** Bytes that are in use in V8's heap at the end. */
    heap: Schema.Positive,
    /** Actors that have come here. */
    moved: Schema.NonNegativeInt
  })
)
export type Outcome = typeof Outcome.Type
