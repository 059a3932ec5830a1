/** Actors of Skein, in a program with a node of its own or attached to its host's. */
import { Effect, Layer } from "effect"
import { Skein, SkeinNode } from "skein"
import { Actor, ActorMesh, MemoryStore } from "skein/actors"
import { actorType, answerOf, Echo } from "./ActorContract.ts"
import { Call, idle, type Place } from "./Call.ts"

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

export const embedded = (place: Place): Layer.Layer<Call, unknown> =>
  Layer.provide(
    ours(place),
    SkeinNode.layer({ node: { dataDir: place.directory } }, { join: place.at })
  )

export const attached = (place: Place): Layer.Layer<Call, unknown> =>
  Layer.provide(ours(place), Skein.attach({ to: place.at, name: place.host }))
