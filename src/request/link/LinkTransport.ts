/** Streams between nodes, as the link pool needs them: libp2p, or memory. */
import type { ByteChannel } from "../../model/ByteChannel.ts"
import type { PeerKey } from "../../model/Names.ts"

/** What is spoken on a stream; it has its own wire format and its own limit of streams. */
export type LinkProtocol = "/skein/link/2"

export interface LinkTransport {
  readonly self: PeerKey
  /**
   * A new stream to a peer: over a connection that is there, or over a new one to one of the
   * addresses (multiaddrs without /p2p). Rejects with the reason.
   */
  open(
    peer: PeerKey,
    protocol: LinkProtocol,
    addresses: ReadonlyArray<string>,
    signal: AbortSignal
  ): Promise<ByteChannel>
  /**
   * Who takes the streams that others open. The channel's events must be set before `accept`
   * returns. Returns how to stop.
   */
  handle(
    protocol: LinkProtocol,
    accept: (peer: PeerKey, channel: ByteChannel) => void
  ): Promise<() => Promise<void>>
  /** Breaks every connection with a peer. */
  disconnect(peer: PeerKey, reason: Error): void
  connectedPeers(): ReadonlyArray<PeerKey>
}
