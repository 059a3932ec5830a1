/** The admin API from the other side, derived from the same value as the server. */
import * as HttpApiClient from "@effect/platform/HttpApiClient"
import * as HttpClient from "@effect/platform/HttpClient"
import { type HttpClientError, RequestError, ResponseError } from "@effect/platform/HttpClientError"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import { Data, Duration, Effect, ParseResult } from "effect"
import { type AdminAddress, formatAdminAddress, formatHostPort } from "../config/HostPort.ts"
import { explainInLine } from "../schema/ExplainIssue.ts"
import { AdminApi } from "./AdminApi.ts"
import { adminTransport } from "./AdminTransport.ts"

/** Nobody useful answers at the admin address. */
export class AdminUnreachable extends Data.TaggedError("AdminUnreachable")<{
  readonly code: "refused" | "no_socket" | "not_permitted" | "timeout" | "not_skein" | "failed"
  readonly message: string
  readonly hint: string
}> {}

/** An address, and the node's token where the address alone may not change anything. */
export type AdminTarget = AdminAddress & { readonly token?: string | undefined }

const makeClient = (target: AdminTarget) => {
  const { token } = target
  const to = "path" in target ? target : reachable(target)
  const transport = adminTransport(to)
  return HttpApiClient.makeWith(AdminApi, {
    httpClient:
      token === undefined
        ? transport
        : HttpClient.mapRequest(transport, HttpClientRequest.bearerToken(token)),
    baseUrl: "path" in to ? "http://localhost" : `http://${formatHostPort(to)}`
  })
}

export type AdminClient = Effect.Effect.Success<ReturnType<typeof makeClient>>

/** What listens on every address is reached on this host's own. */
const reachable = (address: Extract<AdminAddress, { host: string }>) =>
  address.host === "0.0.0.0" || address.host === "::"
    ? { ...address, host: address.host === "::" ? "::1" : "127.0.0.1" }
    : address

/** Several attempts (IPv4, IPv6) make one AggregateError. */
const systemCode = (cause: unknown): string | undefined => {
  if (cause instanceof AggregateError) return systemCode(cause.errors[0])
  return cause instanceof Error && "code" in cause ? String(cause.code) : undefined
}

const explain = (
  address: AdminAddress,
  error: HttpClientError | ParseResult.ParseError
): AdminUnreachable => {
  const where = formatAdminAddress(address)
  const start = "Start it with `skein up`, or name its admin address with --admin."
  if (!(error instanceof RequestError)) {
    const got =
      error instanceof ResponseError
        ? `status ${error.response.status}`
        : explainInLine(error.issue).slice(0, 200)
    return new AdminUnreachable({
      code: "not_skein",
      message: `what answers at ${where} is not a Skein node of this version (${got})`,
      hint: "Is the address right? Name another with --admin."
    })
  }
  const code = systemCode(error.cause)
  switch (code) {
    case "ECONNREFUSED":
      return new AdminUnreachable({
        code: "refused",
        message: `no node answers at ${where}: connection refused`,
        hint: start
      })
    case "ENOENT":
      return new AdminUnreachable({
        code: "no_socket",
        message: `no node answers at ${where}: there is no such socket`,
        hint: start
      })
    case "EACCES":
    case "EPERM":
      return new AdminUnreachable({
        code: "not_permitted",
        message: `this user may not use ${where}`,
        hint: "Ask as the user the node runs as."
      })
    default:
      return new AdminUnreachable({
        code: "failed",
        message: `asking the node at ${where} failed: ${code ?? String(error.cause ?? error.message)}`,
        hint: "Is the address right, and the process running?"
      })
  }
}

/**
 * Asks the node at `address`, or tells it. `patience` bounds the whole use (default 10 s). Errors of the API
 * itself (AdminNotFound, …) pass through; everything else is told as AdminUnreachable.
 */
export const withAdmin = <A, E>(
  address: AdminTarget,
  use: (client: AdminClient) => Effect.Effect<A, E>,
  patience: Duration.DurationInput = "10 seconds"
): Effect.Effect<A, AdminUnreachable | Exclude<E, HttpClientError | ParseResult.ParseError>> =>
  makeClient(address).pipe(
    Effect.flatMap(use),
    Effect.catchIf(
      (error): error is Extract<E, HttpClientError | ParseResult.ParseError> =>
        error instanceof RequestError ||
        error instanceof ResponseError ||
        ParseResult.isParseError(error),
      (error) => Effect.fail(explain(address, error))
    ),
    Effect.timeoutFail({
      duration: patience,
      onTimeout: () =>
        new AdminUnreachable({
          code: "timeout",
          message: `the node at ${formatAdminAddress(address)} did not answer within ${Duration.format(Duration.decode(patience))}`,
          hint: "Is its process stopped or overloaded?"
        })
    }),
    Effect.mapError(
      (error) =>
        // What catchIf has taken out is not in E any more; its type cannot say so for a generic E.
        error as AdminUnreachable | Exclude<E, HttpClientError | ParseResult.ParseError>
    )
  )
