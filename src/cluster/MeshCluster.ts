/**
 * @effect/cluster on the mesh: entities, singletons, cron and the durable workflows of @effect/workflow, with no
 * addresses of runners and no ports. Their programs offer one service; messages go to a runner as exchanges of
 * the mesh, to that program and no other; which runners are there the mesh says. What has to outlive programs
 * is in a database of @effect/sql, by the cluster's own storage.
 *
 *     const Cluster = MeshCluster.layer("checkout").pipe(
 *       Layer.provide(PgClient.layer({ … })),
 *       Layer.provide(Skein.attach())
 *     )
 *     CartEntity.toLayer(…).pipe(Layer.provide(Cluster))
 *     Checkout.toLayer(…).pipe(Layer.provide(ClusterWorkflowEngine.layer), Layer.provide(Cluster))
 */
import type { MessageStorage } from "@effect/cluster/MessageStorage"
import type { RunnerAddress } from "@effect/cluster/RunnerAddress"
import * as RunnerHealth from "@effect/cluster/RunnerHealth"
import * as RunnerServer from "@effect/cluster/RunnerServer"
import * as Runners from "@effect/cluster/Runners"
import type * as Sharding from "@effect/cluster/Sharding"
import * as ShardingConfig from "@effect/cluster/ShardingConfig"
import * as RpcServer from "@effect/rpc/RpcServer"
import type { SqlClient } from "@effect/sql/SqlClient"
import type { SqlError } from "@effect/sql/SqlError"
import { Deferred, Duration, Effect, Layer, Option, type Scope } from "effect"
import { MeshCaller } from "../api/MeshCaller.ts"
import { MeshDirectory } from "../api/MeshDirectory.ts"
import { MeshProgram } from "../api/MeshProgram.ts"
import { makeRpcServing } from "../api/RpcServing.ts"
import type { Dispatch } from "../model/Exchange.ts"
import { refuse } from "../model/RefusedExchange.ts"
import { ServiceName } from "../schema/NamesSchema.ts"
import type { ServeRefused } from "../schema/ProgramOfferSchema.ts"
import { judgedBy, sqlMessages, sqlRunners } from "./ClusterStorage.ts"
import { addressOf, keyOf, MeshRunners } from "./MeshRunners.ts"
import { makeRunnerCalls } from "./RunnerCalls.ts"

export interface MeshClusterOptions {
  /**
   * Of the cluster's own config, except for addresses, which are the mesh's to say. Its numbers of shards, groups and
   * times of locks have to be the same in all programs. Other than there, assignments are looked at each second
   * (`refreshAssignmentsInterval`): who is well is known without asking anybody.
   */
  readonly sharding?:
    | Partial<Omit<ShardingConfig.ShardingConfig["Type"], "runnerAddress" | "runnerListenAddress">>
    | undefined
  /** Tables are called `<prefix>_runners`, `<prefix>_messages`…. Default `cluster`. */
  readonly prefix?: string | undefined
}

type Provided = Sharding.Sharding | Runners.Runners | MessageStorage | ShardingConfig.ShardingConfig

/** How long a program's start waits to hear who else is there. */
const newsPatience = Duration.seconds(5)

/**
 * Runs entities in this program, with the others that have the same service. Fails where the node may not offer it
 * (`skein invite --services checkout`), and where the database cannot be used. A name that cannot be a service's is
 * a defect: it stands in the program.
 */
export const layer = (
  service: string,
  options: MeshClusterOptions = {}
): Layer.Layer<
  Provided,
  ServeRefused | SqlError,
  MeshCaller | MeshDirectory | MeshProgram | SqlClient
> =>
  Layer.unwrapScoped(
    Effect.gen(function* () {
      const name = ServiceName.make(service)
      const { address, protocol } = yield* offerRunner(name)
      const { runners, told } = yield* followRunners(name, address)
      // Else it would take shards for its own that others have.
      yield* Effect.timeoutTo(told, {
        duration: newsPatience,
        onSuccess: () => Effect.void,
        onTimeout: () =>
          Effect.logWarning(
            `the node has not told within ${Duration.format(newsPatience)} who offers ${name}; this program takes itself for the only one until it does`
          )
      }).pipe(Effect.flatten)
      return RunnerServer.layerWithClients.pipe(
        Layer.provide(Layer.succeed(RpcServer.Protocol, protocol)),
        Layer.provide(
          Layer.succeed(RunnerHealth.RunnerHealth, {
            isAlive: (of) => Effect.sync(() => runners.isAlive(of))
          })
        ),
        withMesh(name, runners, Option.some(address), options)
      )
    })
  )

/** Sends messages to the entities of other programs, and runs none. */
export const layerClientOnly = (
  service: string,
  options: MeshClusterOptions = {}
): Layer.Layer<Provided, SqlError, MeshCaller | MeshDirectory | SqlClient> =>
  Layer.unwrapScoped(
    Effect.gen(function* () {
      const name = ServiceName.make(service)
      const { runners } = yield* followRunners(name, undefined)
      return RunnerServer.layerClientOnly.pipe(withMesh(name, runners, Option.none(), options))
    })
  )

interface OfferedRunner {
  readonly address: RunnerAddress
  readonly protocol: RpcServer.Protocol["Type"]
}

/**
 * It has to have its address before it can have anything to serve, so it is offered first, and refuses what comes until
 * its server runs.
 */
const offerRunner = (
  service: ServiceName
): Effect.Effect<OfferedRunner, ServeRefused, MeshCaller | MeshProgram | Scope.Scope> =>
  Effect.gen(function* () {
    const program = yield* MeshProgram
    const { peer } = yield* MeshCaller
    yield* program.mayServe(service)
    let served: Dispatch | undefined
    const offered = yield* program.offer({
      ...{ service, weight: 100, named: true },
      dispatch: (call, receiver) => {
        if (served !== undefined) return served(call, receiver)
        const message = `the program of ${service} runs no entities now`
        const node = program.node()
        return refuse(receiver, { code: "upstream_connect", message, node, service, sent: false })
      },
      health: { healthy: false, reason: "its program has not begun to run entities" }
    })
    const protocol = yield* makeRpcServing(program, service, (dispatch) =>
      Effect.acquireRelease(
        Effect.suspend(() => {
          served = dispatch
          return offered.setHealth({ healthy: true, reason: "its program runs entities" })
        }),
        () =>
          Effect.suspend(() => {
            served = undefined
            return offered.setHealth({ healthy: false, reason: "its program ends" })
          })
      )
    )
    return { address: addressOf(`${peer}/${service}/${offered.endpoint}`), protocol }
  })

interface Followed {
  readonly runners: MeshRunners
  /** Done when the program's node has told who there is. */
  readonly told: Effect.Effect<void>
}

const followRunners = (
  service: ServiceName,
  own: RunnerAddress | undefined
): Effect.Effect<Followed, never, MeshDirectory | Scope.Scope> =>
  Effect.gen(function* () {
    const directory = yield* MeshDirectory
    const runners = new MeshRunners(directory, service, own === undefined ? undefined : keyOf(own))
    const told = yield* Deferred.make<void>()
    const look = (): void => {
      if (runners.isTold) Deferred.unsafeDone(told, Effect.void)
    }
    // Listened to for as long as it is asked: a node tells a program nothing else.
    yield* Effect.acquireRelease(
      Effect.sync(() => directory.subscribe(service, look)),
      (stop) => Effect.sync(stop)
    )
    look()
    return { runners, told: Deferred.await(told) }
  })

/** What their layers need: calls by the mesh, its word on runners, and the cluster's own SQL storage. */
const withMesh =
  (
    service: ServiceName,
    runners: MeshRunners,
    runnerAddress: Option.Option<RunnerAddress>,
    { prefix, sharding }: MeshClusterOptions
  ) =>
  <A, E, R>(self: Layer.Layer<A, E, R>) =>
    self.pipe(
      Layer.provide(
        Layer.effect(
          Runners.RpcClientProtocol,
          Effect.map(
            MeshCaller,
            (caller) => (address) => makeRunnerCalls({ caller, service, key: keyOf(address) })
          )
        )
      ),
      Layer.provide(judgedBy(runners, sqlRunners(prefix))),
      Layer.provideMerge(sqlMessages(prefix)),
      Layer.provideMerge(
        ShardingConfig.layer({
          refreshAssignmentsInterval: Duration.seconds(1),
          ...sharding,
          runnerAddress,
          runnerListenAddress: Option.none()
        })
      )
    )
