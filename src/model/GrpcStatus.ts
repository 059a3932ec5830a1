/** The status codes of gRPC (https://grpc.io/docs/guides/status-codes/), as numbers and as labels. */

export const grpcStatusNames = [
  "OK",
  "CANCELLED",
  "UNKNOWN",
  "INVALID_ARGUMENT",
  "DEADLINE_EXCEEDED",
  "NOT_FOUND",
  "ALREADY_EXISTS",
  "PERMISSION_DENIED",
  "RESOURCE_EXHAUSTED",
  "FAILED_PRECONDITION",
  "ABORTED",
  "OUT_OF_RANGE",
  "UNIMPLEMENTED",
  "INTERNAL",
  "UNAVAILABLE",
  "DATA_LOSS",
  "UNAUTHENTICATED"
] as const

/** A status other than OK as it is written in `retry.on`: `unavailable`. */
export type GrpcCondition = Lowercase<Exclude<(typeof grpcStatusNames)[number], "OK">>

/** What an answer without one, or with none of these, means to its client. */
const unknown = 2

/** Of the value of `grpc-status`; undefined: it was not said. */
export const readGrpcStatus = (text: string | undefined): number => {
  const code = text !== undefined && /^\d{1,2}$/.test(text) ? Number(text) : unknown
  return code < grpcStatusNames.length ? code : unknown
}

export const grpcStatusName = (code: number): string => grpcStatusNames[code] ?? "UNKNOWN"

/** What a client of gRPC takes a status of HTTP for, where nothing was said in its own words. */
export const grpcOfHttp = (status: number): number => ofHttp.get(status) ?? unknown

// https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md
const ofHttp = new Map([
  [400, 13],
  [401, 16],
  [403, 7],
  [404, 12],
  [429, 14],
  [502, 14],
  [503, 14],
  [504, 14]
])

/** The server has failed, as with 5xx of HTTP: the same that count against an endpoint. */
export const isGrpcFailure = (code: number): boolean => failures.has(code)

const failures = new Set([2, 4, 13, 14, 15])
