/**
 * Who answers at an address? A connection is made as far as Noise has proved it, and dropped: it
 * never becomes one of libp2p's, and what is there already with that peer is not touched. To a host
 * that is none of the mesh it is 36 bytes, and no answer of it is passed on.
 */
import type { ComponentLogger, MessageStream, PeerId } from "@libp2p/interface"
import { peerIdFromString } from "@libp2p/peer-id"
import { lpStream } from "@libp2p/utils"
import { multiaddr } from "@multiformats/multiaddr"
import type { PeerKey } from "../model/Names.ts"
import { connectSocket } from "./SocketTransport.ts"

/** A connection encrypter that can end after it has proved who is there. */
export interface Knocker {
  readonly protocol: string
  knock(connection: MessageStream, peer: PeerId, signal: AbortSignal): Promise<void>
}

export interface KnockOptions {
  readonly signal: AbortSignal
  readonly logger: ComponentLogger
  readonly encrypter: Knocker
  /**
   * May this IP address be spoken to? Asked of what a name stood for, once it is known, and before
   * a byte is sent. Default: any may.
   */
  readonly allows?: ((ip: string) => boolean) | undefined
}

const multistream = "/multistream/1.0.0"
/** Answers of libp2p here are its own name, the protocol's, or `na`. */
const maxLine = 64

/** The first words on any libp2p connection: which encrypter shall it be? */
const agreeOn = async (
  protocol: string,
  connection: MessageStream,
  signal: AbortSignal
): Promise<void> => {
  const lines = lpStream(connection, { maxDataLength: maxLine, maxBufferSize: 64 * 1024 })
  await lines.writeV(
    [multistream, protocol].map((line) => Buffer.from(`${line}\n`)),
    { signal }
  )
  for (const expected of [multistream, protocol]) {
    const line = Buffer.from((await lines.read({ signal })).subarray()).toString("utf8")
    if (line !== `${expected}\n`) throw new Error("what answers there is no node of this version")
  }
  lines.unwrap()
}

/** Done when the peer answered at the address (a multiaddr without /p2p); else rejects with the reason. */
export const knock = async (
  peer: PeerKey,
  address: string,
  { allows, encrypter, logger, signal }: KnockOptions
): Promise<void> => {
  const connection = await connectSocket(multiaddr(address), logger, signal, (ip) => {
    if (ip === undefined) throw new Error("the connection was lost at once")
    if (allows?.(ip) === false) throw new Error(`${ip} is not an address to be tried`)
  })
  try {
    await agreeOn(encrypter.protocol, connection, signal)
    await encrypter.knock(connection, peerIdFromString(peer), signal)
  } finally {
    connection.abort(new Error("the question was answered"))
  }
}
