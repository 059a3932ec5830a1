/**
 * Serves the one RPC: `RpcServerProgram.ts TRANSPORT PORT`; with a node within `… mesh TOKEN DATA_DIR`, attached
 * `… attached unix:PATH`. Says `serving` when it does.
 */
import { createServer } from "node:http"
import { HttpRouter, HttpServer, HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { NodeHttpServer, NodeSocketServer } from "@effect/platform-node"
import { RpcSerialization, RpcServer } from "@effect/rpc"
import { Server, ServerCredentials } from "@grpc/grpc-js"
import { Console, Effect, Layer, Logger, LogLevel } from "effect"
import { MeshHttpServer, type MeshProgram, Skein, SkeinNode } from "skein"
import { MeshRpc } from "skein/rpc"
import {
  answerTo,
  grpcDefinition,
  isTransport,
  Payments,
  path,
  placeOf,
  serviceOf
} from "./RpcContract.ts"

const [transport, at = "", dataDir = ""] = process.argv.slice(2)
if (!isTransport(transport)) throw new Error(`no transport ${transport}`)
const here = { host: "127.0.0.1", port: Number(at) }

const Served = RpcServer.layer(Payments, { disableFatalDefects: true, disableTracing: true }).pipe(
  Layer.provide(Payments.toLayer({ Charge: ({ text }) => Effect.succeed(answerTo(text)) }))
)

const member = (): Layer.Layer<MeshProgram, unknown> =>
  placeOf(transport) === "attached"
    ? Skein.attach({ to: at, name: "server" })
    : SkeinNode.layer({ node: { dataDir } }, { join: at })

const ServedPlain = HttpRouter.empty.pipe(
  HttpRouter.post(
    path,
    HttpServerRequest.HttpServerRequest.pipe(
      Effect.flatMap((request) => request.text),
      Effect.map((text) => HttpServerResponse.text(answerTo(text)))
    )
  ),
  HttpServer.serve()
)

const effectServer = (): Layer.Layer<never, unknown> => {
  switch (transport) {
    case "mesh":
    case "attached":
      return Served.pipe(
        Layer.provide(MeshRpc.layerServer(serviceOf(transport))),
        Layer.provide(member())
      )
    case "mesh-http":
    case "attached-http":
      return ServedPlain.pipe(
        Layer.provide(MeshHttpServer.layer(serviceOf(transport))),
        Layer.provide(member())
      )
    case "socket":
      return Served.pipe(
        Layer.provide(RpcServer.layerProtocolSocketServer),
        Layer.provide(RpcSerialization.layerMsgPack),
        Layer.provide(NodeSocketServer.layer(here))
      )
    default:
      return HttpRouter.Default.serve().pipe(
        Layer.provide(Served),
        Layer.provide(RpcServer.layerProtocolHttp({ path: "/rpc" })),
        Layer.provide(RpcSerialization.layerMsgPack),
        Layer.provide(NodeHttpServer.layer(createServer, here))
      )
  }
}

const grpcServer = Effect.async<never, Error>((resume) => {
  const server = new Server()
  server.addService(grpcDefinition, {
    Charge: (
      call: { readonly request: string },
      done: (error: null, answer: string) => void
    ): void => done(null, answerTo(call.request))
  })
  server.bindAsync(`127.0.0.1:${at}`, ServerCredentials.createInsecure(), (error) => {
    if (error === null) console.log("serving")
    else resume(Effect.fail(error))
  })
  return Effect.sync(() => server.forceShutdown())
})

const program =
  transport === "grpc"
    ? grpcServer
    : Layer.build(effectServer()).pipe(
        Effect.zipRight(Console.log("serving")),
        Effect.zipRight(Effect.never),
        Effect.scoped
      )

const fiber = Effect.runFork(Logger.withMinimumLogLevel(program, LogLevel.Warning))
process.once("SIGTERM", () => fiber.unsafeInterruptAsFork(fiber.id()))
