/**
 * Connections that request threads accept and that are not for them: whatever begins as libp2p goes,
 * bytes only, to the mesh thread. Each thread numbers its own.
 *
 * Both ways the sender keeps count of what the other side has not yet taken, and stops at `relayWindow`:
 * a mesh thread that is busy, or a peer that does not read, holds that much memory and no more.
 */

/** Bytes on their way that were not taken yet, at most, per connection and direction. */
export const relayWindow = 256 * 1024

/**
 * What was taken is told when it comes to so much: a connection on which little is said costs one
 * message for each of its messages, and not two.
 */
export const relayTold = relayWindow / 2

export interface SocketEnd {
  /** An address of the host; or `unix:/path` of a socket, and the port is 0 then. */
  readonly host: string
  readonly port: number
}

/** From the thread that has the socket. */
export type RelayUp =
  | {
      readonly type: "relay.open"
      readonly id: number
      /** Of the port it came to. */
      readonly listener: number
      readonly remote: SocketEnd
    }
  | RelayBytes
  /** The socket is gone; nothing follows. */
  | {
      readonly type: "relay.closed"
      readonly id: number
      /** Undefined: by agreement. */
      readonly reason: string | undefined
    }

/** From the mesh thread. */
export type RelayDown =
  | RelayBytes
  /** What was written goes out, then the socket ends. */
  | { readonly type: "relay.end"; readonly id: number }
  | { readonly type: "relay.reset"; readonly id: number }
  /** Whoever else comes from this address within that time is to be turned away, and not handed over. */
  | {
      readonly type: "relay.away"
      readonly id: number
      readonly address: string
      readonly away: Away
    }

/** How long whoever comes from an address is to be turned away. */
export interface Away {
  /** From now. */
  readonly ms: number
  /** What came from there is nothing that hosts do: behind that time it is let through one by one for a while. */
  readonly onProbation: boolean
}

export type RelayBytes =
  | { readonly type: "relay.data"; readonly id: number; readonly bytes: Uint8Array }
  /** So many bytes of the other direction were taken. */
  | { readonly type: "relay.taken"; readonly id: number; readonly bytes: number }
