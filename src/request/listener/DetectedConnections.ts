/**
 * Connections to a port whose clients may speak anything. What begins as HTTP is HTTP's; TLS stays sealed and
 * goes to the service that it asks for by name, or else to the port's own; all the rest is that one's, as bytes.
 */
import type net from "node:net"
import type { ServiceName } from "../../model/Names.ts"
import { type Begun, FirstBytes } from "./FirstBytes.ts"
import type { Spoken } from "./SpokenProtocol.ts"
import { TcpTunnels, type TcpTunnelsOptions } from "./TcpTunnels.ts"

export interface DetectedConnectionsOptions extends TcpTunnelsOptions {
  /** Who says nothing for so long waits for its server to speak, ms. */
  readonly wait: number
  /** The mesh knows the service as one of bytes: what looks like HTTP is bytes as well. */
  readonly isBytes: () => boolean
  readonly service: ServiceName
  /** The service that a name means. */
  readonly resolve: (name: string) => ServiceName | undefined
  /** Throws: it was not taken. */
  readonly onHttp: (begun: Begun) => void
}

export class DetectedConnections {
  readonly #options: DetectedConnectionsOptions
  readonly #first: FirstBytes
  readonly #tunnels: TcpTunnels

  constructor(options: DetectedConnectionsOptions) {
    const { onDefect, sockets, ticker, wait } = options
    this.#options = options
    this.#tunnels = new TcpTunnels(options)
    this.#first = new FirstBytes({
      ...{ ticker, wait },
      onKnown: (begun, spoken) => this.#onKnown(begun, spoken),
      onGone: (error) => {
        sockets.give()
        if (error !== undefined) onDefect(error, "a listener")
      }
    })
  }

  /** Those that wait to be known, and tunnels; what is HTTP is counted as such. */
  get size(): number {
    return this.#first.waiting + this.#tunnels.size
  }

  /** `socket`: paused, and not yet read from. */
  take(socket: net.Socket): void {
    this.#first.take(socket)
  }

  /** Who has not begun is not waited for. */
  finish(deadline: number): Promise<void> {
    this.#first.close()
    return this.#tunnels.finish(deadline)
  }

  close(): void {
    this.#first.close()
    this.#tunnels.destroyAll()
  }

  #onKnown(begun: Begun, spoken: Spoken): void {
    const { isBytes, onHttp, resolve, service } = this.#options
    if (spoken.kind === "http" && !isBytes()) onHttp(begun)
    else {
      const named = spoken.kind === "tls" ? resolve(spoken.serverName ?? "") : undefined
      this.#tunnels.accept(begun.socket, named ?? service, begun)
    }
  }
}
