/**
 * The body of a setting of kind `forgotten`: hosts that are gone and will never say so. Written by the
 * node that was asked to forget them, each under a name of its own, so that what two say is no
 * contradiction.
 */
import { Schema } from "effect"
import { NodeName, PeerKey } from "./NamesSchema.ts"

/** In one setting; what is longer ago than a record lives is left out by the next one. */
export const maxForgotten = 128

const Count = Schema.Int.pipe(Schema.nonNegative())

export const ForgottenNode = Schema.Struct({
  peer: PeerKey,
  /** For people: what it was called. */
  called: NodeName,
  /** Its record up to this one counts no more; a later one means that it is back. */
  epoch: Count,
  version: Count,
  /** Wall clock of the node that was asked, ms. */
  at: Schema.Number.pipe(Schema.nonNegative())
})
export type ForgottenNode = typeof ForgottenNode.Type

export const ForgottenBody = Schema.Struct({
  nodes: Schema.Array(ForgottenNode).pipe(Schema.maxItems(maxForgotten))
})
export type ForgottenBody = typeof ForgottenBody.Type
