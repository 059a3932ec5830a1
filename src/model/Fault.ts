/**
 * What the mesh itself answers when it cannot carry an exchange. Codes are stable: they stand in
 * `skein-error`, in metrics, in logs and in users' alerts. No application can send one.
 */
import type { ServiceName } from "./Names.ts"

interface FaultKind {
  /** HTTP status of the response the mesh makes for it. */
  readonly status: number
  /** Its `grpc-status`, for a call of gRPC (https://grpc.io/docs/guides/status-codes/). */
  readonly grpc: number
  /** What an operator should look at next. */
  readonly hint: string
}

export const faultKinds = {
  bad_request: {
    status: 400,
    grpc: 13,
    hint: "The request cannot be carried as it stands; the message says which rule it breaks."
  },
  head_too_large: {
    status: 431,
    grpc: 8,
    hint: "Shorten the request's headers (cookies are the usual cause)."
  },
  target_too_long: {
    status: 414,
    grpc: 13,
    hint: "Shorten the request's target, most often its query; what is long goes into a body."
  },
  not_implemented: {
    status: 501,
    grpc: 12,
    hint: "The request needs a method or transfer coding that is not spoken here; the message names it."
  },
  version_not_supported: {
    status: 505,
    grpc: 12,
    hint: "HTTP/1.x is spoken here, and HTTP/2 with prior knowledge."
  },
  denied: {
    status: 403,
    grpc: 7,
    hint: "It may not be called from there, or not under that name; the message names the rule."
  },
  route_not_found: {
    status: 404,
    grpc: 12,
    hint: "Check its spelling with `skein services`; if a node offers it, the message says why it gets no calls."
  },
  rate_limited: {
    status: 429,
    grpc: 8,
    hint: "Wait as Retry-After says, or raise the service's limit."
  },
  upstream_reset: {
    status: 502,
    grpc: 14,
    hint: "The endpoint broke off after the request was sent. Look at its own log."
  },
  no_healthy_endpoint: {
    status: 503,
    grpc: 14,
    hint: "Every endpoint is unhealthy, draining or has an open circuit, as the message says. See `skein endpoints NAME`."
  },
  upstream_connect: {
    status: 503,
    grpc: 14,
    hint: "Nothing was sent: the program or its node, as the message says, takes no connection. Is it running?"
  },
  overflow: {
    status: 503,
    grpc: 14,
    hint: "A limit was reached (connections, queue or budget); the message names it."
  },
  draining: {
    status: 503,
    grpc: 14,
    hint: "The node is shutting down and takes nothing new; another endpoint should be used."
  },
  client_timeout: {
    status: 408,
    grpc: 1,
    hint: "The client was slower to send its request than the time limit in the message allows. No endpoint is to blame."
  },
  upstream_timeout: {
    status: 504,
    grpc: 4,
    hint: "The endpoint was slower than the limit that the message names."
  },
  /** The caller went away. Never answered, only recorded. */
  client_gone: { status: 499, grpc: 1, hint: "The caller closed its connection before the end." }
} as const satisfies Record<string, FaultKind>

export type FaultCode = keyof typeof faultKinds

/** Why an exchange ended without (all of) the endpoint's own response. */
export interface Fault {
  readonly code: FaultCode
  /** What failed, with the value and the likely cause; one line, for people. */
  readonly message: string
  /** Name of the node that decided it. */
  readonly node: string
  readonly service: ServiceName | undefined
  /**
   * False when it is certain that no byte of the request reached the endpoint: then a retry is
   * safe whatever the method.
   */
  readonly sent: boolean
  /** Seconds, for `Retry-After`. */
  readonly retryAfter?: number
}

export const isFaultCode = (code: string): code is FaultCode => Object.hasOwn(faultKinds, code)

/** The JSON body of a mesh-made HTTP response (and what the admin API shows for a fault). */
export const faultBody = (fault: Fault): string =>
  `${JSON.stringify({
    code: fault.code,
    message: fault.message,
    service: fault.service ?? null,
    node: fault.node,
    hint: faultKinds[fault.code].hint
  })}\n`
