/** What the access log says of an exchange: one line of JSON, with these fields in this order. */
export interface AccessLogEntry {
  /** RFC 3339, UTC. */
  readonly time: string
  readonly direction: "outbound" | "inbound"
  readonly service: string
  /** Name of the node the call came from. */
  readonly caller: string
  /** Who it spoke for: a service, or `host/NAME`. */
  readonly as: string
  /** Empty for tcp, like target. */
  readonly method: string
  /** Path only: query strings carry secrets. */
  readonly target: string
  /** Of the response head, the mesh's own included; null for tcp. */
  readonly status: number | null
  /** Fault code, when the mesh ended it. */
  readonly code: string | null
  /** Of a call to a service with protocol grpc: the status its caller was given; else null. */
  readonly grpc: number | null
  /** At the endpoint's node: `allow`, `deny` or `would_deny`; null where there are no access rules. */
  readonly access: string | null
  /** The access rule that decided. */
  readonly rule: string | null
  readonly durationMs: number
  /** Request body bytes. */
  readonly bytesIn: number
  /** Response body bytes. */
  readonly bytesOut: number
  readonly endpoint: string | null
  readonly node: string
  /** Trace id, when the request carries one. */
  readonly trace: string | null
}

/** Takes the entries of a thread. */
export interface AccessLogSink {
  /** Must neither throw nor wait. */
  log(entry: AccessLogEntry): void
}

export const lineOf = (entry: AccessLogEntry): string => `${JSON.stringify(entry)}\n`
