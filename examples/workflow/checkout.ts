/** The checkout of an order as a durable workflow: it goes on where it was, whichever host it goes on at. */
import { ClusterWorkflowEngine } from "@effect/cluster"
import { RpcClient } from "@effect/rpc"
import { RpcClientError } from "@effect/rpc/RpcClientError"
import { Activity, Workflow } from "@effect/workflow"
import { Effect, Layer, Schedule, Schema } from "effect"
import { MeshCluster, SqliteClient } from "skein/cluster"
import { MeshRpc } from "skein/rpc"
import { type Asked, Shop, SoldOut, TooLarge } from "./shop.ts"

export const Checkout = Workflow.make({
  name: "Checkout",
  payload: { order: Schema.String, item: Schema.String },
  // An order is checked out once, however often that is asked for.
  idempotencyKey: ({ order }) => order,
  success: Schema.Struct({ parcel: Schema.String, paid: Schema.Int, endedOn: Schema.String }),
  error: Schema.Union(SoldOut, TooLarge)
})

/** Runs checkouts in this program; `host` is only told to the shop. */
export const checkoutsOn = (host: string) =>
  Layer.unwrapScoped(
    Effect.map(RpcClient.make(Shop), (shop) =>
      Checkout.toLayer(({ item, order }) =>
        Effect.gen(function* () {
          // What an activity has answered is in the database. It is carried out again only when its host was lost
          // before that, and then under the same key.
          const asking = <A, E>(name: string, ask: (asked: Asked) => Effect.Effect<A, E>) =>
            Effect.flatMap(Activity.idempotencyKey(name), (key) =>
              patiently(ask({ key, order, item, by: host }))
            )

          yield* Activity.make({
            name: "Reserve",
            error: SoldOut,
            execute: asking("Reserve", (it) => shop.Reserve(it))
          }).pipe(
            Checkout.withCompensation(() =>
              Activity.make({
                name: "PutBack",
                execute: asking("PutBack", (it) => shop.PutBack(it))
              })
            )
          )
          const paid = yield* Activity.make({
            name: "Charge",
            success: Schema.Int,
            execute: asking("Charge", (it) => shop.Charge(it))
          }).pipe(
            Checkout.withCompensation(() =>
              Activity.make({
                name: "Refund",
                execute: asking("Refund", (it) => shop.Refund(it))
              })
            )
          )
          const parcel = yield* Activity.make({
            name: "Ship",
            success: Schema.String,
            error: TooLarge,
            execute: asking("Ship", (it) => shop.Ship(it))
          })
          return { parcel, paid, endedOn: host }
        })
      )
    )
  ).pipe(Layer.provide(MeshRpc.layerClient("shop")))

/** Until the shop has answered: it does nothing twice under one key. */
const patiently = <A, E, R>(ask: Effect.Effect<A, E, R>) =>
  ask.pipe(
    Effect.retry({ while: MeshRpc.isMeshError, schedule: Schedule.spaced("250 millis") }),
    Effect.catchIf(
      (error): error is Extract<E, RpcClientError> => error instanceof RpcClientError,
      Effect.die
    )
  )

/**
 * The same in all programs. In a file, what a lost host had is free when its locks have ended: after 35 s, if nothing is
 * said. PostgreSQL sees that its connection is gone.
 */
const options = { sharding: { shardLockExpiration: "5 seconds" } } as const

/** Hosts share a file here, as they are all on this machine: in earnest it is PostgreSQL (`PgClient.layer`). */
const storage = (file: string) => SqliteClient.layer({ file })

/** For programs that run checkouts. */
export const engine = (file: string) =>
  ClusterWorkflowEngine.layer.pipe(
    Layer.provideMerge(MeshCluster.layer("checkout", options)),
    Layer.provide(storage(file))
  )

/** For programs that only ask for them. */
export const engineElsewhere = (file: string) =>
  ClusterWorkflowEngine.layer.pipe(
    Layer.provideMerge(MeshCluster.layerClientOnly("checkout", options)),
    Layer.provide(storage(file))
  )
