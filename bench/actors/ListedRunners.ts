/**
 * Storage of runners for @effect/cluster that costs nothing while nobody comes or goes: a directory with a file for
 * each. Locks of shards are granted to whoever asks, so it is faster than one that keeps them, and not safe.
 */
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { MachineId, Runner, type RunnerAddress, RunnerStorage, type ShardId } from "@effect/cluster"
import { Effect, Layer } from "effect"

export const layer = (directory: string): Layer.Layer<RunnerStorage.RunnerStorage> => {
  const fileOf = ({ host, port }: RunnerAddress.RunnerAddress): string =>
    join(directory, `${host}-${port}.json`)
  let held: Array<ShardId.ShardId> = []
  const storage: RunnerStorage.RunnerStorage["Type"] = {
    register: (runner) =>
      Effect.sync(() => {
        writeFileSync(fileOf(runner.address), Runner.Runner.encodeSync(runner))
        return MachineId.make(runner.address.port % 1_024)
      }),
    unregister: (address) => Effect.sync(() => rmSync(fileOf(address), { force: true })),
    getRunners: Effect.sync(() =>
      readdirSync(directory)
        .filter((name) => name.endsWith(".json"))
        .map((name) => {
          const text = readFileSync(join(directory, name), "utf8")
          return [Runner.Runner.decodeSync(text), true] as const
        })
    ),
    setRunnerHealth: () => Effect.void,
    acquire: (_, shards) =>
      Effect.sync(() => {
        const asked = [...shards]
        held = [...held, ...asked]
        return asked
      }),
    refresh: (_, shards) => Effect.sync(() => [...shards]),
    release: (_, shard) =>
      Effect.sync(() => {
        held = held.filter((one) => one !== shard)
      }),
    releaseAll: () => Effect.void
  }
  return Layer.succeed(RunnerStorage.RunnerStorage, storage)
}
