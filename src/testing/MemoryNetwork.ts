/**
 * Streams between nodes of one process, for tests and the simulator: the same seam as libp2p, with
 * failures at will.
 */

import type { RpcProtocol, RpcTransport } from "../mesh/host/RpcTransport.ts"
import type { ByteChannel } from "../model/ByteChannel.ts"
import type { PeerKey } from "../model/Names.ts"
import type { LinkProtocol, LinkTransport } from "../request/link/LinkTransport.ts"
import {
  type MemoryChannelOptions,
  type MemoryChannelPair,
  makeMemoryChannels
} from "./MemoryChannel.ts"

type StreamProtocol = LinkProtocol | RpcProtocol

/** Streams for links and for questions, where nothing is between two nodes but memory. */
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

type Accept = (peer: PeerKey, channel: ByteChannel) => void

interface Cable {
  readonly ends: readonly [PeerKey, PeerKey]
  readonly pair: MemoryChannelPair
}

const joins = ({ ends: [one, other] }: Cable, a: PeerKey, b: PeerKey): boolean =>
  (one === a && other === b) || (one === b && other === a)

export class MemoryNetwork {
  readonly #options: MemoryChannelOptions
  readonly #nodes = new Map<PeerKey, Map<StreamProtocol, Accept>>()
  readonly #cables = new Set<Cable>()
  /** Whether a node reaches another now; for streams to be opened. Default: always. */
  reaches: (from: PeerKey, to: PeerKey) => boolean = () => true
  /** Attempts that are neither answered nor refused: they end with their signal. */
  swallows: (from: PeerKey, to: PeerKey) => boolean = () => false
  /** Attempts that are answered when this is done: the other is late. Default: at once. */
  answers: (from: PeerKey, to: PeerKey) => Promise<void> | undefined = () => undefined

  constructor(options: MemoryChannelOptions = {}) {
    this.#options = options
  }

  transport(self: PeerKey): NodeTransport {
    const handlers = new Map<StreamProtocol, Accept>()
    this.#nodes.set(self, handlers)
    return {
      self,
      open: (peer, protocol, _addresses, signal) => this.#open(self, peer, protocol, signal),
      handle: async (protocol, accept) => {
        handlers.set(protocol, accept)
        return async () => void handlers.delete(protocol)
      },
      disconnect: (peer, reason) => this.cut(self, peer, reason),
      connectedPeers: () => [
        ...new Set(
          [...this.#cables]
            .filter(({ ends, pair }) => ends.includes(self) && !pair.closed())
            .map(({ ends: [a, b] }) => (a === self ? b : a))
        )
      ]
    }
  }

  /** Breaks all streams between two nodes. */
  cut(a: PeerKey, b: PeerKey, cause: Error): void {
    for (const cable of [...this.#cables]) {
      if (!joins(cable, a, b)) continue
      this.#cables.delete(cable)
      cable.pair.cut(cause)
    }
  }

  /** Bytes between two nodes vanish from now on, and nobody is told. */
  blackhole(a: PeerKey, b: PeerKey): void {
    for (const cable of this.#cables) if (joins(cable, a, b)) cable.pair.blackhole()
  }

  /** The node is gone without a word. */
  remove(peer: PeerKey): void {
    this.#nodes.delete(peer)
    for (const cable of [...this.#cables]) {
      const [a, b] = cable.ends
      if (a === peer || b === peer) this.cut(a, b, new Error("the node is gone"))
    }
  }

  async #open(
    from: PeerKey,
    to: PeerKey,
    protocol: StreamProtocol,
    signal: AbortSignal
  ): Promise<ByteChannel> {
    const swallowed = this.swallows(from, to)
    const late = this.answers(from, to)
    if (swallowed || late !== undefined) {
      const given = new Promise<never>((_, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason), { once: true })
      })
      await (swallowed || late === undefined ? given : Promise.race([late, given]))
    }
    const accept = this.#nodes.get(to)?.get(protocol)
    if (accept === undefined || !this.reaches(from, to)) throw new Error(`no route to ${to}`)
    for (const cable of this.#cables) if (cable.pair.closed()) this.#cables.delete(cable)
    const pair = makeMemoryChannels(this.#options)
    this.#cables.add({ ends: [from, to], pair })
    accept(from, pair.right)
    return pair.left
  }
}
