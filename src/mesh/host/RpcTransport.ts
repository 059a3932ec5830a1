/** Streams between nodes for the mesh's questions and answers: libp2p, or memory. */
import type { ByteChannel } from "../../model/ByteChannel.ts"
import type { PeerKey } from "../../model/Names.ts"

/** What is spoken on a stream; each has its own wire format and its own limit of streams. */
export type RpcProtocol = "/skein/rpc/1" | "/skein/ping/1"

export interface RpcTransport {
  /**
   * A new stream to a peer: over a connection that is there, or over a new one to one of the
   * addresses (multiaddrs without /p2p). Rejects with the reason.
   */
  open(
    peer: PeerKey,
    protocol: RpcProtocol,
    addresses: ReadonlyArray<string>,
    signal: AbortSignal
  ): Promise<ByteChannel>
  /**
   * Who takes the streams that others open. The channel's events must be set before `accept`
   * returns. Returns how to stop.
   */
  handle(
    protocol: RpcProtocol,
    accept: (peer: PeerKey, channel: ByteChannel) => void
  ): Promise<() => Promise<void>>
}
