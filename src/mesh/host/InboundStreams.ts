/**
 * Streams that peers open here. Each costs a millisecond before anything is known of it, and libp2p bounds
 * neither how many come one after the other, nor what is said on one before it is agreed what it is for.
 */
import type { Connection, Libp2p, Stream, StreamMuxer } from "@libp2p/interface"
import { PeerKey } from "../../model/Names.ts"
import type { Conduct } from "../trust/PeerConduct.ts"
import { ProtocolTalk } from "./ProtocolTalk.ts"

/** From now on each connection is watched, and who goes beyond its share is blamed. */
export const watchStreams = (
  libp2p: Pick<Libp2p, "addEventListener" | "getProtocols">,
  conduct: Conduct
): void => {
  const isSpoken = (protocol: string): boolean => libp2p.getProtocols().includes(protocol)
  libp2p.addEventListener("connection:open", ({ detail: connection }) => {
    const peer = PeerKey.make(connection.remotePeer.toString())
    muxerOf(connection)?.addEventListener("stream", ({ detail: stream }) => {
      if (conduct.allows(peer, "opened"))
        watchTalk(stream, isSpoken, () => conduct.note(peer, "garbage"))
      else stream.abort(new Error("the peer opens more streams than its share"))
    })
  })
}

/** libp2p's listener comes first: it has not begun to answer when this one hears the same. */
const watchTalk = (
  stream: Stream,
  isSpoken: (protocol: string) => boolean,
  onGarbage: () => void
): void => {
  const talk = new ProtocolTalk(isSpoken)
  const onMessage = ({ data }: { readonly data: { subarray(): Uint8Array } }): void => {
    const come = talk.take(data.subarray())
    if (come === "goes on") return
    stream.removeEventListener("message", onMessage)
    if (come === "agreed") return
    onGarbage()
    stream.abort(new Error("the peer does not say what the stream is for"))
  }
  stream.addEventListener("message", onMessage)
}

/** libp2p's connections have it, and their interface does not say so. */
const muxerOf = (connection: Connection): StreamMuxer | undefined => {
  const muxer: unknown = Reflect.get(connection, "muxer")
  return isMuxer(muxer) ? muxer : undefined
}

const isMuxer = (muxer: unknown): muxer is StreamMuxer =>
  typeof muxer === "object" && muxer !== null && "addEventListener" in muxer && "streams" in muxer
