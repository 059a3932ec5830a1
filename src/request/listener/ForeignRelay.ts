/**
 * Connections that came to the node's port and are not for this thread: they ask for a handshake of libp2p's,
 * and the mesh thread talks to them. Here they are sockets whose bytes go by message (Relay.ts), and
 * wait when the other side is slow.
 */
import type net from "node:net"
import { type OnDefect, uncontained } from "../../model/Defect.ts"
import { type RelayDown, type RelayUp, relayTold, relayWindow } from "../../model/Relay.ts"
import type { SortedConnection } from "../link/MeshPort.ts"
import { SocketGuard } from "../socket/SocketGuard.ts"
import { TurnedAway } from "./TurnedAway.ts"

/** Finds hosts that are gone without a word, ms of silence before it asks. */
const keepAliveAfter = 15_000

/** As of connections that the mesh thread dials (SocketConnection.ts), ms. */
const inactivityTimeout = 30 * 60_000

class Foreign {
  readonly #id: number
  readonly #socket: net.Socket
  readonly #post: (message: RelayUp) => void
  /** Sent to the mesh thread and not yet taken there. */
  #underway = 0
  /** Taken by the socket, and the mesh thread not told yet. */
  #taken = 0

  constructor(
    id: number,
    { first, reads, socket }: SortedConnection,
    post: (message: RelayUp) => void,
    onDefect: OnDefect,
    onClosed: () => void
  ) {
    this.#id = id
    this.#socket = socket
    this.#post = post
    let reason: string | undefined
    socket.setKeepAlive(true, keepAliveAfter)
    socket.setTimeout(inactivityTimeout, () => socket.destroy())
    const guard = new SocketGuard(onDefect, "a relayed connection")
    guard.watch(socket)
    reads.onBytes = guard.handler((bytes) => this.#onBytes(bytes))
    socket.on("error", (error) => {
      reason = error.message
    })
    socket.once("close", () => {
      onClosed()
      post({ type: "relay.closed", id, reason })
    })
    this.#onBytes(first)
  }

  #onBytes(bytes: Uint8Array): void {
    if (bytes.length === 0) return
    this.#underway += bytes.length
    // A copy of its own: what is read next may take the same memory.
    this.#post({ type: "relay.data", id: this.#id, bytes: new Uint8Array(bytes) })
    if (this.#underway >= relayWindow) this.#socket.pause()
  }

  receive(message: Exclude<RelayDown, { readonly type: "relay.away" }>): void {
    const socket = this.#socket
    switch (message.type) {
      case "relay.data": {
        const { length } = message.bytes
        socket.write(message.bytes, () => this.#onTaken(length))
        return
      }
      case "relay.taken":
        this.#underway -= message.bytes
        if (this.#underway < relayWindow && socket.isPaused()) socket.resume()
        return
      case "relay.end":
        socket.destroySoon()
        return
      case "relay.reset":
        // A reset cannot follow a FIN that is on its way.
        if (socket.writableEnded) socket.destroy()
        else socket.resetAndDestroy()
    }
  }

  #onTaken(bytes: number): void {
    this.#taken += bytes
    if (this.#taken < relayTold) return
    this.#post({ type: "relay.taken", id: this.#id, bytes: this.#taken })
    this.#taken = 0
  }

  close(): void {
    this.#socket.destroy()
  }
}

export class ForeignRelay {
  readonly #post: (message: RelayUp) => void
  readonly #onDefect: OnDefect
  readonly #open = new Map<number, Foreign>()
  readonly #away: TurnedAway
  #last = 0

  /** `now`: monotonic ms. `onDefect` hears of what throws: it costs its connection. */
  constructor(
    post: (message: RelayUp) => void,
    now: () => number,
    onDefect: OnDefect = uncontained
  ) {
    this.#post = post
    this.#onDefect = onDefect
    this.#away = new TurnedAway(now)
  }

  /** Somebody comes from there: in how many ms it is to come back; 0: it is handed over. */
  readonly turnsAway = (address: string): number => this.#away.pauseFor(address)

  /** One that came to the port of that number. */
  add(listener: number, connection: SortedConnection): void {
    const { socket } = connection
    const { remoteAddress, remotePort } = socket
    if (remoteAddress === undefined || remotePort === undefined) {
      socket.destroy() // it is gone again
      return
    }
    const id = ++this.#last
    const remote = { host: remoteAddress, port: remotePort }
    this.#post({ type: "relay.open", id, listener, remote })
    const onClosed = () => void this.#open.delete(id)
    this.#open.set(id, new Foreign(id, connection, this.#post, this.#onDefect, onClosed))
  }

  receive(message: RelayDown): void {
    if (message.type === "relay.away") {
      this.#away.set(message.address, message.away)
      return
    }
    // Of one that has just closed: the mesh thread does not know yet.
    this.#open.get(message.id)?.receive(message)
  }

  get size(): number {
    return this.#open.size
  }

  close(): void {
    for (const foreign of [...this.#open.values()]) foreign.close()
  }
}
