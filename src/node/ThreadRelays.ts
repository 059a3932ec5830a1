/**
 * The connections that begin as libp2p, which request threads accept and the mesh thread speaks on:
 * which thread has the socket of which, and who takes the next.
 */
import type { RelayGate, RelayPipe } from "../mesh/host/RelayListener.ts"
import { contain, type OnDefect } from "../model/Defect.ts"
import type { RelayDown, RelayUp } from "../model/Relay.ts"
import type { PlaneThread } from "./PlaneThread.ts"
import type { ThreadPorts } from "./ThreadPorts.ts"

type RelayOpen = Extract<RelayUp, { readonly type: "relay.open" }>

export class ThreadRelays implements RelayGate {
  readonly #ports: Pick<ThreadPorts, "open">
  readonly #onDefect: OnDefect
  /** Who takes what comes to a port, by its number. */
  readonly #takers = new Map<number, (pipe: RelayPipe) => void>()
  /** By thread, each by its own numbers. */
  readonly #pipes = new Map<number, Map<number, RelayPipe>>()

  constructor(ports: Pick<ThreadPorts, "open">, onDefect: OnDefect) {
    this.#ports = ports
    this.#onDefect = onDefect
  }

  /** For libp2p: the node's port, of which it gets what begins as its own. */
  readonly open: RelayGate["open"] = async ({ host, ipv6Only, port }, onConnection) => {
    let listener = 0
    try {
      const opened = await this.#ports.open({ kind: "mesh", host, port, ipv6Only }, (id) => {
        listener = id
        this.#takers.set(id, onConnection)
      })
      return {
        address: opened.address,
        close: async () => {
          this.#takers.delete(listener)
          await opened.stop()
          opened.close()
        }
      }
    } catch (error) {
      this.#takers.delete(listener)
      throw error
    }
  }

  onOpen(index: number, thread: PlaneThread | undefined, message: RelayOpen): void {
    const { id, listener, remote } = message
    // To this life of it: the one that begins in its place numbers anew.
    const post = (down: RelayDown) => thread?.post(down)
    const take = this.#takers.get(listener)
    if (take === undefined) {
      post({ type: "relay.reset", id })
      return
    }
    const nothing = () => undefined
    const pipe: RelayPipe = { id, remote, post, onMessage: nothing, onLost: nothing }
    const pipes = this.#pipes.get(index) ?? new Map<number, RelayPipe>()
    this.#pipes.set(index, pipes)
    pipes.set(id, pipe)
    try {
      take(pipe)
    } catch (error) {
      // Nobody would ever close it.
      pipes.delete(id)
      post({ type: "relay.reset", id })
      throw error
    }
  }

  onMessage(index: number, message: Exclude<RelayUp, RelayOpen>): void {
    const pipes = this.#pipes.get(index)
    const pipe = pipes?.get(message.id)
    if (message.type === "relay.closed") pipes?.delete(message.id)
    pipe?.onMessage(message)
  }

  /** A thread is gone, and its sockets with it. */
  lose(index: number): void {
    const pipes = [...(this.#pipes.get(index)?.values() ?? [])]
    this.#pipes.delete(index)
    for (const pipe of pipes) {
      contain(this.#onDefect, "a relayed connection that was lost", () =>
        pipe.onLost("the request thread that had its socket is gone")
      )
    }
  }
}
