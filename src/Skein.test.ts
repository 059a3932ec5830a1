/** Programs attached to a node: all of it in this process, over real sockets. */
import { mkdtempSync, rmSync } from "node:fs"
import net from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import {
  HttpBody,
  HttpClientRequest,
  HttpRouter,
  HttpServer,
  HttpServerRequest,
  HttpServerResponse
} from "@effect/platform"
import { Rpc, RpcClient, RpcGroup, RpcServer } from "@effect/rpc"
import {
  Deferred,
  Effect,
  Exit,
  Fiber,
  Layer,
  Logger,
  Schedule,
  Schema,
  Scope,
  Stream
} from "effect"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { CalledBy } from "./api/CalledBy.ts"
import { MeshCaller } from "./api/MeshCaller.ts"
import { isMeshError } from "./api/MeshFault.ts"
import * as MeshHttpClient from "./api/MeshHttpClient.ts"
import * as MeshHttpServer from "./api/MeshHttpServer.ts"
import * as MeshRpc from "./api/RpcOverMesh.ts"
import { makeNodeConfig } from "./config/NodeConfig.ts"
import * as Actor from "./entity/Actor.ts"
import * as ActorMesh from "./entity/ActorMesh.ts"
import * as ActorState from "./entity/ActorState.ts"
import { ActorStore } from "./entity/store/ActorStore.ts"
import * as MemoryStore from "./entity/store/MemoryStore.ts"
import { initMesh } from "./mesh/keys/DataDir.ts"
import { formatCaller } from "./model/Caller.ts"
import { NodeName, ServiceName } from "./model/Names.ts"
import type { RunningNode } from "./node/RunningNode.ts"
import { runNode } from "./node.ts"
import { type AttachError, type AttachOptions, Skein } from "./Skein.ts"

const directory = mkdtempSync(join(tmpdir(), "skein-attach-"))
const hostPath = join(directory, "host.sock")
const ordersPath = join(directory, "orders.sock")
const stock = ServiceName.make("stock")
const quiet = Logger.remove(Logger.defaultLogger)

let node: RunningNode
let life: Scope.CloseableScope

const startNode = async (): Promise<void> => {
  const config = makeNodeConfig({
    node: { dataDir: directory, listen: ["/ip4/127.0.0.1/tcp/0"], threads: 0 },
    admin: "off",
    outbound: { http: "off" },
    services: [{ name: "files", address: "127.0.0.1:9", protocol: "tcp" }],
    programs: [{ listen: `unix:${hostPath}` }, { listen: `unix:${ordersPath}`, as: "orders" }],
    drain: { deadline: "1s" }
  })
  life = Effect.runSync(Scope.make())
  node = await Effect.runPromise(
    Effect.tap(runNode({ config }), ({ ready }) => ready).pipe(
      Scope.extend(life),
      Effect.provide(quiet)
    )
  )
}
const stopNode = (): Promise<void> => Effect.runPromise(Scope.close(life, Exit.void))

const attach = (options: AttachOptions = {}) =>
  Skein.attach({ to: `unix:${hostPath}`, name: "test", ...options })

const run = <A, E>(effect: Effect.Effect<A, E, Scope.Scope>): Promise<A> =>
  Effect.runPromise(Effect.scoped(Effect.provide(effect, quiet)))

const interrupted = Effect.runSync(Deferred.make<void>())
const app = HttpRouter.empty.pipe(
  HttpRouter.get(
    "/who",
    Effect.map(CalledBy, (caller) =>
      HttpServerResponse.text(caller === undefined ? "nobody" : formatCaller(caller))
    )
  ),
  HttpRouter.post(
    "/echo",
    Effect.map(HttpServerRequest.HttpServerRequest, ({ stream }) =>
      HttpServerResponse.stream(stream)
    )
  ),
  HttpRouter.get(
    "/never",
    Effect.onInterrupt(Effect.never, () => Deferred.succeed(interrupted, undefined))
  )
)
const served = (service: string) =>
  HttpServer.serve(app).pipe(Layer.provide(MeshHttpServer.layer(service)))

const client = Effect.map(MeshHttpClient.make, (made) => ({
  get: (path: string, service = "stock") =>
    Effect.flatMap(made.get(`http://${service}.mesh${path}`), ({ text }) => text)
}))

/** The code of the mesh, where that is why it failed. */
const code = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.flip(effect), (error) => (isMeshError(error) ? error.cause.code : error))

const programs = Effect.map(
  Effect.suspend(() => node.source.status),
  (status) => status.programs
)

beforeAll(async () => {
  await Effect.runPromise(
    initMesh({
      ...{ dataDir: directory, meshName: "test", nodeName: NodeName.make("host-a") },
      now: Date.now()
    })
  )
  await startNode()
})
afterAll(async () => {
  await stopNode()
  rmSync(directory, { recursive: true })
})

describe("a program that is attached", () => {
  it("serves and calls, and is gone when it ends", async () => {
    await run(
      Effect.gen(function* () {
        const skein = yield* Skein
        yield* skein.awaitService(stock)
        expect(skein.node()).toBe("host-a")
        const { get } = yield* client
        expect(yield* get("/who")).toBe("host/host-a")
        expect(yield* programs).toMatchObject([
          {
            ...{ name: "test", pid: process.pid, as: "host/host-a", address: `unix:${hostPath}` },
            serves: [{ service: "stock", healthy: true }]
          }
        ])
        expect((yield* node.source.endpoints(stock)).map(({ endpoint }) => endpoint)).toEqual([
          "program"
        ])
      }).pipe(Effect.provide(served("stock")), Effect.provide(attach()))
    )
    // Its node hears of the end a moment later than the program itself.
    const gone = { until: (there: { readonly length: number }) => there.length === 0 }
    await run(Effect.repeat(programs, { ...gone, schedule: Schedule.spaced("5 millis") }))
    expect(await run(Effect.flip(node.source.endpoints(stock)))).toMatchObject({
      _tag: "AdminNotFound"
    })
  })

  it("streams both ways with back-pressure, and cancels", async () => {
    await run(
      Effect.gen(function* () {
        const made = yield* MeshHttpClient.make
        const body = new Uint8Array(3_000_000).map((_, at) => (at * 31) & 0xff)
        const echoed = yield* made.post("http://stock.mesh/echo", {
          body: HttpBody.uint8Array(body)
        })
        expect(Buffer.from(yield* echoed.arrayBuffer).equals(Buffer.from(body))).toBe(true)
        const { get } = yield* client
        yield* Effect.timeoutOption(get("/never"), "50 millis")
        yield* Deferred.await(interrupted)
      }).pipe(Effect.provide(served("stock")), Effect.provide(attach()))
    )
  })

  it("serves and calls RPCs, streams and typed failures included", async () => {
    class Odd extends Schema.TaggedError<Odd>()("Odd", { by: Schema.Int }) {}
    const Counting = RpcGroup.make(
      Rpc.make("Half", { payload: { of: Schema.Int }, success: Schema.Int, error: Odd }),
      Rpc.make("Count", { payload: { to: Schema.Int }, success: Schema.Int, stream: true }),
      Rpc.make("Who", { success: Schema.String })
    )
    const handlers = Counting.toLayer({
      Half: ({ of }) => (of % 2 === 0 ? Effect.succeed(of / 2) : new Odd({ by: 1 })),
      Count: ({ to }) => Stream.range(1, to),
      Who: () => Effect.map(CalledBy, (caller) => (caller ? formatCaller(caller) : "nobody"))
    })
    const counting = RpcServer.layer(Counting).pipe(
      Layer.provide(handlers),
      Layer.provide(MeshRpc.layerServer("counting"))
    )
    await run(
      Effect.gen(function* () {
        yield* Effect.flatMap(Skein, ({ awaitService }) =>
          awaitService(ServiceName.make("counting"))
        )
        const rpc = yield* RpcClient.make(Counting)
        expect(yield* rpc.Half({ of: 4 })).toBe(2)
        expect(yield* Effect.flip(rpc.Half({ of: 5 }))).toMatchObject({ _tag: "Odd", by: 1 })
        expect(yield* Stream.runSum(rpc.Count({ to: 1_000 }))).toBe(500_500)
        expect(yield* rpc.Who()).toBe("host/host-a")
      }).pipe(
        Effect.provide(MeshRpc.layerClient("counting", { group: Counting })),
        Effect.provide(counting),
        Effect.provide(attach())
      )
    )
  })

  it("is told at once that the last program with an RPC is gone, and of the next one by its answer", async () => {
    const Till = RpcGroup.make(Rpc.make("Pay", { success: Schema.Int }))
    const till = RpcServer.layer(Till).pipe(
      Layer.provide(Till.toLayer({ Pay: () => Effect.succeed(7) })),
      Layer.provide(MeshRpc.layerServer("till")),
      Layer.provide(attach({ name: "till" }))
    )
    await run(
      Effect.gen(function* () {
        const { awaitService } = yield* Skein
        const rpc = yield* RpcClient.make(Till)
        const first = yield* Scope.make()
        yield* Layer.buildWithScope(till, first)
        yield* awaitService(ServiceName.make("till"))
        expect(yield* rpc.Pay()).toBe(7)
        yield* Scope.close(first, Exit.void)
        // Though it would have ten seconds.
        const failed = yield* Effect.timeout(Effect.flip(rpc.Pay()), "2 seconds")
        expect(MeshRpc.isMeshError(failed) && failed.cause).toMatchObject({
          ...{ code: "no_healthy_endpoint", sent: false, node: "host-a" },
          detail: expect.stringMatching(/nobody has offered it for \d s, last on host-a$/)
        })
        const second = yield* Scope.make()
        yield* Layer.buildWithScope(till, second)
        yield* awaitService(ServiceName.make("till"))
        expect(yield* rpc.Pay()).toBe(7)
        // So it is at a node that is started again, whose caller is attached before who serves.
        yield* Effect.promise(stopNode)
        yield* Scope.close(second, Exit.void)
        const waiting = yield* Effect.fork(Effect.flip(rpc.Pay()))
        yield* Effect.promise(startNode)
        const after = yield* Fiber.join(waiting)
        expect(MeshRpc.isMeshError(after) && after.cause.code).toBe("no_healthy_endpoint")
      }).pipe(
        Effect.provide(MeshRpc.layerClient("till", { group: Till })),
        Effect.provide(attach({ name: "caller" }))
      )
    )
  })

  it("speaks for whom its socket grants, and for nobody else", async () => {
    const asOrders = Layer.provide(MeshCaller.as(ServiceName.make("orders")), attach())
    await run(
      Effect.gen(function* () {
        const { get } = yield* client
        const who = get("/who")
        const orders = attach({ to: `unix:${ordersPath}` })
        const called = Effect.flatMap(client, (other) => other.get("/who"))
        expect(yield* who).toBe("host/host-a")
        expect(yield* Effect.provide(called, orders)).toBe("orders")
        expect(yield* code(Effect.provide(called, asOrders))).toBe("denied")
      }).pipe(Effect.provide(served("stock")), Effect.provide(attach()))
    )
  })

  it("is judged by the access rules as who its socket says", async () => {
    const set = (body: Record<string, unknown> | null) =>
      node.source.changeSettings({
        ...{ author: "ann", waitMs: 0 },
        changes: [{ kind: "access", name: "stock", body }]
      })
    await run(
      Effect.gen(function* () {
        const { get } = yield* client
        const orders = attach({ to: `unix:${ordersPath}` })
        const called = Effect.flatMap(client, (other) => other.get("/who"))
        expect(yield* get("/who")).toBe("host/host-a")
        yield* set({ service: "stock", allow: [{ from: "orders" }] })
        expect(yield* code(get("/who"))).toBe("denied")
        expect(yield* Effect.provide(called, orders)).toBe("orders")
        yield* set(null)
      }).pipe(Effect.provide(served("stock")), Effect.provide(attach()))
    )
  })

  it("says with a call what time is left of it", async () => {
    const deadline = HttpClientRequest.setHeader("skein-deadline", "60")
    const late = Effect.flatMap(MeshHttpClient.make, (made) =>
      made.execute(deadline(HttpClientRequest.get("http://stock.mesh/never")))
    )
    await run(
      code(late).pipe(
        Effect.tap((told) => Effect.sync(() => expect(told).toBe("upstream_timeout"))),
        Effect.provide(served("stock")),
        Effect.provide(attach())
      )
    )
  })

  it("runs actors, shared out among the programs of one node, and calls them", async () => {
    const Counter = Actor.make("Counter", [
      Rpc.make("Add", { success: Schema.Int }),
      Rpc.make("Where", { success: Schema.String })
    ])
    const store = MemoryStore.make()
    const actors = () =>
      Layer.mergeAll(ActorMesh.layer, Layer.succeed(ActorStore, store)).pipe(
        Layer.provide(Layer.succeed(ActorStore, store)),
        Layer.provideMerge(attach())
      )
    const program = (name: string) =>
      Counter.toLayer(
        Effect.gen(function* () {
          const state = yield* ActorState.make(
            Schema.Struct({
              count: Schema.optionalWith(Schema.Int, { default: () => 0 })
            })
          )
          return {
            Add: () =>
              Effect.map(
                state.update(({ count }) => ({ count: count + 1 })),
                ({ count }) => count
              ),
            Where: () => Effect.succeed(name)
          }
        })
      ).pipe(Layer.provideMerge(actors()))
    const ids = Array.from({ length: 24 }, (_, i) => `c${i}`)
    const service = ServiceName.make("actor-counter")
    const offered = Effect.map(
      Effect.suspend(() => node.source.endpoints(service)),
      (all) => all.map(({ endpoint }) => endpoint)
    )
    await run(
      Effect.gen(function* () {
        const endOfTwo = yield* Scope.make()
        const one = yield* Layer.build(program("one"))
        yield* Layer.buildWithScope(program("two"), endOfTwo)
        const only = yield* Layer.build(actors())
        const counters = yield* Effect.provide(Counter.client, only)
        const fromOne = yield* Effect.provide(Counter.client, one)
        const before = yield* offered
        expect(before).toHaveLength(2)
        for (const id of before) expect(id).toMatch(/^program-[0-9a-f]{12}$/)
        // Those who ask find both, from a program that runs some and from one that runs none.
        const where = yield* Effect.forEach(ids, (id) => counters(id).Where())
        expect(new Set(where)).toEqual(new Set(["one", "two"]))
        expect(yield* Effect.forEach(ids, (id) => fromOne(id).Where())).toEqual(where)
        const adding = yield* Effect.fork(
          Effect.forEach(ids, (id) => Effect.replicateEffect(counters(id).Add(), 20), {
            concurrency: "unbounded"
          })
        )
        yield* Scope.close(endOfTwo, Exit.void)
        const counts = yield* Fiber.join(adding)
        expect(counts.map((all) => all.at(-1))).toEqual(ids.map(() => 20))
        expect(new Set(yield* Effect.forEach(ids, (id) => counters(id).Where()))).toEqual(
          new Set(["one"])
        )
        // The same endpoint to a node that is started again, so that it knows which shards are its own.
        const rest = yield* offered
        yield* Effect.promise(stopNode)
        yield* Effect.promise(startNode)
        expect(yield* counters("c1").Add()).toBe(21)
        expect(yield* fromOne("c1").Add()).toBe(22)
        expect(yield* offered).toEqual(rest)
      })
    )
  })

  it("is told what nobody would call", async () => {
    const refused = await run(
      Effect.flip(Layer.build(Layer.provide(MeshHttpServer.layer("files"), attach())))
    )
    expect(refused).toMatchObject({ _tag: "ServeRefused", code: "not_http", node: "host-a" })
  })

  it("stays attached however many services it waits for, and hears of each that comes", async () => {
    await run(
      Effect.gen(function* () {
        const { awaitService } = yield* Skein
        for (let i = 0; i < 300; i++) {
          yield* Effect.forkScoped(awaitService(ServiceName.make(`never-${i}`)))
        }
        const last = yield* Effect.fork(awaitService(stock))
        yield* Layer.build(served("stock"))
        yield* last
        const { get } = yield* client
        expect(yield* get("/who")).toBe("host/host-a")
        const [program] = yield* programs
        expect(program?.serves).toHaveLength(1)
      }).pipe(Effect.scoped, Effect.provide(attach()))
    )
  })

  it("ends in time though its node is away, and cannot be told so", async () => {
    const end = Effect.runSync(Scope.make())
    const actors = Layer.provide(ActorMesh.layer, Layer.succeed(ActorStore, MemoryStore.make()))
    const Idle = Actor.make("Idle", []).toLayer({})
    const all = Layer.merge(served("stock"), Layer.provide(Idle, actors))
    await run(Layer.buildWithScope(Layer.provide(all, attach()), end))
    await stopNode()
    const ended = Effect.promise(() => Effect.runPromise(Scope.close(end, Exit.void))).pipe(
      Effect.as("ended"),
      // What it has begun may take its time (`drain.deadline`), which is a second here.
      Effect.timeoutTo({ duration: "8 seconds", onSuccess: (it) => it, onTimeout: () => "hangs" })
    )
    expect(await run(ended)).toBe("ended")
    await startNode()
  })

  it("is attached again to a node that is started again, and serves and calls as before", async () => {
    await run(
      Effect.gen(function* () {
        const skein = yield* Skein
        yield* skein.awaitService(stock)
        const { get } = yield* client
        expect(yield* get("/who")).toBe("host/host-a")
        yield* Effect.promise(stopNode)
        // It waits, and its time is over.
        expect(yield* code(get("/who"))).toBe("no_healthy_endpoint")
        yield* Effect.promise(startNode)
        yield* skein.awaitService(stock)
        expect(yield* get("/who")).toBe("host/host-a")
        expect(yield* programs).toHaveLength(1)
      }).pipe(
        Effect.provide(served("stock")),
        Effect.provide(attach({ callPatience: "100 millis" }))
      )
    )
  })
})

describe("a program that cannot attach", () => {
  const failure = (options: AttachOptions): Promise<AttachError> =>
    run(Effect.flip(Layer.build(attach(options))))

  it("says that nobody is there", async () => {
    const to = `unix:${join(directory, "nobody.sock")}`
    const error = await failure({ to, patience: "100 millis" })
    expect(error).toMatchObject({ _tag: "AttachError", code: "no_node" })
    expect(error.message).toContain(to)
    expect(await failure({ to: "nonsense" })).toMatchObject({ code: "bad_address" })
  })

  it("is told why by the node, in one line", async () => {
    const say = (line: string): Promise<string> =>
      new Promise((resolve, reject) => {
        let heard = ""
        const socket = net.connect({ path: hostPath }, () => socket.write(`${line}\n`))
        socket.on("data", (bytes) => {
          heard += bytes.toString()
        })
        socket.on("end", () => resolve(heard)).on("error", reject)
      })
    const hello = { skein: "program", role: "control", name: "x" }
    expect(await say("GET / HTTP/1.1")).toContain('"code":"bad_hello"')
    expect(await say(JSON.stringify({ ...hello, versions: [9, 9] }))).toContain('"code":"too_new"')
    expect(await say(JSON.stringify({ ...hello, versions: [1, 1], role: "calls" }))).toContain(
      '"code":"bad_hello"'
    )
    expect(await say("x".repeat(5_000))).toContain('"code":"bad_hello"')
  })
})
