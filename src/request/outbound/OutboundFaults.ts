/** What the outbound stack itself says when it cannot carry an exchange. */
import type { Fault } from "../../model/Fault.ts"
import type { LeftOut } from "../../model/MeshView.ts"
import type { ServiceName } from "../../model/Names.ts"
import type { Protocol } from "../../model/NodeRecord.ts"
import type { PassedLimit } from "./CallStep.ts"
import type { LostService } from "./LostServices.ts"

/** A service, as faults tell of it. */
interface ToldService {
  readonly service: ServiceName
  readonly protocol: Protocol | undefined
  /** Why it has nobody who could take a request. */
  explain(now: number): string
  /** Milliseconds after which it is worth asking again, when that is known. */
  retryAfter(now: number): number | undefined
}

/** `why`: what is known of a service that some node means to offer. */
export const routeNotFound = (
  node: string,
  service: ServiceName,
  why: string | undefined
): Fault => ({
  code: "route_not_found",
  message: `no node of the mesh offers a service named ${service}${why === undefined ? "" : `: ${why}`}`,
  node,
  service,
  sent: false
})

/** Nobody offers it any more, and a moment ago somebody did. */
export const nobodyOffersNow = (
  node: string,
  service: ServiceName,
  { more, nodes, since }: LostService,
  now: number
): Fault => ({
  code: "no_healthy_endpoint",
  message: `no endpoint of ${service} can take a request: nobody has offered it for ${Math.round((now - since) / 1_000)} s, last on ${nodes.join(", ")}${more === 0 ? "" : ` and ${more} more`}`,
  node,
  service,
  sent: false
})

export const shuttingDown = (node: string, service: ServiceName): Fault => ({
  code: "draining",
  message: "this node is shutting down",
  node,
  service,
  sent: false
})

/** An HTTP call to what most nodes say is no HTTP service, though some say so. */
export const protocolConflict = (
  node: string,
  { protocol, service }: ToldService,
  { endpoint }: LeftOut
): Fault => ({
  code: "no_healthy_endpoint",
  message: `nodes contradict each other about ${service}: the mesh uses ${protocol}, and ${endpoint.node}, which says http, gets no calls; see \`skein doctor\``,
  node,
  service,
  sent: false
})

/** The one endpoint that the caller has named cannot be asked. */
export const notTheNamed = (node: string, service: ServiceName, why: string): Fault => ({
  code: "no_healthy_endpoint",
  message: `no endpoint of ${service} can take a request: ${why}`,
  node,
  service,
  sent: false
})

export const noHealthyEndpoint = (node: string, plan: ToldService, now: number): Fault => {
  const { service } = plan
  const wait = plan.retryAfter(now)
  return {
    code: "no_healthy_endpoint",
    message: `no endpoint of ${service} can take a request: ${plan.explain(now)}`,
    node,
    service,
    sent: false,
    ...(wait === undefined ? {} : { retryAfter: Math.max(1, Math.ceil(wait / 1_000)) })
  }
}

/** What came of a call's attempts. */
interface Attempts {
  readonly attempts: number
  /** Node of the last endpoint tried. */
  readonly last: string | undefined
  /** There was no link to that node yet. */
  readonly unlinked?: boolean
  /** One of them may have reached an endpoint. */
  readonly sent: boolean
}

export const upstreamTimeout = (
  node: string,
  service: ServiceName,
  { limit, millis, what }: PassedLimit,
  { attempts, last, sent, unlinked = false }: Attempts
): Fault => ({
  code: "upstream_timeout",
  message: `${service} did not ${what} within ${Math.round(millis)} ms (${limit})${
    attempts > 1 ? `, after ${attempts} attempts` : ""
  }${last === undefined ? "" : `; last tried on ${last}`}${
    unlinked ? ", to which there was no link yet" : ""
  }`,
  node,
  service,
  sent
})

/** An attempt has waited for a link to the node `to`, and nothing has left. */
export const noLinkWithin = (
  node: string,
  service: ServiceName,
  { limit, millis }: PassedLimit,
  to: string
): Fault => ({
  code: "upstream_connect",
  message: `no link to the node ${to} within ${Math.round(millis)} ms (${limit})`,
  node,
  service,
  sent: false
})

/**
 * The caller was waited for, not the endpoint. `received`: bytes of its body so far. `sent`: some of it may
 * have reached an endpoint.
 */
export const clientTimeout = (
  node: string,
  service: ServiceName,
  { limit, millis }: PassedLimit,
  received: number,
  sent: boolean
): Fault => ({
  code: "client_timeout",
  message: `the client had not sent all of its request to ${service} within ${Math.round(millis)} ms (${limit}); ${received} bytes of the body have come`,
  node,
  service,
  sent
})

/** Never answered: told to the endpoint's side of an attempt that is given up for another. */
export const superseded = (node: string, service: ServiceName): Fault => ({
  code: "client_gone",
  message: "the caller's node turned to another attempt",
  node,
  service,
  sent: true
})

/**
 * Something in this node threw: a step, a receiver, the endpoint's side. Its own log says what.
 * `sent`: an attempt may have reached an endpoint.
 */
export const brokenInside = (node: string, service: ServiceName, sent: boolean): Fault => ({
  code: "upstream_reset",
  message: `${node} itself failed while it carried a call to ${service}; its log says what broke`,
  node,
  service,
  sent
})
