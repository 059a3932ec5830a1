/**
 * Calls the one RPC: `RpcClientProgram.ts TRANSPORT ADDRESS`, with `mesh` `… mesh TOKEN DATA_DIR`. Says `ready` when
 * a call was answered; then each line of its input, `CONCURRENCY SECONDS`, is a run, whose outcome is a line of JSON.
 */
import { createInterface } from "node:readline"
import { HttpBody, HttpClient } from "@effect/platform"
import { NodeHttpClient, NodeSocket } from "@effect/platform-node"
import { RpcClient, RpcSerialization } from "@effect/rpc"
import { Effect, Layer, Logger, LogLevel, Schedule } from "effect"
import {
  type MeshCaller,
  MeshHttpClient,
  type MeshProgram,
  ServiceName,
  Skein,
  SkeinNode
} from "skein"
import { MeshRpc } from "skein/rpc"
import { quantile } from "../Statistics.ts"
import {
  answerTo,
  grpcCalls,
  isTransport,
  Payments,
  path,
  placeOf,
  question,
  serviceOf
} from "./RpcContract.ts"

const [transport, at = "", dataDir = ""] = process.argv.slice(2)
if (!isTransport(transport)) throw new Error(`no transport ${transport}`)
const [host = "", port = ""] = at.split(":")

type Call = Effect.Effect<string, unknown>

const effectCall = Effect.map(
  RpcClient.make(Payments, { disableTracing: true }),
  (client): Call => client.Charge({ text: question })
)

const plainCall = Effect.map(HttpClient.HttpClient, (client): Call => {
  const url = `http://${serviceOf(transport)}.mesh${path}`
  const quiet = HttpClient.withTracerDisabledWhen(client, () => true)
  return Effect.suspend(() => quiet.post(url, { body: HttpBody.text(question) })).pipe(
    Effect.flatMap((response) => response.text)
  )
})

const protocol = () => {
  switch (transport) {
    case "socket":
      return RpcClient.layerProtocolSocket().pipe(
        Layer.provide(RpcSerialization.layerMsgPack),
        Layer.provide(NodeSocket.layerNet({ host, port: Number(port) }))
      )
    default:
      return RpcClient.layerProtocolHttp({ url: `http://${at}/rpc` }).pipe(
        Layer.provide(RpcSerialization.layerMsgPack),
        Layer.provide(NodeHttpClient.layerUndici)
      )
  }
}

const member = (): Layer.Layer<MeshCaller | MeshProgram | Skein, unknown> =>
  placeOf(transport) === "attached"
    ? Skein.attach({ to: at, name: "client" })
    : SkeinNode.layer({ node: { dataDir } }, { join: at })

/** What calls over the mesh, once there is somebody to be called. */
const overMesh = <Calls>(
  calls: Layer.Layer<Calls, unknown, MeshCaller>
): Layer.Layer<Calls, unknown> =>
  Layer.effectDiscard(
    Effect.flatMap(Skein, (skein) => skein.awaitService(ServiceName.make(serviceOf(transport))))
  ).pipe(Layer.provideMerge(calls), Layer.provide(member()))

/** Calls one after the other until the time is over; in milliseconds how long each took. */
const caller = (call: Call, until: number, times: Array<number>, failed: { count: number }) =>
  Effect.gen(function* () {
    while (performance.now() < until) {
      const began = performance.now()
      const answer = yield* Effect.orElseSucceed(call, () => "")
      times.push(performance.now() - began)
      if (answer !== answerTo(question)) failed.count++
    }
  })

const run = (call: Call, concurrency: number, seconds: number) =>
  Effect.gen(function* () {
    const times: Array<number> = []
    const failed = { count: 0 }
    const began = performance.now()
    const until = began + seconds * 1_000
    const callers = Array.from({ length: concurrency }, () => caller(call, until, times, failed))
    yield* Effect.all(callers, { concurrency: "unbounded", discard: true })
    return {
      ...{ calls: times.length, errors: failed.count },
      seconds: (performance.now() - began) / 1_000,
      p50: quantile(times, 0.5),
      p99: quantile(times, 0.99)
    }
  })

const program = (call: Call) =>
  Effect.gen(function* () {
    yield* Effect.retry(call, { schedule: Schedule.spaced("100 millis"), times: 200 })
    console.log("ready")
    yield* obey(call)
  })

const obey = (call: Call) =>
  Effect.gen(function* () {
    const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
    for (;;) {
      const line = yield* Effect.promise(() => lines.next())
      if (line.done === true) return
      const [concurrency, seconds] = line.value.split(" ").map(Number)
      console.log(JSON.stringify(yield* run(call, concurrency ?? 1, seconds ?? 1)))
    }
  })

const main = () => {
  if (transport === "grpc") {
    const calls = grpcCalls(at)
    return program(Effect.tryPromise(() => calls(question)))
  }
  if (transport.endsWith("-http")) {
    return Effect.provide(Effect.flatMap(plainCall, program), overMesh(MeshHttpClient.layer))
  }
  const scoped = Effect.scoped(Effect.flatMap(effectCall, program))
  const calls = MeshRpc.layerClient(serviceOf(transport), { group: Payments })
  return Effect.provide(scoped, placeOf(transport) === undefined ? protocol() : overMesh(calls))
}

await Effect.runPromise(Logger.withMinimumLogLevel(main(), LogLevel.Warning))
process.exit(0)
