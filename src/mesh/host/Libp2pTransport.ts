/** Streams between nodes over libp2p connections. */
import type { Connection, Stream } from "@libp2p/interface"
import { peerIdFromString } from "@libp2p/peer-id"
import { multiaddr } from "@multiformats/multiaddr"
import type { ByteChannel } from "../../model/ByteChannel.ts"
import { PeerKey } from "../../model/Names.ts"
import type { LinkProtocol, LinkTransport } from "../../request/link/LinkTransport.ts"
import type { SealedConnections } from "../trust/SealedConnections.ts"
import { Libp2pChannel } from "./Libp2pChannel.ts"
import { type MeshHostShape, withoutPeer } from "./MeshHost.ts"
import type { RpcProtocol, RpcTransport } from "./RpcTransport.ts"

export type StreamProtocol = LinkProtocol | RpcProtocol

/** Streams for links and for RPC, over the same connections. */
export interface NodeTransport extends LinkTransport, RpcTransport {
  open(
    peer: PeerKey,
    protocol: StreamProtocol,
    addresses: ReadonlyArray<string>,
    signal: AbortSignal
  ): Promise<ByteChannel>
  handle(
    protocol: StreamProtocol,
    accept: (peer: PeerKey, channel: ByteChannel) => void
  ): Promise<() => Promise<void>>
}

/**
 * Per connection and protocol. One each is in use; the others are those of a peer that has lost
 * its end and already opens anew.
 */
const streamsPerConnection = 8

/** Links are lanes beside libp2p's streams: they are the request path. The rest are its streams. */
const onLanes: ReadonlySet<StreamProtocol> = new Set(["/skein/link/2"])

export const makeLibp2pTransport = (
  host: MeshHostShape,
  /** Without it links are streams as well. */
  connections?: SealedConnections
): NodeTransport => {
  const { libp2p } = host
  const connectionTo = async (
    peer: PeerKey,
    addresses: ReadonlyArray<string>,
    signal: AbortSignal
  ): Promise<{ connection: Connection; fresh: boolean }> => {
    const existing = libp2p
      .getConnections(peerIdFromString(peer))
      .find((connection) => connection.status === "open")
    if (existing !== undefined) return { connection: existing, fresh: false }
    if (addresses.length === 0) throw new Error("no address of the node is known")
    const targets = addresses.map((address) => multiaddr(`${withoutPeer(address)}/p2p/${peer}`))
    return { connection: await libp2p.dial(targets, { signal }), fresh: true }
  }
  return {
    self: host.peer,
    open: async (peer, protocol, addresses, signal) => {
      const { connection, fresh } = await connectionTo(peer, addresses, signal)
      if (connections !== undefined && onLanes.has(protocol)) {
        const lane = connections.open(peer, protocol)
        if (lane !== undefined) return lane
        throw new Error("the connection to the node was lost, or has no room for another link")
      }
      let stream: Stream
      try {
        stream = await connection.newStream(protocol, {
          signal,
          maxOutboundStreams: streamsPerConnection
        })
      } catch (error) {
        // A connection over which no stream can be had is dead without knowing it; keeping it
        // would make every later attempt choose it again.
        if (signal.aborted && !fresh) connection.abort(new Error("the peer does not answer"))
        throw error
      }
      return new Libp2pChannel(stream)
    },
    handle: async (protocol, accept) => {
      if (connections !== undefined && onLanes.has(protocol)) {
        const stop = connections.handle(protocol, accept)
        return async () => stop()
      }
      await libp2p.handle(
        protocol,
        (stream, connection) => {
          const channel = new Libp2pChannel(stream)
          accept(PeerKey.make(connection.remotePeer.toString()), channel)
        },
        { maxInboundStreams: streamsPerConnection, maxOutboundStreams: streamsPerConnection }
      )
      return () => libp2p.unhandle(protocol)
    },
    disconnect: (peer, reason) => {
      for (const connection of libp2p.getConnections(peerIdFromString(peer))) {
        connection.abort(reason)
      }
    },
    connectedPeers: () => libp2p.getPeers().map((peer) => PeerKey.make(peer.toString()))
  }
}
