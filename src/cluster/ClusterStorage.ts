/** What a cluster keeps in a database: the storage of @effect/cluster, with the mesh's word on who is well. */
import { RunnerStorage } from "@effect/cluster/RunnerStorage"
import * as SqlMessageStorage from "@effect/cluster/SqlMessageStorage"
import * as SqlRunnerStorage from "@effect/cluster/SqlRunnerStorage"
import { Context, Effect, Layer, Schedule } from "effect"
import type { MeshRunners } from "./MeshRunners.ts"

const again = Schedule.intersect(Schedule.recurs(5), Schedule.jittered(Schedule.spaced(200)))

/**
 * Programs that begin at the same moment make the tables at the same moment, and PostgreSQL has that fail for all but
 * one of them, `if not exists` or not.
 */
const inTurn = <A, E, R>(layer: Layer.Layer<A, E, R>): Layer.Layer<A, E, R> =>
  Layer.scopedContext(
    Layer.build(layer).pipe(Effect.sandbox, Effect.retry(again), Effect.unsandbox)
  )

export const sqlRunners = (prefix: string | undefined) =>
  inTurn(SqlRunnerStorage.layerWith({ prefix }))

export const sqlMessages = (prefix: string | undefined) =>
  inTurn(SqlMessageStorage.layerWith({ prefix }))

/**
 * @effect/cluster lets one runner, its singleton's, judge the others and write that down: when that one is lost, nobody does
 * until its entry has expired. Each runner hears of the mesh who is well, so each judges for itself; who holds a shard
 * keeps it until it lets go or its lock has ended, whatever others think of it.
 */
export const judgedBy = <E, R>(
  runners: Pick<MeshRunners, "judge">,
  storage: Layer.Layer<RunnerStorage, E, R>
): Layer.Layer<RunnerStorage, E, R> =>
  Layer.map(storage, (context) => {
    const stored = Context.get(context, RunnerStorage)
    return Context.make(
      RunnerStorage,
      RunnerStorage.of({
        ...stored,
        getRunners: Effect.map(stored.getRunners, (all) => runners.judge(all))
      })
    )
  })
