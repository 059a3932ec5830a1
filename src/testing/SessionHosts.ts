/**
 * For tests: the links' end of several nodes in one process, over real sockets on loopback. Clocks
 * and what the mesh threads would say are in the test's hand.
 */
import { randomBytes } from "node:crypto"
import type net from "node:net"
import type { ByteChannel } from "../model/ByteChannel.ts"
import { NodeName, PeerKey } from "../model/Names.ts"
import type { Session } from "../model/Session.ts"
import { MeshPort, type SortedConnection } from "../request/link/MeshPort.ts"
import { Sessions } from "../request/link/Sessions.ts"
import { SessionTransport, type SessionTransportOptions } from "../request/link/SessionTransport.ts"
import { ManualTicker } from "./LinkTestPair.ts"

const hour = 3_600_000

/** What the owner of a channel was told. */
export class ChannelOwner {
  readonly channel: ByteChannel
  /** The first 64 KiB. */
  text = ""
  bytes = 0
  drains = 0
  /** Undefined: it is open. */
  closed: string | undefined = undefined
  onChunk: (bytes: Uint8Array) => void = () => undefined
  onRoom: () => void = () => undefined

  constructor(channel: ByteChannel) {
    this.channel = channel
    channel.events = {
      onData: (bytes) => {
        this.bytes += bytes.length
        if (this.text.length < 65_536) this.text += Buffer.from(bytes).toString("latin1")
        this.onChunk(bytes)
      },
      onDrain: () => {
        this.drains++
        this.onRoom()
      },
      onClose: (cause) => {
        this.closed = cause?.message ?? "in order"
      }
    }
  }
}

export class SessionHost {
  readonly peer: PeerKey
  readonly ticker: ManualTicker
  readonly sessions: Sessions
  readonly transport: SessionTransport
  /** Of links that others have dialled. */
  readonly accepted: Array<{ readonly peer: PeerKey; readonly owner: ChannelOwner }> = []
  /** Answers for the mesh thread. */
  onNeedSession: SessionTransportOptions["needSession"] = () =>
    Promise.reject(new Error("the mesh thread has none"))
  /** How much this host's wall clock is ahead, ms. */
  skew = 0
  readonly #ports: Array<MeshPort> = []
  /** Sockets that came to the port. */
  readonly sockets: Array<net.Socket> = []

  constructor(
    letter: string,
    ticker: ManualTicker,
    options: Partial<SessionTransportOptions> = {}
  ) {
    this.peer = PeerKey.make(`12D3KooW${letter.repeat(44)}`)
    this.ticker = ticker
    this.sessions = new Sessions(() => ticker.wall() + this.skew)
    this.transport = new SessionTransport({
      self: this.peer,
      sessions: this.sessions,
      ticker,
      needSession: (peer, refused, signal) => this.onNeedSession(peer, refused, signal),
      ...options
    })
  }

  get name(): NodeName {
    return NodeName.make(`host-${this.peer.at(-1)!.toLowerCase()}`)
  }

  get addresses(): ReadonlyArray<string> {
    return this.#ports.flatMap((port) => port.addresses)
  }

  /** Takes links from now on. */
  async listen(
    foreign: (connection: SortedConnection) => void = ({ socket }) => socket.destroy()
  ): Promise<void> {
    await this.transport.handle("/skein/link/2", (peer, channel) => {
      this.accepted.push({ peer, owner: new ChannelOwner(channel) })
    })
    const port = await MeshPort.open({
      listen: ["/ip4/127.0.0.1/tcp/0"],
      reusePort: false,
      ticker: this.ticker,
      onLink: (connection) => {
        this.sockets.push(connection.socket)
        this.transport.accept(connection)
      },
      foreign
    })
    this.#ports.push(port)
  }

  async dial(
    other: SessionHost,
    addresses: ReadonlyArray<string> = other.addresses,
    signal: AbortSignal = AbortSignal.timeout(10_000)
  ): Promise<ChannelOwner> {
    const { transport } = this
    return new ChannelOwner(await transport.open(other.peer, "/skein/link/2", addresses, signal))
  }

  /** This host's half of what it shares with another. */
  half(other: SessionHost, shared: Pick<Session, "id" | "secret">, lasts = hour): Session {
    return {
      ...shared,
      peer: other.peer,
      peerName: other.name,
      until: this.ticker.wall() + lasts,
      facts: { services: [], speaks: [] }
    }
  }

  async stop(): Promise<void> {
    this.transport.stop(new Error("this node is shutting down"))
    await Promise.all(this.#ports.map((port) => port.close()))
  }
}

export interface SessionPair {
  readonly ticker: ManualTicker
  readonly a: SessionHost
  readonly b: SessionHost
}

/** Two hosts; b listens. They know nothing of each other yet: see `share`. */
export const makeSessionPair = async (
  ofA: Partial<SessionTransportOptions> = {},
  ofB: Partial<SessionTransportOptions> = {}
): Promise<SessionPair> => {
  const ticker = new ManualTicker()
  const a = new SessionHost("A", ticker, ofA)
  const b = new SessionHost("B", ticker, ofB)
  await b.listen()
  return { ticker, a, b }
}

/** A session that nobody has put anywhere. */
export const freshSecret = (): Pick<Session, "id" | "secret"> => ({
  id: randomBytes(16).toString("hex"),
  secret: randomBytes(32)
})

/** A session that both know. */
export const share = (
  { a, b }: SessionPair,
  lasts = hour
): { readonly atA: Session; readonly atB: Session } => {
  const shared = freshSecret()
  const atA = a.half(b, shared, lasts)
  const atB = b.half(a, shared, lasts)
  a.sessions.put(atA)
  b.sessions.put(atB)
  return { atA, atB }
}
