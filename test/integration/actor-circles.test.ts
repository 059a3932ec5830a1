/** Actors that wait for each other, on two hosts: whoever waits for them and has less time hears of it by the mesh. */
import { join } from "node:path"
import { Rpc } from "@effect/rpc"
import { Effect, Exit, Layer, Logger, Schema, Scope } from "effect"
import { afterAll, beforeAll, expect, it } from "vitest"
import * as Actor from "../../src/entity/Actor.ts"
import * as ActorMesh from "../../src/entity/ActorMesh.ts"
import { Actors } from "../../src/entity/Actors.ts"
import * as MemoryStore from "../../src/entity/store/MemoryStore.ts"
import { Skein } from "../../src/Skein.ts"
import { TestMesh } from "../fixtures/Mesh.ts"
import { stopAll, until } from "../fixtures/Processes.ts"

const Party = Actor.make("Party", [
  Rpc.make("Ask", {
    payload: { way: Schema.Array(Schema.String) },
    success: Schema.Int,
    error: Schema.String
  })
])

const PartyLive = Party.toLayer(
  Effect.map(Party.client, (parties) => ({
    Ask: ({ payload: { way } }) => {
      const [next, ...rest] = way
      if (next === undefined) return Effect.succeed(0)
      return Effect.mapError(parties(next).Ask({ way: rest }), String)
    }
  }))
)

const mesh = new TestMesh()
const socket = (name: string) => `unix:${join(mesh.directory, `${name}.sock`)}`
const scope = Effect.runSync(Scope.make())

/** A program of its own, attached there. */
const attached = (name: string) =>
  PartyLive.pipe(
    Layer.provideMerge(ActorMesh.layer),
    Layer.provide(MemoryStore.layer),
    Layer.provide(Skein.attach({ to: socket(name) })),
    Layer.provide(Logger.remove(Logger.defaultLogger)),
    Layer.buildWithScope(scope)
  )

beforeAll(async () => {
  await mesh.first("host-a", { threads: 1, programs: { listen: socket("host-a") } })
  await mesh.join("host-b", {
    ...{ threads: 1, programs: { listen: socket("host-b") } },
    invite: ["--services", "actor-party"]
  })
})

afterAll(async () => {
  await Effect.runPromise(Scope.close(scope, Exit.void))
  await mesh.stop()
  await stopAll()
})

it("names a circle to who has waited for it from another host", async () => {
  const a = await Effect.runPromise(attached("host-a"))
  const b = await Effect.runPromise(attached("host-b"))
  const sizes = () => [a, b].map((context) => Effect.runSync(sizeOf.pipe(Effect.provide(context))))
  const sizeOf = Effect.map(Actors, ({ hosts }) => hosts.get("Party")?.size ?? 0)
  const parties = await Effect.runPromise(Effect.provide(Party.client, a))
  let n = 0
  await until("both run some", async () => {
    await Effect.runPromise(parties(`some-${n++}`).Ask({ way: [] }))
    return sizes().every((size) => size > 3) ? true : undefined
  })
  const asked = Array.from({ length: 8 }, (_, i) => {
    const [first, x, y] = [`first-${i}`, `x-${i}`, `y-${i}`]
    const headers = { "skein-deadline": "700" }
    return parties(first)
      .Ask({ way: [x, y, x] }, { headers })
      .pipe(Effect.flip, Effect.map(String))
  })
  const errors = await Effect.runPromise(Effect.all(asked, { concurrency: "unbounded" }))
  for (const [i, error] of errors.entries()) {
    expect(error).toContain(
      `Party/first-${i} has not answered in time: it was in a circle of actors that wait for each other (Party/x-${i} → Party/y-${i} → Party/x-${i})`
    )
  }
})
