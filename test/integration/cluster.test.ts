/**
 * Entities of @effect/cluster in attached programs of two hosts, kept in PostgreSQL, called from a third program; and
 * what becomes of it when a program ends, and when a host is lost.
 */
import { join } from "node:path"
import { ShardingConfig } from "@effect/cluster"
import { PgClient } from "@effect/sql-pg"
import { Chunk, Effect, Fiber, Layer, ManagedRuntime, Stream } from "effect"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { sqlMessages, sqlRunners } from "../../src/cluster/ClusterStorage.ts"
import * as MeshCluster from "../../src/cluster/MeshCluster.ts"
import { Skein } from "../../src/Skein.ts"
import { build, type Host, root, skein, TestMesh } from "../fixtures/Mesh.ts"
import { type Postgres, startPostgres } from "../fixtures/Postgres.ts"
import { type Running, start, stopAll, until } from "../fixtures/Processes.ts"
import { Till, TooMuch } from "../fixtures/TillEntity.ts"

const mesh = new TestMesh()
const place = (name: string): string => `unix:${join(mesh.directory, `${name}.sock`)}`
const ids = Array.from({ length: 24 }, (_, i) => `till-${i}`)

let postgres: Postgres
let b: Host
const programs = new Map<string, Running>()

const database = () => ({
  ...{ host: "127.0.0.1", port: postgres.port, username: "postgres", database: "postgres" }
})

const makeClient = () =>
  ManagedRuntime.make(
    MeshCluster.layerClientOnly("tills").pipe(
      Layer.provide(PgClient.layer(database())),
      Layer.provide(Skein.attach({ to: place("host-a"), name: "client" }))
    )
  )
let client: ReturnType<typeof makeClient>

const startProgram = async (name: string, on: string, ...args: ReadonlyArray<string>) => {
  const script = join(root, "test", "fixtures", "TillProgram.ts")
  const program = start(process.execPath, [
    ...[script, place(on), name, String(postgres.port), ...args]
  ])
  programs.set(name, program)
  await until(
    `${name} serves`,
    () => (program.output().includes("serving") ? true : undefined),
    60,
    [program]
  )
  return program
}

const hosts = Effect.gen(function* () {
  const till = yield* Till.client
  return yield* Effect.forEach(ids, (id) => till(id).Host(), { concurrency: "unbounded" })
})

/** Each till answers, from one of these and no other. */
const areOn = (...names: ReadonlyArray<string>): Promise<ReadonlyArray<string>> =>
  until(
    `tills are on ${names}`,
    async () => {
      const found = await client.runPromise(hosts)
      return [...new Set(found)].sort().join() === names.join() ? found : undefined
    },
    60,
    [...programs.values()]
  )

beforeAll(async () => {
  await build()
  postgres = await startPostgres()
  await mesh.first("host-a", { programs: { listen: place("host-a") } })
  b = await mesh.join("host-b", {
    programs: { listen: place("host-b") },
    invite: ["--services", "tills"]
  })
  await Promise.all([startProgram("first", "host-a"), startProgram("second", "host-b", "never")])
  client = makeClient()
  await areOn("first", "second")
})

afterAll(async () => {
  await client?.dispose()
  await mesh.stop()
  await stopAll()
  await postgres?.stop()
})

const call = <A, E>(work: Effect.Effect<A, E>): Promise<A> => Effect.runPromise(work)
const till = (id: string) => client.runPromise(Effect.map(Till.client, (of) => of(id)))

describe("the storage", () => {
  it("is made once by programs that begin at the same moment", async () => {
    const storage = Effect.suspend(() =>
      Layer.build(Layer.merge(sqlRunners("race"), sqlMessages("race"))).pipe(
        Effect.scoped,
        Effect.provide(ShardingConfig.layer()),
        Effect.provide(PgClient.layer(database()))
      )
    )
    await Effect.runPromise(Effect.replicateEffect(storage, 12, { concurrency: "unbounded" }))
    expect(await postgres.query("select count(*) from race_runners, race_messages")).toBe("0")
  })
})

describe("entities on two hosts", () => {
  it("fail as they declare, and stream, on either", async () => {
    for (const id of ids.slice(0, 12)) {
      const one = await till(id)
      expect(await call(one.Take({ amount: 4 }))).toBe(6)
      expect(await call(Effect.flip(one.Take({ amount: 11 })))).toEqual(new TooMuch({ most: 10 }))
      const counted = await call(Stream.runCollect(one.Count({ to: 500 })))
      expect(Chunk.toReadonlyArray(counted)).toEqual(Array.from({ length: 500 }, (_, i) => i + 1))
    }
    const text = "x".repeat(300_000)
    expect(await call((await till("till-0")).Echo({ text }))).toBe(text)
  })

  it("are asked by no address but the mesh's", async () => {
    const addresses = await postgres.query("select address from cluster_runners order by address")
    expect(addresses.split("\n")).toHaveLength(2)
    for (const address of addresses.split("\n")) {
      expect(address).toMatch(/^[1-9A-HJ-NP-Za-km-z]+\/tills\/program-[0-9a-f]{12}:0$/)
    }
  })

  it("answer a kept message once, however often it is sent", async () => {
    for (const id of ids.slice(0, 6)) {
      const one = await till(id)
      const first = await call(one.Pay({ id: "one", amount: 3 }))
      expect(await call(one.Pay({ id: "one", amount: 3 }))).toBe(first)
      expect(await call(one.Pay({ id: "two", amount: 3 }))).not.toBe(first)
    }
  })
})

describe("a program that ends", () => {
  it("leaves its entities to the other, and takes its share when it is back", async () => {
    const before = programs.get("first")
    programs.delete("first")
    const began = performance.now()
    expect(await before?.stop("SIGTERM")).toBe(0)
    await areOn("second")
    expect(performance.now() - began).toBeLessThan(15_000)
    await startProgram("first", "host-a")
    await areOn("first", "second")
  })
})

describe("a host that is drained", () => {
  it("gives its entities away, and has its share again when its node is started anew", async () => {
    const { code } = await skein("drain", "--config", b.configPath)
    expect(code).toBe(0)
    await areOn("first")
    await b.stop()
    await b.up()
    await areOn("first", "second")
  })
})

describe("a host that is lost", () => {
  it("is found out by the mesh, before what is written of it has expired, and its messages are answered", async () => {
    const on = await client.runPromise(hosts)
    const id = ids.find((_, i) => on[i] === "second") ?? "none"
    const waiting = client.runFork(
      Effect.flatMap(Till.client, (of) => of(id).PaySlowly({ id: "slow", amount: 5 }))
    )
    const second = programs.get("second")
    await until("it is being paid", () =>
      second?.output().includes("paying slowly") === true ? true : undefined
    )
    programs.delete("second")
    const began = performance.now()
    await Promise.all([second?.stop("SIGKILL"), b.kill()])
    await areOn("first")
    // Entries of runners expire after 35 s.
    expect(performance.now() - began).toBeLessThan(25_000)
    expect(await postgres.query("select count(*) from cluster_runners where healthy")).toBe("2")
    expect(await Effect.runPromise(Fiber.join(waiting))).toBe("5 on first")
  })
})
