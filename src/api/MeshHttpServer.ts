/**
 * The mesh as the `HttpServer` of @effect/platform: what a program serves with it (HttpApi, HttpRouter,
 * RpcServer over HTTP) is an endpoint of a service, with no port opened. Calls come from the request
 * plane as they are: policies, access rules, metrics and traces are those of any endpoint.
 *
 *     HttpApiBuilder.serve().pipe(
 *       Layer.provide(MeshHttpServer.layer("payments")),
 *       Layer.provide(SkeinNode.layer(config))
 *     )
 *
 * The mesh knows of it as long as it is served. When that ends, it hears so first, and what runs may
 * finish (`drain.deadline`). A caller that gives up interrupts its handler. For whom it called says
 * `CalledBy`.
 */
import * as HttpApp from "@effect/platform/HttpApp"
import * as HttpServer from "@effect/platform/HttpServer"
import { Effect, Layer } from "effect"
import { ServiceName } from "../schema/NamesSchema.ts"
import type { ServeRefused } from "../schema/ProgramOfferSchema.ts"
import { MeshProgram } from "./MeshProgram.ts"
import { runningCalls } from "./RunningCalls.ts"
import { respond } from "./ServedResponse.ts"
import { offerService, provideReadiness, type ServeOptions } from "./ServeOptions.ts"

/** A name that cannot be a service's is a defect: it stands in the program. */
export const make = <R = never>(
  service: string,
  options: ServeOptions<R> = {}
): Effect.Effect<HttpServer.HttpServer, ServeRefused, MeshProgram | R> =>
  Effect.gen(function* () {
    const program = yield* MeshProgram
    const name = ServiceName.make(service)
    yield* program.mayServe(name)
    const provided = yield* provideReadiness(options)
    return HttpServer.make({
      // How others call it: HttpServer.addressFormattedWith makes a URL of it.
      address: { _tag: "TcpAddress", hostname: `${name}.mesh`, port: 80 },
      serve: (app, middleware) =>
        Effect.gen(function* () {
          const { drainDeadline, node } = program
          const handled = HttpApp.toHandled(app, respond, middleware)
          const dispatch = yield* runningCalls({ handled, node, drainDeadline })
          yield* offerService(program, name, provided, dispatch)
        })
    })
  })

/** Fails where nobody would call it: `ServeRefused` says why. */
export const layer = <R = never>(
  service: string,
  options: ServeOptions<R> = {}
): Layer.Layer<HttpServer.HttpServer, ServeRefused, MeshProgram | R> =>
  Layer.effect(HttpServer.HttpServer, make(service, options))
