/**
 * Actors in the mesh: a type is offered as a service, each of its hosts runs the shards that placement gives
 * it, and messages find their way.
 *
 *     CartLive.pipe(Layer.provide(ActorMesh.layer), Layer.provide(store), Layer.provide(SkeinNode.layer(config)))
 *
 * A program that only sends messages needs the same layers, and runs none.
 */
import { randomUUID } from "node:crypto"
import { Context, Deferred, Effect, Fiber, Layer, Runtime, Scope } from "effect"
import { CallCount } from "../api/CallCount.ts"
import { MeshCaller } from "../api/MeshCaller.ts"
import { MeshDirectory } from "../api/MeshDirectory.ts"
import { MeshProgram, type ServedHealth } from "../api/MeshProgram.ts"
import { hostCaller } from "../model/Caller.ts"
import { NodeName } from "../model/Names.ts"
import type { ActorQuestion, ActorReport } from "../schema/ActorReportSchema.ts"
import { addressOf } from "./ActorAddress.ts"
import { ActorHost } from "./ActorHost.ts"
import { actorReport } from "./ActorReport.ts"
import { checkedType } from "./ActorService.ts"
import { serveActors } from "./ActorServing.ts"
import type { ActorStats } from "./ActorStats.ts"
import { Actors, type ActorType, type HostDefinition, sweeping } from "./Actors.ts"
import { GivenStates } from "./GivenStates.ts"
import { forcedText } from "./Handover.ts"
import { Placed } from "./NearHosts.ts"
import { OwnedShards } from "./OwnedShards.ts"
import { allShards } from "./Placement.ts"
import { remind } from "./Reminders.ts"
import { askRelease, type SendingOptions, sendRemote } from "./RemoteMessage.ts"
import { RoutedMessage, type RouteOptions } from "./RoutedMessage.ts"
import type { ShardGate } from "./ShardGate.ts"
import { ShardLeases } from "./ShardLeases.ts"
import { noRights } from "./ShardRights.ts"
import { ActorStore } from "./store/ActorStore.ts"
import { type StoreWatch, watchStore } from "./store/StoreWatch.ts"
import { TypeHosts } from "./TypeHosts.ts"

interface Local {
  readonly host: ActorHost
  readonly key: string
  readonly report: (question: ActorQuestion) => ActorReport
}

export const layer: Layer.Layer<
  Actors,
  never,
  ActorStore | MeshCaller | MeshDirectory | MeshProgram
> = Layer.scoped(
  Actors,
  Effect.gen(function* () {
    const caller = yield* MeshCaller
    const directory = yield* MeshDirectory
    const program = yield* MeshProgram
    const store = yield* ActorStore
    const runtime = yield* Effect.runtime<never>()
    const clock = yield* Effect.clock
    const run = Runtime.runFork(runtime)
    const now = (): number => clock.unsafeCurrentTimeMillis()
    const timers = new Set<Fiber.RuntimeFiber<void>>()
    yield* Effect.addFinalizer(() => Fiber.interruptAll(timers))
    const after = (millis: number, then: () => void): (() => void) => {
      const fiber = run(Effect.sleep(millis))
      timers.add(fiber)
      let isOff = false
      fiber.addObserver(({ _tag }) => {
        timers.delete(fiber)
        // When all of it ends, nothing is to come of it.
        if (!isOff && _tag === "Success") then()
      })
      return () => {
        isOff = true
        fiber.unsafeInterruptAsFork(fiber.id())
      }
    }
    const begin: SendingOptions["run"] = (effect, then) => {
      const fiber = run(effect)
      fiber.addObserver(then)
      return () => fiber.unsafeInterruptAsFork(fiber.id())
    }
    const self = caller.identity ?? hostCaller(NodeName.make(caller.peer))
    const locals = new Map<string, Local>()
    const hosts = new Map<string, ActorHost>()
    const types = new Map<string, { readonly hosts: TypeHosts; readonly route: RouteOptions }>()
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        for (const { hosts: all } of types.values()) all.close()
      })
    )

    yield* program.reportActors((question) =>
      Array.from(locals).flatMap(([type, { report }]) =>
        question.type === undefined || question.type === type ? [report(question)] : []
      )
    )
    // One for all types, from the first one that is run here on; who only sends needs no store.
    const scope = yield* Effect.scope
    const watching = yield* Effect.makeSemaphore(1)
    let watch: StoreWatch | undefined
    const storeReach = (type: string): Effect.Effect<StoreWatch> =>
      Effect.suspend(() =>
        watch === undefined
          ? watchStore({ store, type }).pipe(
              Effect.tap((made) => {
                watch = made
              }),
              Scope.extend(scope)
            )
          : Effect.succeed(watch)
      ).pipe(watching.withPermits(1))

    const typeOf = ({ protocol, type }: ActorType) => {
      const known = types.get(type)
      if (known !== undefined) return known
      const service = checkedType(type)
      const placed = Context.get(protocol.annotations, Placed)
      const typeHosts = new TypeHosts(type, service, directory, placed)
      const route: RouteOptions = {
        hosts: typeHosts,
        here: () => locals.get(type),
        remote: (owner, address, message, left, news) =>
          sendRemote({ caller, service, owner, address, message, left, run: begin }, news),
        ...{ after, now, self }
      }
      const made = { hosts: typeHosts, route }
      types.set(type, made)
      return made
    }

    const register = (definition: HostDefinition) =>
      Effect.gen(function* () {
        const { idle, program: actors, runtime: programRuntime, type, weight } = definition
        const service = checkedType(type)
        yield* program.mayServe(service)
        const { hosts: typeHosts, route } = typeOf(definition)
        typeHosts.stay()
        const calls = new CallCount()
        // They are known when its endpoint is; what comes before waits like what comes to a stranger.
        let key = ""
        let shards: OwnedShards | undefined
        const leases =
          definition.guarantee === "eventual"
            ? undefined
            : yield* ShardLeases.make({
                type,
                owner: `${caller.peer}/${randomUUID()}`,
                times: definition.leaseTimes,
                host: () => host,
                shards: () => shards,
                after
              }).pipe(Effect.provideService(ActorStore, store))
        const reach = yield* storeReach(type)
        const isInVain = (): boolean =>
          reach.isLost && reach.trouble !== undefined && typeHosts.isUnwell
        const gate: ShardGate = {
          isOpen: (shard) => shards?.isOpen(shard) ?? false,
          enter: (shard, then) => {
            if (shards === undefined) then({ _tag: "Moved", owner: typeHosts.owner(shard) })
            // It cannot run it, and nobody else can.
            else if (leases !== undefined && isInVain()) then("no_store")
            else shards.enter(shard, then)
          },
          owner: (shard) => typeHosts.owner(shard),
          ownerName: (shard) => typeHosts.ownerName(shard),
          node: program.node,
          lease: leases === undefined ? undefined : (shard) => leases.lease(shard),
          mayAnswer: (shard) => leases?.mayAnswer(shard) ?? true,
          fenced: (shard) => leases?.fenced(shard),
          give: leases === undefined ? (address, handed) => given.give(address, handed) : undefined
        }
        const host = new ActorHost({ ...definition, store, gate })
        const given = new GivenStates({ ...{ route, self, run }, stats: host.stats })
        const dispatch = serveActors({
          host,
          isHost: (peer) => typeHosts.isHost(peer),
          calls: { begin: () => calls.begin(), end: () => calls.end() },
          node: program.node,
          requests: actors.protocol.requests,
          runtime: programRuntime,
          release: ({ by, shard, turn }, then) => {
            if (shards === undefined) then({ kind: "released", others: [] })
            else if (turn) shards.turn(shard, by, then)
            else shards.release(shard, by, then)
          }
        })
        const offered = yield* program.offer({
          ...{ service, weight, dispatch, named: true },
          health: healthBy(reach)
        })
        key = `${caller.peer}/${service}/${offered.endpoint}`
        const owned = new OwnedShards({
          rights: leases ?? noRights,
          hosts: typeHosts,
          self: key,
          release: (owner, shard, question, then) => {
            const asked = { ...question, by: offered.endpoint }
            run(askRelease({ caller, service, owner }, shard, asked)).addObserver((exit) =>
              then(exit._tag === "Success" ? exit.value : { kind: "silent" })
            )
          },
          leave: (shard, then) => host.leave(shard, then),
          ...{ after, now },
          onForced: (shard, owner) =>
            void run(
              Effect.logWarning(
                forcedText({ type, shard, holder: typeHosts.called(owner) }, leases !== undefined)
              )
            )
        })
        shards = owned
        yield* countMoves(typeHosts, key, host.stats)
        const { guarantee } = definition
        const owner = (shard: number) => typeHosts.owner(shard)
        const open = () => shards?.open.length ?? 0
        const report = (question: ActorQuestion): ActorReport =>
          actorReport(
            { host, service, guarantee, key, owner, open, placed: typeHosts.placed },
            question
          )
        const stopReach = reach.onChange(() => void run(offered.setHealth(healthBy(reach))))
        yield* Effect.acquireRelease(
          Effect.sync(() => {
            locals.set(type, { host, key, report })
            hosts.set(type, host)
          }),
          () =>
            Effect.gen(function* () {
              stopReach()
              typeHosts.leave(key)
              yield* offered.setHealth({ healthy: false, reason: "its program ends" })
              const left = Effect.async<void>((resume) => owned.whenLeft(() => resume(Effect.void)))
              const gone = Effect.zipRight(left, host.close)
              yield* within(Effect.zipRight(gone, given.ended), program.drainDeadline())
              locals.delete(type)
              hosts.delete(type)
              yield* calls.ended(program.drainDeadline())
            })
        )
        yield* sweeping(host, idle)
        yield* remind({
          ...{ host, store },
          requests: actors.protocol.requests,
          shards: () => allShards.filter((shard) => typeHosts.wholeOwner(shard) === key),
          onShards: (then) => typeHosts.onMoves(then)
        })
      })

    return {
      hosts,
      register,
      send: (definition, id, message) => {
        const { route } = typeOf(definition)
        const routed = new RoutedMessage(route, addressOf(definition.type, id), message)
        routed.look()
        return () => routed.cancel()
      }
    }
  })
)

/** How many shards come here from others and go from here, until the scope closes. */
const countMoves = (
  hosts: TypeHosts,
  key: string,
  stats: ActorStats
): Effect.Effect<void, never, Scope.Scope> =>
  Effect.asVoid(
    Effect.acquireRelease(
      Effect.sync(() =>
        hosts.onMoves((before, after) => {
          for (const shard of allShards) {
            const [was, is] = [before.owner(shard), after.owner(shard)]
            if (was === is || was === undefined || is === undefined) continue
            if (is === key) stats.shardsIn++
            else if (was === key) stats.shardsOut++
          }
        })
      ),
      (stop) => Effect.sync(stop)
    )
  )
/** What the mesh is told of a host of actors. */
const healthBy = ({ isLost, trouble }: StoreWatch): ServedHealth =>
  isLost
    ? {
        healthy: false,
        reason: `it does not reach the store of its actors: ${trouble ?? "it answers again, but not for long enough yet"}`
      }
    : { healthy: true, reason: "its program runs the type's actors" }

/** For finalizers: done with the effect, or after so many milliseconds, when what it waits for goes on. */
const within = (effect: Effect.Effect<void>, patience: number): Effect.Effect<void> =>
  Effect.gen(function* () {
    const done = yield* Deferred.make<void>()
    const fiber = yield* Effect.forkDaemon(
      Effect.zipRight(effect, Deferred.succeed(done, undefined))
    )
    const late = yield* Effect.sleep(patience).pipe(
      Effect.zipRight(Deferred.succeed(done, undefined)),
      Effect.interruptible,
      Effect.forkDaemon
    )
    yield* Deferred.await(done)
    yield* Fiber.interruptFork(late)
    yield* Fiber.interruptFork(fiber)
  })
