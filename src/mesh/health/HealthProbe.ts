/** One check of one endpoint, on a connection of its own that is closed afterwards. */

import http from "node:http"
import { Effect } from "effect"
import type { HealthCheck } from "../../model/LocalService.ts"
import { isOwnShortage } from "../../model/OwnShortage.ts"
import { describeSocketError, hostPort } from "../../model/SocketFailure.ts"
import { unixPathOf } from "../../model/UnixHost.ts"
import { probeGrpc } from "./GrpcProbe.ts"
import type { CheckResult } from "./HealthState.ts"
import { connectTo, type ProbePlace } from "./ProbePlace.ts"

export type ActiveCheck = Exclude<HealthCheck, { readonly kind: "none" }>

export interface ProbeTarget extends ProbePlace {
  readonly check: ActiveCheck
}

/** Never fails: a failure is a result. Interruption and the check's timeout close the connection. */
export const probe = ({ check, ...place }: ProbeTarget): Effect.Effect<CheckResult> => {
  const what = whatIsAsked(check, hostPort(place.host, place.port))
  return ask(place, check, what).pipe(
    Effect.timeoutTo({
      duration: check.timeout,
      onSuccess: (result: CheckResult) => result,
      onTimeout: () => ({ ok: false, reason: `${what}: no answer within ${check.timeout} ms` })
    })
  )
}

const whatIsAsked = (check: ActiveCheck, where: string): string => {
  switch (check.kind) {
    case "http":
      return `GET ${check.path} at ${where}`
    case "tcp":
      return `connection to ${where}`
    case "grpc":
      return `grpc.health.v1${check.service === "" ? "" : ` of ${check.service}`} at ${where}`
  }
}

const ask = (place: ProbePlace, check: ActiveCheck, what: string): Effect.Effect<CheckResult> => {
  switch (check.kind) {
    case "http":
      return probeHttp(place, check, what)
    case "tcp":
      return probeTcp(place, what)
    case "grpc":
      // Whoever asks knows more of an endpoint than its place: the mesh's name of its service, too.
      return probeGrpc({ ...place, ...check, what })
  }
}

const probeTcp = (place: ProbePlace, what: string): Effect.Effect<CheckResult> =>
  Effect.async<CheckResult>((resume) => {
    const socket = connectTo(place, () => {
      socket.destroy()
      resume(Effect.succeed({ ok: true, reason: `${what}: accepted` }))
    })
    // Stays for the socket's life: after an interruption there may still be an error to swallow.
    socket.on("error", (error) => resume(Effect.succeed(failed(what, error))))
    return Effect.sync(() => socket.destroy())
  })

const probeHttp = (
  place: ProbePlace,
  check: Extract<ActiveCheck, { readonly kind: "http" }>,
  what: string
): Effect.Effect<CheckResult> =>
  Effect.async<CheckResult>((resume) => {
    const request = http.get({
      createConnection: () => connectTo(place),
      path: check.path,
      headers: { host: check.host ?? hostHeader(place), connection: "close" }
    })
    request.on("response", (response) => {
      const status = response.statusCode ?? 0
      request.destroy()
      resume(
        Effect.succeed({
          ok: status >= 200 && status < 400,
          reason: `${what}: status ${status}`
        })
      )
    })
    request.on("error", (error) => resume(Effect.succeed(failed(what, error))))
    return Effect.sync(() => request.destroy())
  })

/** A socket has no name that could stand in Host. */
const hostHeader = ({ host, port, tls }: ProbePlace): string =>
  tls?.serverName ?? (unixPathOf(host) === undefined ? hostPort(host, port) : "localhost")

const failed = (what: string, error: Error): CheckResult => ({
  ok: false,
  reason: `${what}: ${describeSocketError(error)}`,
  unasked: isOwnShortage(error)
})
