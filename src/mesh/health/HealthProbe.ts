/** One check of one endpoint, on a connection of its own that is closed afterwards. */

import http from "node:http"
import net from "node:net"
import { Effect } from "effect"
import type { HealthCheck } from "../../model/LocalService.ts"
import { isOwnShortage } from "../../model/OwnShortage.ts"
import type { ProgramTls } from "../../model/ProgramTls.ts"
import { describeSocketError, hostPort } from "../../model/SocketFailure.ts"
import { connectTls } from "../../model/TlsConnect.ts"
import { placeOf, unixPathOf } from "../../model/UnixHost.ts"
import type { CheckResult } from "./HealthState.ts"

export type ActiveCheck = Exclude<HealthCheck, { readonly kind: "none" }>

export interface ProbeTarget {
  readonly host: string
  readonly port: number
  /** It only speaks TLS, and is well if it is also the right one. Absent: in the clear. */
  readonly tls?: ProgramTls | undefined
  readonly check: ActiveCheck
}

/** Never fails: a failure is a result. Interruption and the check's timeout close the connection. */
export const probe = ({ check, host, port, tls }: ProbeTarget): Effect.Effect<CheckResult> => {
  const where = hostPort(host, port)
  const what = check.kind === "http" ? `GET ${check.path} at ${where}` : `connection to ${where}`
  return (
    check.kind === "http"
      ? probeHttp({ host, port, tls }, check, what)
      : probeTcp({ host, port, tls }, what)
  ).pipe(
    Effect.timeoutTo({
      duration: check.timeout,
      onSuccess: (result: CheckResult) => result,
      onTimeout: () => ({ ok: false, reason: `${what}: no answer within ${check.timeout} ms` })
    })
  )
}

type Place = Pick<ProbeTarget, "host" | "port" | "tls">

const connect = ({ host, port, tls }: Place, onOpen: () => void): net.Socket => {
  const socket = net.connect(placeOf(host, port))
  return tls === undefined
    ? socket.once("connect", onOpen)
    : connectTls(socket, { host, onOpen, tls })
}

const probeTcp = (place: Place, what: string): Effect.Effect<CheckResult> =>
  Effect.async<CheckResult>((resume) => {
    const socket = connect(place, () => {
      socket.destroy()
      resume(Effect.succeed({ ok: true, reason: `${what}: accepted` }))
    })
    // Stays for the socket's life: after an interruption there may still be an error to swallow.
    socket.on("error", (error) => resume(Effect.succeed(failed(what, error))))
    return Effect.sync(() => socket.destroy())
  })

const probeHttp = (
  place: Place,
  check: Extract<ActiveCheck, { readonly kind: "http" }>,
  what: string
): Effect.Effect<CheckResult> =>
  Effect.async<CheckResult>((resume) => {
    const request = http.get({
      createConnection: () => connect(place, () => undefined),
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
const hostHeader = ({ host, port, tls }: Place): string =>
  tls?.serverName ?? (unixPathOf(host) === undefined ? hostPort(host, port) : "localhost")

const failed = (what: string, error: Error): CheckResult => ({
  ok: false,
  reason: `${what}: ${describeSocketError(error)}`,
  unasked: isOwnShortage(error)
})
