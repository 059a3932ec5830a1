/**
 * What runs actors and finds them: types are registered with it, and messages are given to it. How it does
 * so is its layer's: in the mesh (`ActorMesh.layer`), or all in this program (`layerLocal`).
 */
import { Context, Effect, Layer, Schedule, type Scope } from "effect"
import type { MeshFault } from "../api/MeshFault.ts"
import type { Caller } from "../model/Caller.ts"
import type { ServeRefused } from "../schema/ProgramOfferSchema.ts"
import { type ActorAddress, addressOf } from "./ActorAddress.ts"
import { ActorUnavailable, type MailboxFull } from "./ActorError.ts"
import { ActorHost, type ActorHostOptions } from "./ActorHost.ts"
import type { ActorProtocol } from "./ActorProtocol.ts"
import { lateText } from "./CallChain.ts"
import type { Delivery } from "./Delivery.ts"
import type { Message, Refusal, Replies } from "./Message.ts"
import { allShards } from "./Placement.ts"
import { remind } from "./Reminders.ts"
import { openGate } from "./ShardGate.ts"
import { ActorStore } from "./store/ActorStore.ts"
import type { LeaseTimes } from "./store/LeaseStep.ts"

export type ActorFailure = ActorUnavailable | MailboxFull | MeshFault

/** A type, as both sides know it. */
export interface ActorType {
  readonly type: string
  readonly protocol: ActorProtocol
}

/** What is promised of the type's actors. */
export type Guarantee = "eventual" | "leased"

export type HostDefinition = ActorType & {
  readonly guarantee: Guarantee
  /** Of `leased`. Default: `defaultLeaseTimes`. */
  readonly leaseTimes?: LeaseTimes | undefined
  /** Relative share of the type's actors, 1–1000. */
  readonly weight: number
} & Omit<ActorHostOptions, "gate" | "store" | "type">

/** A message on its way out. */
export interface Outgoing extends Omit<Message, "replies" | "reminder" | "told"> {
  /** May it be carried out twice? */
  readonly isIdempotent: boolean
  /** Milliseconds it may take; undefined: as its sender is willing to wait. */
  readonly deadline: number | undefined
  /** Its sender wants to know no more than that it has come. */
  readonly tells: boolean
  /** In which its sender is known to wait for the answer, once that is asked. */
  readonly circle?: (() => string | undefined) | undefined
  readonly replies: Pick<Replies, "accepted" | "circle" | "exit" | "part"> & {
    readonly fail: (failure: ActorFailure) => void
  }
}

export class Actors extends Context.Tag("skein/entity/Actors")<
  Actors,
  {
    /** The type is run here until the scope closes. */
    readonly register: (
      definition: HostDefinition
    ) => Effect.Effect<void, ServeRefused, Scope.Scope>
    /** Returns how to give up. */
    readonly send: (type: ActorType, id: string, message: Outgoing) => () => void
    /** Those that are run here, by type. */
    readonly hosts: ReadonlyMap<string, ActorHost>
  }
>() {}

/** Looks for idle actors that often, in shares of what they may be idle for. */
const sweepsPerIdle = 4
const shortestSweep = 100
const longestSweep = 60_000

/** Idle actors leave memory, until the scope closes. */
export const sweeping = (
  host: ActorHost,
  idle: number
): Effect.Effect<void, never, Scope.Scope> => {
  const every = Math.min(longestSweep, Math.max(shortestSweep, idle / sweepsPerIdle))
  return Effect.sync(() => host.sweep()).pipe(
    Effect.schedule(Schedule.spaced(every)),
    Effect.interruptible,
    Effect.forkScoped,
    Effect.asVoid
  )
}

export interface HereOptions {
  /** Milliseconds until it is given up; undefined: as long as it takes. */
  readonly left: number | undefined
  readonly moved: (owner: string | undefined) => void
  /** For whom it speaks that does not say so itself. */
  readonly self?: Caller | undefined
}

const nothing = (): void => undefined

/** Gives a message to an actor of this program. Returns how to give it up. */
export const deliverHere = (
  host: ActorHost,
  address: ActorAddress,
  message: Outgoing,
  options: HereOptions
): (() => void) => new HereMessage(host, address, message, options).deliver()

/** A message as the actor has it, and what becomes of it. In one object, since this is done for every message. */
class HereMessage implements Message, Replies {
  readonly #host: ActorHost
  readonly #address: ActorAddress
  readonly #message: Outgoing
  readonly #options: HereOptions
  #stopTimer = nothing
  #isDone = false

  constructor(host: ActorHost, address: ActorAddress, message: Outgoing, options: HereOptions) {
    this.#host = host
    this.#address = address
    this.#message = message
    this.#options = options
  }

  get rpc(): Message["rpc"] {
    return this.#message.rpc
  }

  get payload(): unknown {
    return this.#message.payload
  }

  get headers(): Message["headers"] {
    return this.#message.headers
  }

  get caller(): Message["caller"] {
    return this.#message.caller ?? this.#options.self
  }

  get parent(): Message["parent"] {
    return this.#message.parent
  }

  get key(): string | undefined {
    return this.#message.key
  }

  get told(): boolean {
    return this.#message.tells
  }

  get chain(): Message["chain"] {
    return this.#message.chain
  }

  get replies(): Replies {
    return this
  }

  deliver(): () => void {
    const { left } = this.#options
    const delivery = this.#host.deliver(this.#address.entityId, this, left)
    if (left !== undefined && !delivery.over && !this.#isDone) {
      this.#stopTimer = this.#host.timer(left, () => this.#late(delivery))
    }
    return () => {
      this.#stopTimer()
      delivery.cancel()
    }
  }

  #late(delivery: Delivery): void {
    const message = this.#message
    const sent = delivery.hasBegun
    const circle = delivery.circle ?? message.circle?.()
    delivery.cancel()
    const what = lateText(sent ? undefined : message.chain, this.#address, circle)
    message.replies.fail(ActorUnavailable.of("deadline", this.#address, what, { sent }))
  }

  accepted(): void {
    const { replies, tells } = this.#message
    if (!tells) return
    this.#isDone = true
    this.#stopTimer()
    replies.accepted?.()
  }

  part(values: Parameters<Replies["part"]>[0]): Effect.Effect<void> {
    return this.#message.replies.part(values)
  }

  circle(circle: string | undefined): void {
    this.#message.replies.circle?.(circle)
  }

  exit(exit: Parameters<Replies["exit"]>[0]): void {
    this.#stopTimer()
    this.#message.replies.exit(exit)
  }

  refuse(refusal: Refusal): void {
    this.#stopTimer()
    if (refusal._tag === "Moved") this.#options.moved(refusal.owner)
    // Its sender knows no more than that it had come.
    else if (this.#isDone) this.#host.lost(this.#address, refusal)
    else this.#message.replies.fail(refusal)
  }
}

/**
 * All actors in this program, and no mesh: for tests, and for programs that are alone. A type that nobody
 * has registered has no actors.
 */
export const layerLocal: Layer.Layer<Actors, never, ActorStore> = Layer.effect(
  Actors,
  Effect.map(ActorStore, (store): Actors["Type"] => {
    const hosts = new Map<string, ActorHost>()
    return {
      hosts,
      register: (definition) =>
        Effect.gen(function* () {
          const host = new ActorHost({ ...definition, store, gate: openGate })
          yield* Effect.acquireRelease(
            Effect.sync(() => hosts.set(definition.type, host)),
            () =>
              Effect.suspend(() => {
                hosts.delete(definition.type)
                return host.close
              })
          )
          yield* sweeping(host, definition.idle)
          yield* remind({
            ...{ host, store },
            requests: definition.protocol.requests,
            shards: () => allShards,
            onShards: () => () => undefined
          })
        }),
      send: ({ type }, id, message) => {
        const address = addressOf(type, id)
        const host = hosts.get(type)
        const nobody = (): void =>
          message.replies.fail(
            ActorUnavailable.of("no_host", address, "is of a type that nobody runs here")
          )
        if (host !== undefined) {
          return deliverHere(host, address, message, { left: message.deadline, moved: nobody })
        }
        nobody()
        return () => undefined
      }
    }
  })
)
