/** Takes the connections that other nodes make, on one address. */
import net from "node:net"
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
import { SocketReads } from "../../request/socket/SocketReads.ts"
import { SocketConnection } from "./SocketConnection.ts"

export class SocketListener extends TypedEventEmitter<ListenerEvents> implements Listener {
  readonly #upgrader: Upgrader
  readonly #logger: ComponentLogger
  readonly #log: Logger
  readonly #server: net.Server
  readonly #sockets = new Set<net.Socket>()
  /** Ends the handshakes under way. */
  readonly #closing = new AbortController()
  #address: Multiaddr | undefined = undefined

  constructor(upgrader: Upgrader, logger: ComponentLogger) {
    super()
    this.#upgrader = upgrader
    this.#logger = logger
    this.#log = logger.forComponent("skein:tcp:listener")
    this.#server = net.createServer(
      { noDelay: true, keepAlive: true, pauseOnConnect: true },
      (socket) => this.#onSocket(socket)
    )
    this.#server.on("listening", () => this.safeDispatchEvent("listening"))
    this.#server.on("error", (detail) => this.safeDispatchEvent("error", { detail }))
    this.#server.on("close", () => this.safeDispatchEvent("close"))
  }

  async listen(address: Multiaddr): Promise<void> {
    const { type, host, port } = getNetConfig(address)
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", reject)
      this.#server.listen({ host, port: port ?? 0, ipv6Only: type === "ip6" }, () => {
        this.#server.removeListener("error", reject)
        resolve()
      })
    })
    this.#address = address
  }

  /** What it is open on: the address it was told, with the port it got. */
  get bound(): Multiaddr | undefined {
    const bound = this.#server.address()
    if (bound === null || typeof bound === "string") return undefined
    return ipPortToMultiaddr(bound.address, bound.port)
  }

  /** What 0.0.0.0 and [::] stand for, one by one. */
  getAddrs(): Array<Multiaddr> {
    const bound = this.#server.address()
    if (this.#address === undefined || bound === null || typeof bound === "string") return []
    return getThinWaistAddresses(this.#address, bound.port)
  }

  updateAnnounceAddrs(): void {}

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    this.#closing.abort()
    for (const socket of this.#sockets) socket.destroy()
    await closed
  }

  #onSocket(accepted: net.Socket): void {
    const reads = new SocketReads()
    const socket = reads.accept(accepted)
    const { remoteAddress, remotePort } = socket
    if (remoteAddress === undefined || remotePort === undefined) {
      socket.destroy() // it is gone again
      return
    }
    this.#sockets.add(socket)
    socket.once("close", () => this.#sockets.delete(socket))
    const connection = new SocketConnection({
      socket,
      reads,
      remoteAddr: ipPortToMultiaddr(remoteAddress, remotePort),
      direction: "inbound",
      log: this.#logger.forComponent("skein:tcp:connection")
    })
    this.#upgrader
      .upgradeInbound(connection, { signal: this.#closing.signal })
      .catch((cause: unknown) => {
        // Who was refused, and why, was reported by who refused (AdmissionEncrypter).
        this.#log("a connection from %s did not become one - %e", remoteAddress, cause)
        connection.abort(cause instanceof Error ? cause : new Error(String(cause)))
      })
  }
}
