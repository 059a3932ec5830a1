/** Where an actor is, in the mesh's terms: a type, an id, and the shard that the id falls into. */
import { Context } from "effect"
import { shardOf } from "./Placement.ts"

/** Named as @effect/cluster names it, so that code which reads it needs no change. */
export interface ActorAddress {
  readonly entityType: string
  readonly entityId: string
  /** From 0; the actors of a shard live on one host, and move together. */
  readonly shardId: number
}

export const addressOf = (entityType: string, entityId: string): ActorAddress => ({
  entityType,
  entityId,
  shardId: shardOf(entityId)
})

export const formatAddress = ({ entityId, entityType }: Omit<ActorAddress, "shardId">): string =>
  `${entityType}/${entityId}`

/** In an actor, and in all of its handlers: which one it is. */
export class CurrentAddress extends Context.Tag("skein/entity/CurrentAddress")<
  CurrentAddress,
  ActorAddress
>() {}
