/**
 * TCP for libp2p, as @libp2p/tcp is: dialled from this thread, accepted by whoever listens on the
 * node's port.
 */
import net from "node:net"
import {
  AbortError,
  type ComponentLogger,
  type Connection,
  type CreateListenerOptions,
  type DialTransportOptions,
  type Listener,
  type PeerId,
  serviceCapabilities,
  type Transport,
  transportSymbol,
  type Upgrader
} from "@libp2p/interface"
import { peerIdFromString } from "@libp2p/peer-id"
import { getNetConfig } from "@libp2p/utils"
import type { Multiaddr } from "@multiformats/multiaddr"
import { encrypterProtocol } from "../../model/HandshakeWords.ts"
import type { Resumer } from "../trust/Resumption.ts"
import type { BoundListener } from "./BoundListener.ts"
import { agreeOn } from "./ProtocolAgreement.ts"
import { SocketConnection } from "./SocketConnection.ts"
import { SocketListener } from "./SocketListener.ts"

export interface SocketComponents {
  readonly logger: ComponentLogger
}

const hosts: ReadonlySet<string> = new Set(["ip4", "ip6", "dns", "dns4", "dns6"])

/** `/ip4/…/tcp/…` and the like, with or without the peer behind it. */
const isTcp = (address: Multiaddr): boolean => {
  const [host, transport, ...rest] = address.getComponents().map(({ name }) => name)
  return (
    hosts.has(host ?? "") &&
    transport === "tcp" &&
    (rest.length === 0 || (rest.length === 1 && rest[0] === "p2p"))
  )
}

export type MakeListener = (upgrader: Upgrader, logger: ComponentLogger) => BoundListener

/** The default: this thread listens itself. */
export const ownListener: MakeListener = (upgrader, logger) => new SocketListener(upgrader, logger)

export class SocketTransport implements Transport {
  readonly [transportSymbol] = true as const
  readonly [Symbol.toStringTag] = "skein-tcp"
  readonly [serviceCapabilities] = ["@libp2p/transport"]
  readonly #logger: ComponentLogger
  readonly #makeListener: MakeListener
  readonly #resumer: () => Resumer | undefined

  /** `resumer`: by which connections are resumed; asked at each dial. */
  constructor(
    { logger }: SocketComponents,
    makeListener: MakeListener = ownListener,
    resumer: () => Resumer | undefined = () => undefined
  ) {
    this.#logger = logger
    this.#makeListener = makeListener
    this.#resumer = resumer
  }

  async dial(address: Multiaddr, options: DialTransportOptions): Promise<Connection> {
    const connection = await connectSocket(address, this.#logger, options.signal)
    try {
      const peer = peerOf(address)
      const resumer = this.#resumer()
      return peer !== undefined && resumer?.mayResume(peer) === true
        ? await resume(connection, peer, resumer, options)
        : await options.upgrader.upgradeOutbound(connection, options)
    } catch (error) {
      connection.abort(error instanceof Error ? error : new Error(String(error)))
      throw error
    }
  }

  createListener({ upgrader }: CreateListenerOptions): Listener {
    return this.#makeListener(upgrader, this.#logger)
  }

  listenFilter(addresses: Array<Multiaddr>): Array<Multiaddr> {
    return addresses.filter(isTcp)
  }

  dialFilter(addresses: Array<Multiaddr>): Array<Multiaddr> {
    return addresses.filter(isTcp)
  }
}

const peerOf = (address: Multiaddr): PeerId | undefined => {
  const peer = address.getComponents().findLast(({ name }) => name === "p2p")?.value
  return peer === undefined ? undefined : peerIdFromString(peer)
}

/**
 * libp2p proposes the same encrypters to everybody, in the same order. Here those are proposed that make sense with
 * this peer; from the muxer on libp2p goes on as ever.
 */
const resume = async (
  connection: SocketConnection,
  remotePeer: PeerId,
  resumer: Resumer,
  options: DialTransportOptions
): Promise<Connection> => {
  const { signal, upgrader } = options
  const protocol = await agreeOn([resumer.protocol, encrypterProtocol], connection, signal)
  const secured = await resumer.secureAs(protocol, connection, { remotePeer, signal })
  const { streamMuxer } = secured
  if (streamMuxer === undefined) {
    throw new Error("the peer's handshake names no muxer that this node has")
  }
  return await upgrader.upgradeOutbound(connection, {
    ...options,
    ...{ skipEncryption: true, remotePeer },
    // What libp2p knows of is the socket, as with any connection; what it says goes through what was secured.
    muxerFactory: {
      protocol: streamMuxer.protocol,
      createStreamMuxer: () => streamMuxer.createStreamMuxer(secured.connection)
    }
  })
}

/** For `createLibp2p`. */
export const socketTransport = (components: SocketComponents): Transport =>
  new SocketTransport(components)

/** TCP to an address, before anything is said. */
export const connectSocket = async (
  address: Multiaddr,
  logger: ComponentLogger,
  signal: AbortSignal
): Promise<SocketConnection> => {
  return new SocketConnection({
    socket: await connect(address, signal),
    remoteAddr: address,
    direction: "outbound",
    log: logger.forComponent("skein:tcp:connection")
  })
}

/** As of connections that were accepted (ForeignRelay.ts), ms of silence. */
const keepAliveInitialDelay = 15_000

const connect = (address: Multiaddr, signal: AbortSignal): Promise<net.Socket> => {
  signal.throwIfAborted()
  const { host, port } = getNetConfig(address)
  if (port === undefined) throw new Error(`${address} has no port`)
  const socket = net.connect({ host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay })
  return new Promise((resolve, reject) => {
    const settle = (error: Error | undefined): void => {
      socket.removeListener("error", settle)
      signal.removeEventListener("abort", onAbort)
      if (error === undefined) {
        resolve(socket)
        return
      }
      // The attempt may have failed already, or, on Deno, still fail: nobody is there to be told.
      socket.on("error", () => undefined)
      socket.destroy()
      reject(new Error(`no connection to ${host}:${port}: ${error.message}`, { cause: error }))
    }
    const onAbort = (): void => settle(new AbortError())
    socket.once("connect", () => settle(undefined))
    socket.once("error", settle)
    signal.addEventListener("abort", onAbort, { once: true })
  })
}
