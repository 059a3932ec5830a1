/**
 * The port of this node, as libp2p sees it: request threads listen on it, and hand over what asks
 * for a handshake of libp2p's.
 */
import {
  type ComponentLogger,
  type Listener,
  type ListenerEvents,
  type Logger,
  TypedEventEmitter,
  type Upgrader
} from "@libp2p/interface"
import { getNetConfig, getThinWaistAddresses, ipPortToMultiaddr } from "@libp2p/utils"
import type { Multiaddr } from "@multiformats/multiaddr"
import type { RelayDown, RelayUp, SocketEnd } from "../../model/Relay.ts"
import type { BoundListener } from "./BoundListener.ts"
import { RelayedConnection } from "./RelayedConnection.ts"

/** One connection that a thread hands over. */
export interface RelayPipe {
  readonly id: number
  readonly remote: SocketEnd
  readonly post: (message: RelayDown) => void
  /** To be set before the event loop turns. */
  onMessage: (message: Exclude<RelayUp, { readonly type: "relay.open" }>) => void
  /** The thread is gone, and its sockets with it. */
  onLost: (reason: string) => void
}

export interface RelayPort {
  /** Where it really listens. */
  readonly address: SocketEnd
  readonly close: () => Promise<void>
}

/** Who opens ports in the request threads. Rejects with what the system says. */
export interface RelayGate {
  readonly open: (
    address: SocketEnd & { readonly ipv6Only: boolean },
    onConnection: (pipe: RelayPipe) => void
  ) => Promise<RelayPort>
}

export class RelayListener
  extends TypedEventEmitter<ListenerEvents>
  implements Listener, BoundListener
{
  readonly #upgrader: Upgrader
  readonly #logger: ComponentLogger
  readonly #log: Logger
  readonly #gate: RelayGate
  readonly #connections = new Set<RelayedConnection>()
  /** Ends the handshakes under way. */
  readonly #closing = new AbortController()
  #address: Multiaddr | undefined = undefined
  #port: RelayPort | undefined = undefined

  constructor(upgrader: Upgrader, logger: ComponentLogger, gate: RelayGate) {
    super()
    this.#upgrader = upgrader
    this.#logger = logger
    this.#log = logger.forComponent("skein:relay:listener")
    this.#gate = gate
  }

  async listen(address: Multiaddr): Promise<void> {
    const { type, host, port } = getNetConfig(address)
    const end = { host, port: port ?? 0, ipv6Only: type === "ip6" }
    this.#port = await this.#gate.open(end, (pipe) => this.#onConnection(pipe))
    this.#address = address
    this.safeDispatchEvent("listening")
  }

  get bound(): Multiaddr | undefined {
    const address = this.#port?.address
    return address && ipPortToMultiaddr(address.host, address.port)
  }

  getAddrs(): Array<Multiaddr> {
    const bound = this.#port?.address
    if (this.#address === undefined || bound === undefined) return []
    return getThinWaistAddresses(this.#address, bound.port)
  }

  updateAnnounceAddrs(): void {}

  async close(): Promise<void> {
    const port = this.#port
    this.#port = undefined
    this.#closing.abort()
    for (const connection of [...this.#connections]) {
      connection.abort(new Error("the node is shutting down"))
    }
    await port?.close()
    this.safeDispatchEvent("close")
  }

  #onConnection(pipe: RelayPipe): void {
    const { id, post, remote } = pipe
    const remoteAddr = ipPortToMultiaddr(remote.host, remote.port)
    const log = this.#logger.forComponent("skein:relay:connection")
    const connection = new RelayedConnection({ id, post, remoteAddr, log })
    pipe.onMessage = (message) => connection.receive(message)
    pipe.onLost = (reason) => connection.lost(reason)
    this.#connections.add(connection)
    connection.addEventListener("close", () => this.#connections.delete(connection), {
      once: true
    })
    this.#upgrader
      .upgradeInbound(connection, { signal: this.#closing.signal })
      .catch((cause: unknown) => {
        // Who was refused, and why, was reported by who refused (AdmissionEncrypter).
        this.#log("a connection from %s did not become one - %e", remoteAddr, cause)
        connection.abort(cause instanceof Error ? cause : new Error(String(cause)))
      })
  }
}
