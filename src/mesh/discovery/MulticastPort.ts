/**
 * The LANs that this host is in, by IPv4: a socket for each interface, at the port and group of multicast
 * DNS, shared with whatever else speaks it on this host. What comes from outside an interface's network
 * is not heard: it cannot be of this LAN.
 */
import { createSocket, type Socket } from "node:dgram"
import { BlockList } from "node:net"
import { networkInterfaces } from "node:os"
import { reasonOf } from "../../model/Reason.ts"
import type { Ticker } from "../../model/Time.ts"
import type { Timer } from "../../model/TimerWheel.ts"
import type { LanPort } from "./LanDiscovery.ts"
import { maxLanMessage } from "./LanMessage.ts"

const group = "224.0.0.251"
const port = 5353

/** Interfaces come and go; how often they are looked at, ms. */
const lookEvery = 30_000
/** Interfaces at a time; a host of containers has many. */
const mostInterfaces = 32

export interface MulticastOptions {
  /** IPv4 addresses of this host at which the node takes connections; undefined: at all of them. */
  readonly at: ReadonlySet<string> | undefined
  readonly ticker: Ticker
  /** Told once of each interface's reason why it cannot be used. */
  readonly onTrouble: (message: string) => void
}

interface Place {
  readonly address: string
  readonly network: BlockList
}

const places = (at: ReadonlySet<string> | undefined): ReadonlyArray<Place> =>
  Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter(({ address, family }) => family === "IPv4" && (at?.has(address) ?? true))
    .slice(0, mostInterfaces)
    .map(({ address, cidr }) => {
      const network = new BlockList()
      network.addSubnet(address, Number(cidr?.split("/")[1] ?? 32))
      return { address, network }
    })

export class MulticastPort implements LanPort {
  onMessage: LanPort["onMessage"] = undefined
  readonly #options: MulticastOptions
  /** By the interface's address. Those that are not open yet, or failed, send nothing. */
  readonly #sockets = new Map<string, { readonly socket: Socket; open: boolean }>()
  readonly #told = new Set<string>()
  #timer: Timer | undefined = undefined
  #stopped = false

  constructor(options: MulticastOptions) {
    this.#options = options
    this.#look()
  }

  send(bytes: Uint8Array): void {
    for (const [address, { open, socket }] of this.#sockets) {
      if (open) socket.send(bytes, port, group, (error) => this.#sent(address, error))
    }
  }

  /** What was sent is on its way. */
  close(): void {
    this.#stopped = true
    this.#timer?.cancel()
    // After what is being sent: the good-bye.
    setImmediate(() => {
      for (const address of [...this.#sockets.keys()]) this.#close(address)
    })
  }

  readonly #look = (): void => {
    if (this.#stopped) return
    this.#timer = this.#options.ticker.after(lookEvery, this.#look)
    const here = places(this.#options.at)
    for (const address of [...this.#sockets.keys()]) {
      if (!here.some((place) => place.address === address)) this.#close(address)
    }
    for (const place of here) if (!this.#sockets.has(place.address)) this.#open(place)
  }

  #open({ address, network }: Place): void {
    const socket = createSocket({ type: "udp4", reuseAddr: true })
    const entry = { socket, open: false }
    this.#sockets.set(address, entry)
    socket.on("error", (error) => this.#fail(address, error))
    socket.on("message", (bytes, { address: from, family }) => {
      if (family !== "IPv4" || bytes.length > maxLanMessage || !network.check(from)) return
      this.onMessage?.(bytes, from)
    })
    socket.bind({ port, exclusive: false }, () => {
      try {
        socket.addMembership(group, address)
        socket.setMulticastInterface(address)
        socket.setMulticastTTL(255)
        // Nodes of one host hear each other.
        socket.setMulticastLoopback(true)
        socket.unref()
        entry.open = true
      } catch (error) {
        this.#fail(address, error)
      }
    })
  }

  #sent(address: string, error: Error | null): void {
    if (error !== null) this.#tell(address, error)
  }

  /** It is tried again at the next look. */
  #fail(address: string, error: unknown): void {
    this.#tell(address, error)
    this.#close(address)
  }

  #tell(address: string, error: unknown): void {
    const message = `nodes of this mesh cannot be found on the LAN of ${address}: ${reasonOf(error)}`
    if (this.#stopped || this.#told.has(message) || this.#told.size >= mostInterfaces) return
    this.#told.add(message)
    this.#options.onTrouble(message)
  }

  #close(address: string): void {
    const entry = this.#sockets.get(address)
    this.#sockets.delete(address)
    if (entry === undefined) return
    entry.open = false
    try {
      entry.socket.close()
    } catch {
      // It never came to be open.
    }
  }
}
