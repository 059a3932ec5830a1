/**
 * Where the admin API listens: a loopback port, or a unix socket that only this user may open. Small
 * in every respect, as it is for an operator and a scraper.
 */
import { chmod, unlink } from "node:fs/promises"
import { createServer, type Server } from "node:http"
import { connect } from "node:net"
import type * as HttpServer from "@effect/platform/HttpServer"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { Data, Effect, type Scope } from "effect"
import { type AdminAddress, formatAdminAddress, formatHostPort } from "../config/HostPort.ts"
import { isLoopback } from "../model/Loopback.ts"
import { limitArrival, ownLimits } from "./ArrivalLimit.ts"

export interface AdminPortOptions {
  readonly listen: AdminAddress
  /** Needed for an address that is not loopback. */
  readonly allowRemote: boolean
  /** Default 64, which is also the most. */
  readonly connections?: number | undefined
}

export class AdminListenError extends Data.TaggedError("AdminListenError")<{
  readonly code: "port_in_use" | "address_not_local" | "not_permitted" | "listen_failed"
  readonly message: string
}> {}

const limits = { connections: 64, arrival: 5_000, goodbye: 1_000 } as const

const listenError = (listen: AdminAddress, cause: unknown): AdminListenError => {
  const where = formatAdminAddress(listen)
  const system = cause instanceof Error && "code" in cause ? cause.code : undefined
  switch (system) {
    case "EADDRINUSE":
      return new AdminListenError({
        code: "port_in_use",
        message: `the admin address ${where} is in use: another node or program listens there; stop it, or set admin to another port`
      })
    case "EADDRNOTAVAIL":
    case "ENOTFOUND":
      return new AdminListenError({
        code: "address_not_local",
        message: `the admin address ${where} is not an address of this host; use 127.0.0.1`
      })
    case "EACCES":
    case "EPERM":
      return new AdminListenError({
        code: "not_permitted",
        message: `this user may not listen on the admin address ${where}; use a port above 1023, or a socket in a directory of its own`
      })
    default:
      return new AdminListenError({
        code: "listen_failed",
        message: `cannot listen on the admin address ${where}: ${cause instanceof Error ? cause.message : String(cause)}`
      })
  }
}

/** A socket file that nobody answers on was left by a node that was killed. */
const removeStaleSocket = (path: string): Effect.Effect<void> =>
  Effect.async<boolean>((resume) => {
    const probe = connect(path)
    probe.once("connect", () => {
      probe.destroy()
      resume(Effect.succeed(false))
    })
    probe.once("error", (cause) =>
      resume(Effect.succeed("code" in cause && cause.code === "ECONNREFUSED"))
    )
  }).pipe(
    Effect.flatMap((stale) =>
      // Could not be removed: then listening fails, and says so better.
      stale ? Effect.ignore(Effect.tryPromise(() => unlink(path))) : Effect.void
    )
  )

interface Listening {
  readonly server: Server
  /** Ends when the answers now being given are out, or after a second. */
  readonly goodbye: Effect.Effect<void>
}

const makeServer = (connections: number): Listening => {
  const server = createServer(ownLimits)
  limitArrival(server, limits.arrival)
  server.maxConnections = connections
  let busy = 0
  let onIdle: (() => void) | undefined
  server.on("request", (_, response) => {
    busy++
    response.once("close", () => {
      if (--busy === 0) onIdle?.()
    })
  })
  const idle = Effect.async<void>((resume) => {
    if (busy === 0) resume(Effect.void)
    else onIdle = () => resume(Effect.void)
  })
  return {
    server,
    goodbye: idle.pipe(
      Effect.timeoutOption(limits.goodbye),
      Effect.ensuring(Effect.sync(() => server.closeAllConnections()))
    )
  }
}

/** Until the scope closes; what is being answered then has a second to get out. */
export const listenOn = (
  options: AdminPortOptions
): Effect.Effect<HttpServer.HttpServer, AdminListenError, Scope.Scope> =>
  Effect.gen(function* () {
    const { listen } = options
    if ("host" in listen && !options.allowRemote && !isLoopback(listen.host)) {
      return yield* new AdminListenError({
        code: "not_permitted",
        message: `the admin address ${formatHostPort(listen)} can be reached from other hosts; use 127.0.0.1, or allow it with admin: { listen: ${formatHostPort(listen)}, allowRemote: true }`
      })
    }
    if ("path" in listen) yield* removeStaleSocket(listen.path)
    const { server, goodbye } = makeServer(
      Math.min(limits.connections, options.connections ?? limits.connections)
    )
    const http = yield* NodeHttpServer.make(
      () => server,
      "path" in listen ? { path: listen.path } : { host: listen.host, port: listen.port }
    ).pipe(Effect.mapError(({ cause }) => listenError(listen, cause)))
    if ("path" in listen) {
      yield* Effect.tryPromise({
        try: () => chmod(listen.path, 0o600),
        catch: (cause) => listenError(listen, cause)
      })
    }
    yield* Effect.addFinalizer(() => goodbye)
    return http
  })
