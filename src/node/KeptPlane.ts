/**
 * A request plane that outlives the mesh plane: when that has crashed, calls go on by what was known
 * last, ports stay open, and a mesh plane that begins anew takes both over as if it had just made them.
 * It is in a program's own thread, whose node has its mesh plane in another, or in a request thread of
 * a node whose mesh plane is begun anew in the main thread.
 */
import type { Log } from "../model/Log.ts"
import { MeshViewReplica, wholeView } from "../model/MeshView.ts"
import type { PeerKey } from "../model/Names.ts"
import type { Ticker } from "../model/Time.ts"
import type { Timer } from "../model/TimerWheel.ts"
import type { FromPlane, ListenSpec, PlaneSetup, ToPlane } from "../request/PlaneMessages.ts"
import { PlanePorts } from "./PlanePorts.ts"

type OfType<Type extends ToPlane["type"]> = Extract<ToPlane, { readonly type: Type }>

const noMesh = "the mesh thread of this node has ended and is being started again"

/** How often sessions are looked for that a life before made, and whose time is over, ms. */
const sessionCheckEvery = 30_000

/** The plane itself, here or in a thread of its own. */
export interface PlaneBody {
  readonly receive: (message: ToPlane) => void
  readonly stop: () => void
}

export interface KeptPlaneOptions<Body extends PlaneBody> {
  readonly make: (setup: PlaneSetup, post: (message: FromPlane) => void) => Body
  readonly ticker: Ticker
  /** A mesh plane that ends by itself takes it along. */
  readonly endsWithMesh: boolean
  readonly log: Log
}

export class KeptPlane<Body extends PlaneBody> {
  readonly #options: KeptPlaneOptions<Body>
  #ports = new PlanePorts()
  #plane: Body | undefined
  /** To the mesh thread there is. */
  #mesh: ((message: FromPlane) => void) | undefined
  /** Of a mesh thread that has not met the mesh yet, when one before it had: not shown until then. */
  #coming: MeshViewReplica | undefined
  /** Connections that the mesh thread talks to. */
  readonly #relayed = new Set<number>()
  /** Peers with which the mesh thread is to make a session. */
  readonly #needed = new Set<PeerKey>()
  /** Until when the newest sessions of peers hold that the mesh thread at hand has made… */
  readonly #sessions = new Map<PeerKey, number>()
  /** …and those before it, of which it does not know. */
  readonly #inherited = new Map<PeerKey, number>()
  #watch: Timer | undefined
  #draining = false
  #stopped = false

  constructor(options: KeptPlaneOptions<Body>) {
    this.#options = options
  }

  /** Undefined: the mesh thread has not come so far. */
  get plane(): Body | undefined {
    return this.#plane
  }

  /** Ports that are open, as they were asked for. */
  get held(): ReadonlyArray<ListenSpec> {
    return this.#ports.held
  }

  /** It was told to take nothing more from other nodes. */
  get isDraining(): boolean {
    return this.#draining
  }

  /** A mesh thread asks for the plane. */
  begin(setup: PlaneSetup, mesh: (message: FromPlane) => void): void {
    if (this.#stopped) return
    this.#mesh = mesh
    const { plane } = this
    if (plane === undefined) {
      this.#plane = this.#options.make(setup, (message) => this.#fromPlane(message))
      return
    }
    this.#coming = new MeshViewReplica()
    plane.receive({ type: "telemetry", order: { kind: "anew" } })
    mesh({ type: "ready" })
  }

  /** What the mesh thread says. */
  receive(message: ToPlane): void {
    switch (message.type) {
      case "view":
        this.#view(message)
        return
      case "listen":
        this.#listen(message)
        return
      case "listen.stop":
      case "listen.drain":
      case "listen.close":
        this.#toPort(message)
        return
      case "session":
        this.#needed.delete(message.session.peer)
        this.#inherited.delete(message.session.peer)
        this.#sessions.set(message.session.peer, message.session.until)
        break
      case "session.none":
        this.#needed.delete(message.peer)
        break
      case "session.end":
        this.#inherited.delete(message.peer)
        this.#sessions.delete(message.peer)
        break
      case "peer.gone":
        this.#endInherited(message.peer, "it has left the mesh")
        break
      case "drain":
        this.#draining = true
        break
      case "stop":
        if (this.#options.endsWithMesh) break
        // When the plane ends, the program's thread decides.
        this.#mesh?.({ type: "stopped" })
        return
    }
    this.#plane?.receive(message)
  }

  /** The mesh thread at hand has met its mesh: what only those before it knew is over. */
  met(): void {
    const coming = this.#coming
    this.#coming = undefined
    if (coming !== undefined) {
      this.#plane?.receive({ type: "view", change: wholeView(coming.current) })
    }
    for (const id of this.#ports.takeOrphans()) this.#plane?.receive({ type: "listen.close", id })
  }

  /** The mesh thread is gone. */
  lost(): void {
    if (this.#mesh === undefined) return
    this.#mesh = undefined
    this.#coming = undefined
    this.#ports.orphan()
    for (const id of this.#relayed) this.#plane?.receive({ type: "relay.reset", id })
    this.#relayed.clear()
    for (const peer of this.#needed) {
      this.#plane?.receive({ type: "session.none", peer, reason: noMesh })
    }
    this.#needed.clear()
    for (const [peer, until] of this.#sessions) this.#inherited.set(peer, until)
    this.#sessions.clear()
    this.#watchInherited()
  }

  stop(): void {
    if (this.#stopped) return
    this.#stopped = true
    this.#mesh = undefined
    this.#plane?.stop()
  }

  /** The plane is gone with its thread, and its ports and connections with it. */
  broke(): void {
    this.#plane = undefined
    this.#coming = undefined
    this.#ports = new PlanePorts()
    this.#relayed.clear()
    this.#needed.clear()
    this.#inherited.clear()
    this.#sessions.clear()
  }

  #view(message: OfType<"view">): void {
    if (this.#coming === undefined) this.#plane?.receive(message)
    else this.#coming.apply(message.change)
  }

  #listen({ id, spec }: OfType<"listen">): void {
    const found = this.#ports.listen(id, spec)
    if (found.isNew) this.#plane?.receive({ type: "listen", id: found.id, spec })
    else if (found.address !== undefined) {
      this.#mesh?.({ type: "listening", id, address: found.address })
    }
  }

  #toPort(message: OfType<"listen.stop"> | OfType<"listen.drain"> | OfType<"listen.close">): void {
    const id = this.#ports.ofMesh(message.id)
    if (id === undefined) return
    // One that is being stopped is nobody's to take over.
    this.#ports.end(id, message.type === "listen.close")
    this.#plane?.receive({ ...message, id })
  }

  /** The plane is in the middle of something: what it is answered comes when it is done. */
  #fromPlane(message: FromPlane): void {
    switch (message.type) {
      case "log":
        this.#options.log(message.level, message.message, message.fields)
        return
      case "listening":
      case "listen.failed":
      case "listen.stopped":
      case "listen.drained":
        this.#fromPort(message)
        return
      case "relay.open":
        this.#onRelay(message)
        return
      case "relay.closed":
        this.#relayed.delete(message.id)
        break
      case "session.need":
        if (this.#mesh === undefined) {
          const { peer } = message
          this.#later({ type: "session.none", peer, reason: noMesh })
          return
        }
        this.#needed.add(message.peer)
        break
      case "stopped":
        if (!this.#options.endsWithMesh) return
    }
    this.#mesh?.(message)
  }

  #fromPort(
    message: Extract<FromPlane, { readonly type: `listen${string}`; readonly id: number }>
  ): void {
    if (message.type === "listening") this.#ports.opened(message.id, message.address)
    const id = this.#ports.ofPlane(message.id)
    if (message.type === "listen.failed") this.#ports.end(message.id, true)
    if (id !== undefined) this.#mesh?.({ ...message, id })
  }

  #onRelay(message: Extract<FromPlane, { readonly type: "relay.open" }>): void {
    const listener = this.#ports.ofPlane(message.listener)
    if (this.#mesh === undefined || listener === undefined) {
      // Whoever knocks comes again.
      this.#later({ type: "relay.reset", id: message.id })
      return
    }
    this.#relayed.add(message.id)
    this.#mesh({ ...message, listener })
  }

  #later(message: ToPlane): void {
    queueMicrotask(() => this.#plane?.receive(message))
  }

  /** Every link made from a session ends with it, also when nobody is left who would say so. */
  #watchInherited(): void {
    if (this.#inherited.size === 0 || this.#watch !== undefined) return
    this.#watch = this.#options.ticker.after(sessionCheckEvery, () => {
      this.#watch = undefined
      const now = this.#options.ticker.wall()
      for (const [peer, until] of this.#inherited) {
        if (until <= now) this.#endInherited(peer, "its time is over, and it was not renewed")
      }
      this.#watchInherited()
    })
  }

  #endInherited(peer: PeerKey, reason: string): void {
    if (!this.#inherited.delete(peer)) return
    this.#plane?.receive({ type: "session.end", peer, reason })
  }
}
