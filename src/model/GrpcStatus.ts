/** The status codes of gRPC (https://grpc.io/docs/guides/status-codes/), as numbers and as labels. */

const names = [
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
]

/** What an answer without one, or with none of these, means to its client. */
const unknown = 2

/** Of the value of `grpc-status`; undefined: it was not said. */
export const readGrpcStatus = (text: string | undefined): number => {
  const code = text !== undefined && /^\d{1,2}$/.test(text) ? Number(text) : unknown
  return code < names.length ? code : unknown
}

export const grpcStatusName = (code: number): string => names[code] ?? "UNKNOWN"

/** The server has failed, as with 5xx of HTTP: the same that count against an endpoint. */
export const isGrpcFailure = (code: number): boolean => failures.has(code)

const failures = new Set([2, 4, 13, 14, 15])
