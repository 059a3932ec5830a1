/** Entities of @effect/cluster, by its socket runner. */
import {
  Entity,
  MessageStorage,
  RunnerAddress,
  RunnerHealth,
  type Runners,
  type Sharding,
  ShardingConfig,
  SocketRunner
} from "@effect/cluster"
import { NodeClusterSocket } from "@effect/platform-node"
import { RpcSerialization } from "@effect/rpc"
import { Effect, Layer, Option } from "effect"
import { actorType, answerOf, Echo } from "./ActorContract.ts"
import { Call, idle, type Place } from "./Call.ts"
import * as ListedRunners from "./ListedRunners.ts"

const BenchEntity = Entity.make(actorType, [Echo])

export const clustered = ({ host, at, directory }: Place): Layer.Layer<Call, unknown> => {
  const Config = ShardingConfig.layer({
    runnerAddress: Option.some(RunnerAddress.make("127.0.0.1", Number(at))),
    entityMaxIdleTime: idle,
    // What is here is not to be encoded for nothing.
    simulateRemoteSerialization: false,
    // Otherwise hosts that come and go are noticed after three seconds.
    refreshAssignmentsInterval: 100
  })
  const Cluster: Layer.Layer<Sharding.Sharding | Runners.Runners, unknown> =
    SocketRunner.layer.pipe(
      Layer.provide([NodeClusterSocket.layerSocketServer, NodeClusterSocket.layerClientProtocol]),
      Layer.provide(RunnerHealth.layerNoop),
      Layer.provide(MessageStorage.layerNoop),
      Layer.provide(ListedRunners.layer(directory)),
      Layer.provide(Config),
      Layer.provide(RpcSerialization.layerMsgPack)
    )
  return Layer.effect(
    Call,
    Effect.map(
      BenchEntity.client,
      (entity) => (id: string, text: string) => entity(id).Echo({ text })
    )
  ).pipe(
    Layer.provideMerge(
      BenchEntity.toLayer(
        { Echo: ({ payload }) => Effect.succeed(answerOf(host, payload.text)) },
        { mailboxCapacity: 1_000, disableFatalDefects: true }
      )
    ),
    Layer.provide(Cluster)
  )
}
