/** Streams between nodes over libp2p connections. */
import type { Connection, Stream } from "@libp2p/interface"
import { peerIdFromString } from "@libp2p/peer-id"
import { multiaddr } from "@multiformats/multiaddr"
import { PeerKey } from "../../model/Names.ts"
import { Libp2pChannel } from "./Libp2pChannel.ts"
import { type MeshHostShape, withoutPeer } from "./MeshHost.ts"
import type { RpcTransport } from "./RpcTransport.ts"

/**
 * Per connection and protocol. One each is in use; the others are those of a peer that has lost
 * its end and already opens anew.
 */
const streamsPerConnection = 8

export const makeLibp2pTransport = (host: MeshHostShape): RpcTransport => {
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
    open: async (peer, protocol, addresses, signal) => {
      const { connection, fresh } = await connectionTo(peer, addresses, signal)
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
      await libp2p.handle(
        protocol,
        (stream, connection) => {
          const channel = new Libp2pChannel(stream)
          accept(PeerKey.make(connection.remotePeer.toString()), channel)
        },
        { maxInboundStreams: streamsPerConnection, maxOutboundStreams: streamsPerConnection }
      )
      return () => libp2p.unhandle(protocol)
    }
  }
}
