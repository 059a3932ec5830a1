/**
 * A host in a world of actors (ActorWorld.ts): a program with the engine of production in it, whole, from its client to
 * its saves, which has nothing of its own but a clock, a place in the mesh and a way to the store.
 */
import { Clock, Duration, Effect, Exit, Layer, Logger, Random, Scope } from "effect"
import { MeshCaller } from "../../src/api/MeshCaller.ts"
import { directoryOf, MeshDirectory } from "../../src/api/MeshDirectory.ts"
import { MeshProgram, type ServedHealth, type ServedService } from "../../src/api/MeshProgram.ts"
import * as ActorMesh from "../../src/entity/ActorMesh.ts"
import { ActorStore } from "../../src/entity/store/ActorStore.ts"
import { hostCaller } from "../../src/model/Caller.ts"
import { type EndpointView, MeshViewSource } from "../../src/model/MeshView.ts"
import { NodeName, PeerKey } from "../../src/model/Names.ts"
import type { ActorWorld } from "./ActorWorld.ts"
import { type CounterClient, counterClient, counterLive, counterService } from "./WorldCounter.ts"

/** Milliseconds since 1970 when the world begins. */
export const epoch = 1.7e12

interface Offered {
  readonly served: ServedService
  health: ServedHealth
}

export class WorldHost {
  readonly index: number
  readonly name: string
  readonly peer: PeerKey
  readonly #world: ActorWorld
  /** How fast its clock is. */
  readonly #rate: number
  /** Its clock of the day is off by so much, ms; the monotonic one never is. */
  clockOff = 0
  /** A new process is another one: what was under way for the old one is not heard. */
  life = 0
  isUp = false
  isPaused = false
  /** From the store. */
  isCut = false
  /** It sees the mesh as it was. */
  isDeaf = false
  /** Those on other sides are not reached. */
  side = 0
  offered: Offered | undefined
  client: CounterClient | undefined
  #backlog: Array<() => void> = []
  #view = new MeshViewSource()
  #scope: Scope.CloseableScope | undefined

  constructor(world: ActorWorld, index: number, rate: number) {
    this.#world = world
    this.index = index
    this.#rate = rate
    this.name = `host-${index}`
    this.peer = PeerKey.make(`${"abcdefgh"[index]}`.repeat(24))
  }

  get key(): string {
    return `${this.peer}/${counterService}/program`
  }

  /** By its own clock. While it stands still nothing is done; then all that was due is, in order. */
  after(millis: number, task: () => void): void {
    const { life } = this
    this.#world.queue.after(millis / this.#rate, () => this.run(task, life))
  }

  run(task: () => void, life = this.life): void {
    if (this.isPaused) this.#backlog.push(() => this.run(task, life))
    else if (life === this.life) task()
  }

  resume(): void {
    this.isPaused = false
    const backlog = this.#backlog
    this.#backlog = []
    for (const task of backlog) task()
  }

  start(): void {
    if (this.isUp) return
    this.isUp = true
    this.#view = new MeshViewSource()
    const scope = Effect.runSync(Scope.make())
    this.#scope = scope
    this.#fork(Layer.buildWithScope(this.#layer(), scope), (context) => {
      this.#fork(Effect.provide(counterClient, context), (client) => {
        this.client = client
      })
    })
  }

  /** Its process is gone, with all it knew. */
  crash(): void {
    this.isUp = false
    this.life++
    this.#ended()
  }

  /** It ends as a program does that is asked to. */
  leave(): void {
    const scope = this.#scope
    if (!this.isUp || scope === undefined) return
    this.client = undefined
    this.#scope = undefined
    this.#fork(Scope.close(scope, Exit.void), () => {
      this.isUp = false
      this.life++
      this.#ended()
    })
  }

  #ended(): void {
    this.client = undefined
    this.#scope = undefined
    this.offered = undefined
    this.#backlog = []
    this.isPaused = false
    this.isDeaf = false
  }

  /** What it does is done by its clock and the world's dice. */
  #fork<A, E>(effect: Effect.Effect<A, E>, then: (value: A) => void): void {
    const { life } = this
    const seed = Math.floor(this.#world.random() * 2 ** 31)
    Effect.runFork(
      effect.pipe(
        Effect.withClock(this.#clock),
        Effect.withRandom(Random.make(seed)),
        Effect.provide(Logger.remove(Logger.defaultLogger))
      )
    ).addObserver((exit) => {
      if (life !== this.life) return
      if (Exit.isSuccess(exit)) then(exit.value)
      else this.#world.faults.push(`${this.name}: ${String(exit.cause)}`)
    })
  }

  /** Calls back with what came of it; never, if this process is gone by then. */
  perform<A>(effect: Effect.Effect<A>, then: (value: A) => void): void {
    this.#fork(effect, then)
  }

  get #clock(): Clock.Clock {
    const { queue } = this.#world
    const millis = () => epoch + queue.now * this.#rate + this.clockOff
    const nanos = () => BigInt(Math.round(queue.now * this.#rate * 1e6))
    return {
      [Clock.ClockTypeId]: Clock.ClockTypeId,
      unsafeCurrentTimeMillis: millis,
      unsafeCurrentTimeNanos: nanos,
      currentTimeMillis: Effect.sync(millis),
      currentTimeNanos: Effect.sync(nanos),
      sleep: (duration) =>
        Effect.async<void>((resume) => {
          let isOff = false
          this.after(Duration.toMillis(duration), () => {
            if (!isOff) resume(Effect.void)
          })
          return Effect.sync(() => {
            isOff = true
          })
        })
    }
  }

  /** What it sees of the mesh, from now on. */
  show(endpoints: ReadonlyArray<EndpointView>): void {
    const services = new Map(
      endpoints.length === 0
        ? []
        : [[counterService, { name: counterService, protocol: "http" as const, endpoints }]]
    )
    this.#view.set(services)
  }

  /** As it told of itself last: what others see of it. */
  seen(member: EndpointView["member"], by: WorldHost): EndpointView | undefined {
    if (this.offered === undefined) return undefined
    return {
      ...{ key: this.key, peer: this.peer, node: NodeName.make(this.name), zone: undefined },
      ...{ endpoint: "program", healthy: this.offered.health.healthy, draining: false },
      ...{ member, weight: this.offered.served.weight, local: by === this }
    }
  }

  #layer() {
    const world = this.#world
    const identity = hostCaller(NodeName.make(this.name))
    const mesh = Layer.mergeAll(
      Layer.succeed(MeshCaller, {
        dispatch: (call, receiver) => world.carry(this, call, receiver),
        ...{ peer: this.peer, identity }
      }),
      Layer.succeed(MeshDirectory, directoryOf(this.#view, undefined)),
      Layer.succeed(MeshProgram, {
        node: () => this.name,
        drainDeadline: () => 30_000,
        mayServe: () => Effect.void,
        reportActors: () => Effect.void,
        offer: (served) =>
          Effect.acquireRelease(
            Effect.sync(() => {
              const offered: Offered = { served, health: served.health }
              this.offered = offered
              world.told(this)
              return {
                endpoint: "program",
                setHealth: (health: ServedHealth) =>
                  Effect.sync(() => {
                    offered.health = health
                    world.told(this)
                  })
              }
            }),
            () =>
              Effect.sync(() => {
                this.offered = undefined
                world.told(this)
              })
          )
      })
    )
    return counterLive.pipe(
      Layer.provideMerge(ActorMesh.layer),
      Layer.provide(mesh),
      Layer.provide(Layer.succeed(ActorStore, world.storeOf(this)))
    )
  }
}
