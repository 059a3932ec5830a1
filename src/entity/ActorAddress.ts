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

/**
 * Between an actor's id and those of its children in the store; no other actor has it in its id, or one could be
 * taken for another's child.
 */
export const childMark = "\u001f"

export const isChild = ({ id }: { readonly id: string }): boolean => id.includes(childMark)

/** Characters of an id: as stores take them. */
export const maxId = 256

/** Why it can be no id, for people; undefined: it can be one. */
export const idProblem = (id: string): string | undefined => {
  if (id === "") return `"" is no id: it has to have 1 to ${maxId} characters`
  if (id.length > maxId) {
    return `${JSON.stringify(id.slice(0, 32))}… is no id: it has ${id.length} characters, and ${maxId} at most are taken`
  }
  if (isChild({ id })) return `${JSON.stringify(id)} is no id: it has U+001F in it`
  // It has no bytes in UTF-8, in which calls and stores have it.
  if (!id.isWellFormed()) return `${JSON.stringify(id)} is no id: it has half a character in it`
  return undefined
}

/** In an actor, and in all of its handlers: which one it is. */
export class CurrentAddress extends Context.Tag("skein/entity/CurrentAddress")<
  CurrentAddress,
  ActorAddress
>() {}
