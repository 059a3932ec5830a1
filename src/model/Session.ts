/**
 * What two admitted nodes share: a secret that their handshake derived, and what each has to know of
 * the other's certificate. Request threads make their links from it, without certificates and
 * without a node's private key. Plain data: it is sent from thread to thread.
 */
import type { NodeName, PeerKey, ServiceName } from "./Names.ts"

/** 16 bytes, as 32 lower-case hex digits. Not secret: it is sent in the clear. */
export type SessionId = string

export const sessionIdBytes = 16
export const sessionSecretBytes = 32

/** What of the peer's certificate a request thread decides by. */
export interface SessionFacts {
  /** Services that the peer may offer, as its certificate grants them: `payments`, `shop-*`, `*`. */
  readonly services: ReadonlyArray<string>
  /** Those that it may speak for beside them, in the same form. */
  readonly speaks: ReadonlyArray<string>
  /** Those that were taken from it since (`skein revoke NODE/SERVICE`), whatever it was granted. */
  readonly withheld?: ReadonlyArray<string>
}

/** Does a pattern of a certificate mean this service? */
export const matchesService = (pattern: string, service: string): boolean =>
  pattern.endsWith("*") ? service.startsWith(pattern.slice(0, -1)) : pattern === service

/** Who offers a service may make calls in its name, and who may do that alone need not offer it. */
export const maySpeakFor = (
  { services, speaks, withheld = [] }: SessionFacts,
  service: ServiceName
): boolean =>
  (services.some((pattern) => matchesService(pattern, service)) ||
    speaks.some((pattern) => matchesService(pattern, service))) &&
  !withheld.some((pattern) => matchesService(pattern, service))

export interface Session {
  readonly id: SessionId
  readonly secret: Uint8Array
  readonly peer: PeerKey
  readonly peerName: NodeName
  /** Wall clock, ms: from then on no link is made from it. Links there are stay. */
  readonly until: number
  readonly facts: SessionFacts
}
