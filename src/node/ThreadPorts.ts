/** Ports that all request threads listen on together: each is open in every one of them, or in none. */
import { formatHostPort } from "../config/HostPort.ts"
import type { SocketEnd } from "../model/Relay.ts"
import { ListenError } from "../request/listener/ListenError.ts"
import type { ListenSpec, ToPlane } from "../request/PlaneMessages.ts"
import { freePort } from "./FreePort.ts"
import type { PlaneMemory } from "./PlaneMemory.ts"
import type { ThreadAnswers } from "./ThreadAnswers.ts"
import type { ThreadSlot } from "./ThreadSlot.ts"

/** A port that is open in every thread. */
export interface OpenPort {
  readonly address: SocketEnd
  /** Gives it free: done when it can be taken again. What is open goes on. */
  readonly stop: () => Promise<void>
  /** Takes nothing new and waits for what runs, at most `deadline` ms. */
  readonly drain: (deadline: number) => Promise<void>
  readonly close: () => void
}

export interface ThreadPortsOptions {
  readonly slots: ReadonlyArray<ThreadSlot>
  readonly answers: ThreadAnswers
  readonly memory: PlaneMemory
  /** Tells all threads, and those that begin later. */
  readonly post: (message: ToPlane) => void
  /** They are threads of their own, so several may listen on one port. */
  readonly sharePorts: boolean
  /** One that the first of them has open already, and gives over when it is asked for. Default: none. */
  readonly holds?: ((spec: ListenSpec) => boolean) | undefined
}

/** To open a port, ms. */
const listenPatience = 10_000
/** The same of a thread that may still be loading its code, on a host that is busy. */
const startPatience = 60_000
const stopPatience = 2_000
/** Beyond the deadline a thread keeps by itself. */
const drainGrace = 1_000

export class ThreadPorts {
  readonly #options: ThreadPortsOptions
  #lastId = 0

  constructor(options: ThreadPortsOptions) {
    this.#options = options
  }

  /**
   * Rejects with a `ListenError`. `onId` hears of the port's number before the first connection can
   * come.
   */
  async open(spec: ListenSpec, onId?: (id: number) => void): Promise<OpenPort> {
    const { holds, memory, post, sharePorts, slots } = this.#options
    const id = ++this.#lastId
    onId?.(id)
    const [first, ...others] = slots
    if (first === undefined) throw new Error("a node has at least one request plane")
    // Threads share the port with each other, and would with strangers: two nodes on one port would
    // each get a part of the connections. Whoever has it already is met here.
    const mayBeTaken = sharePorts && spec.port !== 0 && !(holds?.(spec) ?? false)
    if (mayBeTaken) await freePort(spec)
    const address = await this.#openIn(first, id, spec)
    const bound: ListenSpec = { ...spec, port: address.port }
    const close = () => post({ type: "listen.close", id })
    // From now on: one that crashes while others still open it has it again when it begins.
    memory.note({ type: "listen", id, spec: bound })
    try {
      await Promise.all(others.map((slot) => this.#openIn(slot, id, bound)))
    } catch (error) {
      close()
      throw error
    }
    return {
      address,
      stop: async () => {
        memory.note({ type: "listen.stop", id })
        await this.#all(id, { type: "listen.stop", id }, "listen.stopped", stopPatience)
      },
      drain: async (deadline) => {
        memory.note({ type: "listen.stop", id })
        const message = { type: "listen.drain", id, deadline } as const
        await this.#all(id, message, "listen.drained", deadline + drainGrace)
      },
      close
    }
  }

  async #openIn(slot: ThreadSlot, id: number, spec: ListenSpec): Promise<SocketEnd> {
    const { index, state, thread } = slot
    thread?.post({ type: "listen", id, spec })
    const patience = state === "running" ? listenPatience : startPatience
    const answer =
      thread === undefined
        ? undefined
        : await this.#options.answers.of(index, "listening", id, patience)
    if (answer?.type === "listening") return answer.address
    const address = formatHostPort(spec)
    const { code, message } =
      answer?.type === "listen.failed"
        ? answer
        : {
            code: "other" as const,
            message: `cannot listen on ${address}: request thread ${index} does not answer`
          }
    throw new ListenError({ code, address, message, cause: new Error(message) })
  }

  async #all(
    id: number,
    message: ToPlane,
    answer: "listen.stopped" | "listen.drained",
    patience: number
  ): Promise<void> {
    const { answers, slots } = this.#options
    await Promise.all(
      slots.map(({ index, thread }) => {
        if (thread === undefined) return undefined
        thread.post(message)
        return answers.of(index, answer, id, patience)
      })
    )
  }
}
