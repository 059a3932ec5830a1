/** The ways of ActorContract.ts as layers: who runs actors under a name, and the function that calls one by id. */
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
import { Context, Effect, Layer, Option } from "effect"
import { Skein, SkeinNode } from "skein"
import { Actor, ActorMesh, MemoryStore } from "skein/actors"
import { actorType, answerOf, Echo, type Way } from "./ActorContract.ts"
import * as ListedRunners from "./ListedRunners.ts"

export class Call extends Context.Tag("bench/actors/Call")<
  Call,
  (id: string, text: string) => Effect.Effect<string, unknown>
>() {}

/** Longer than any run: what is idle is measured, and not how it goes. */
const idle = "1 hour"

export interface Place {
  /** What its actors answer with. */
  readonly host: string
  /** A token to join with, a socket to attach to, or the port of the runner. */
  readonly at: string
  /** Of the node, or of the list of runners. */
  readonly directory: string
}

const BenchActor = Actor.make(actorType, [Echo])

const ours = ({ host }: Place) =>
  Layer.effect(
    Call,
    Effect.map(BenchActor.client, (actor) => (id: string, text: string) => actor(id).Echo({ text }))
  ).pipe(
    Layer.provideMerge(
      BenchActor.toLayer(
        { Echo: ({ payload }) => Effect.succeed(answerOf(host, payload.text)) },
        { idle }
      )
    ),
    Layer.provide(ActorMesh.layer),
    Layer.provide(MemoryStore.layer)
  )

const BenchEntity = Entity.make(actorType, [Echo])

const theirs = ({ host, at, directory }: Place) => {
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

export const layerOf = (way: Way, place: Place): Layer.Layer<Call, unknown> => {
  switch (way) {
    case "mesh":
      return Layer.provide(
        ours(place),
        SkeinNode.layer({ node: { dataDir: place.directory } }, { join: place.at })
      )
    case "attached":
      return Layer.provide(ours(place), Skein.attach({ to: place.at, name: place.host }))
    case "cluster":
      return theirs(place)
  }
}
