/**
 * What the request plane tells of an exchange. One observation object per exchange and side; it
 * feeds metrics, access log and (when sampled) a span. Every exchange is ended exactly once.
 */
import type { Caller } from "./Caller.ts"
import type { Fields } from "./Exchange.ts"
import type { FaultCode } from "./Fault.ts"
import type { ServiceName } from "./Names.ts"

export interface ExchangeInfo {
  /** `outbound`: at the caller's node. `inbound`: at the endpoint's node. */
  readonly direction: "outbound" | "inbound"
  readonly kind: "http" | "tcp"
  readonly service: ServiceName
  /**
   * Nobody offers it (inbound: this node does not): the name is whatever the caller made up, and
   * must not become a label.
   */
  readonly unknown?: boolean
  /** The service is one of gRPC: what counts is its own status. */
  readonly grpc?: boolean | undefined
  /** Name of the node the call came from (own name when outbound). */
  readonly caller: string
  /** Who the call speaks for; inbound also when its node may not, and then it is refused. */
  readonly identity: Caller
  /** Empty for tcp. */
  readonly method: string
  readonly target: string
  /** The request's fields, from which trace context is taken. */
  readonly fields: Fields
}

export type Outcome =
  /** The endpoint's response came to its end. */
  | {
      readonly kind: "complete"
      readonly status: number
      /** Of a call of gRPC: the status it ended with. */
      readonly grpc?: number | undefined
    }
  | { readonly kind: "fault"; readonly code: FaultCode; readonly message: string }

export interface ExchangeObservation {
  /**
   * Fields for the forwarded request: those given, with traceparent (and tracestate) replaced when
   * this exchange has a span of its own. The same array when nothing changes.
   */
  readonly forwardFields: Fields
  /** A response head arrived (the one that is forwarded to the caller). */
  responded(status: number): void
  /** What access rules say of it, and which one; last call wins. Absent: nobody asks. */
  decided?(decision: string, rule: string): void
  /** The endpoint the exchange ended up on; last call wins. */
  endpoint(key: string, node: string): void
  /** Something worth a span event: `retry`, `ejected`, `breaker_open`… Free when not sampled. */
  event(name: string, attributes?: Readonly<Record<string, string | number | boolean>>): void
  /** Exactly once. Bytes are body bytes. */
  end(outcome: Outcome, bytesIn: number, bytesOut: number): void
}

export interface Observer {
  begin(info: ExchangeInfo): ExchangeObservation
}

const nothing = (): void => undefined

/** Of an exchange whose observer could not begin: it runs as it would, and nobody is told. */
export const unobserved = (forwardFields: Fields): ExchangeObservation => ({
  forwardFields,
  responded: nothing,
  endpoint: nothing,
  event: nothing,
  end: nothing
})
