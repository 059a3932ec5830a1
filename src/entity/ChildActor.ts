/**
 * Children of an actor: local actors that it begins and speaks to by a handle, for what is its own matter but
 * not its own turn. Mailbox, saves, crashes and back-off are those of any actor. They end with the life that has
 * begun them, and when one has crashed too often that life does: it begins again as after any crash.
 */
import type * as Rpc from "@effect/rpc/Rpc"
import type * as RpcClient from "@effect/rpc/RpcClient"
import type * as RpcGroup from "@effect/rpc/RpcGroup"
import { Cause, Effect, Exit, type Runtime, type Scope } from "effect"
import { addressOf, childMark, formatAddress } from "./ActorAddress.ts"
import { makeActorClient } from "./ActorClient.ts"
import { ActorUnavailable, type MailboxFull } from "./ActorError.ts"
import { ActorHost } from "./ActorHost.ts"
import type { ActorProgram } from "./ActorLife.ts"
import { deliverHere } from "./Actors.ts"
import { CurrentActivation } from "./CurrentActivation.ts"
import type { ShardGate } from "./ShardGate.ts"
import { storeLimits } from "./store/ActorStore.ts"

export type ChildFailure = ActorUnavailable | MailboxFull

export interface ChildDefinition<Rpcs extends Rpc.Any> {
  readonly type: string
  readonly protocol: RpcGroup.RpcGroup<Rpcs>
  /** Unique among the children of its type that the actor has. */
  readonly name: string
  readonly program: ActorProgram
  readonly concurrency: number
  readonly mailbox: number
  readonly reentrant: boolean
  readonly runtime: Runtime.Runtime<never>
}

/** In an actor: one that lives until the scope closes. Its first message begins it. */
export const spawnChild = <Rpcs extends Rpc.Any>(
  definition: ChildDefinition<Rpcs>
): Effect.Effect<
  RpcClient.RpcClient.From<Rpcs, ChildFailure>,
  never,
  CurrentActivation | Scope.Scope
> =>
  Effect.gen(function* () {
    const { actor, gate, memory, store } = yield* CurrentActivation
    const { name, protocol, type } = definition
    const parent = formatAddress(actor.address)
    const key = `${type}/${name}`
    const keptAs = { ...memory.actor, id: [memory.actor.id, type, name].join(childMark) }
    if (name === "" || name.includes(childMark) || keptAs.id.length > storeLimits.id) {
      const rule = `1 character or more, none of them U+001F, and with its parents' ids and types ${storeLimits.id} at most`
      return yield* Effect.dieMessage(
        `${parent} has no child ${JSON.stringify(name)}: a name has ${rule}`
      )
    }
    if (actor.children?.has(key) === true)
      return yield* Effect.dieMessage(`${parent} has a child ${key} already`)
    const id = `${actor.address.entityId}/${name}`
    let isReleased = false
    // A life that has lost its right to run may take long to close.
    const isOpen = (): boolean => !isReleased && !memory.forgotten
    const ends = (cause: Cause.Cause<unknown>): void => {
      const text = `its child ${type}/${id} has crashed too often in a row`
      const crash = Cause.die(new Error(text, { cause: Cause.squash(cause) }))
      // Not from within its crash, which goes on; and not the next life, which has other children.
      queueMicrotask(() => isOpen() && actor.memory === memory && actor.crash(crash))
    }
    const { concurrency, mailbox, program, reentrant, runtime } = definition
    const host = new ActorHost({
      ...{ type, program, concurrency, mailbox, reentrant, runtime, store, keptAs },
      idle: Number.POSITIVE_INFINITY,
      gate: gateOf(gate, actor.address.shardId, isOpen),
      onEscalate: ends
    })
    const children = actor.children ?? new Map<string, ActorHost>()
    actor.children = children
    yield* Effect.acquireRelease(
      Effect.sync(() => children.set(key, host)),
      (_, exit) =>
        Effect.suspend(() => {
          isReleased = true
          // When its parent has crashed, what it does is in vain.
          if (Exit.isFailure(exit)) host.abandonAll("stopped")
          return Effect.ensuring(
            host.close,
            Effect.sync(() => children.delete(key))
          )
        })
    )
    const address = addressOf(type, id)
    const client = makeActorClient(
      {
        send: (_, __, message) => {
          const gone = (): void => {
            const what = `has ended with ${parent}, whose child it was`
            message.replies.fail(ActorUnavailable.of("stopped", address, what))
          }
          if (isOpen()) {
            return deliverHere(host, address, message, { left: message.deadline, moved: gone })
          }
          gone()
          return () => undefined
        }
      },
      { type, protocol }
    )
    // Nothing of it goes over the mesh.
    return client(id) as unknown as RpcClient.RpcClient.From<Rpcs, ChildFailure>
  })

/** It runs by its parent's right. */
const gateOf = (parent: ShardGate, shard: number, isOpen: () => boolean): ShardGate => ({
  // Also while the shard is left: what the parent has begun may need it.
  isOpen: () => isOpen() && parent.mayAnswer(shard),
  enter: (_, then) => then(isOpen() ? "not_leased" : { _tag: "Moved", owner: undefined }),
  owner: () => undefined,
  ownerName: () => undefined,
  node: parent.node,
  lease: parent.lease === undefined ? undefined : () => parent.lease?.(shard),
  mayAnswer: () => parent.mayAnswer(shard),
  fenced: () => parent.fenced(shard)
})
