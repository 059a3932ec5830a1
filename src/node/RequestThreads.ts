/**
 * The request planes of a node, as the mesh thread sees them: as many threads as the config says,
 * each told the same, each started anew when it crashes. What one has to know from its first moment
 * on is remembered here and told again to one that begins anew, so that a crash costs the connections
 * of that thread and nothing else.
 */
import { formatHostPort } from "../config/HostPort.ts"
import type { RelayGate, RelayPipe } from "../mesh/host/RelayListener.ts"
import type { ViewChange } from "../model/MeshView.ts"
import type { RelayDown, RelayUp, SocketEnd } from "../model/Relay.ts"
import type { Ticker } from "../model/Time.ts"
import type { Timer } from "../model/TimerWheel.ts"
import { ListenError } from "../request/listener/ListenError.ts"
import type { FromPlane, ListenSpec, PlaneSetup, ToPlane } from "../request/PlaneMessages.ts"
import type { AskedRows, Question } from "../request/PlaneQuestions.ts"
import type { ReportingThread, ThreadReports } from "../telemetry/ThreadReports.ts"
import { freePort } from "./FreePort.ts"
import { PlaneMemory } from "./PlaneMemory.ts"
import type { PlaneThread, SpawnPlane } from "./PlaneThread.ts"

export interface RequestThreadsOptions {
  /** One for each plane, at least one. */
  readonly spawns: ReadonlyArray<SpawnPlane>
  readonly setup: Omit<PlaneSetup, "index" | "threads" | "sharePorts">
  /** They are threads of their own, so several may listen on one port. */
  readonly sharePorts: boolean
  /** One that the first of them has open already, and gives over when it is asked for. Default: none. */
  readonly holds?: ((spec: ListenSpec) => boolean) | undefined
  readonly ticker: Ticker
  /** Where they tell what they have counted, traced and logged. */
  readonly reports: Pick<ThreadReports, "begin">
  readonly onMessage: (message: ThreadMessage, index: number) => void
  /** A thread has crashed and is started again after `pause` ms. */
  readonly onCrash: (index: number, error: Error, pause: number) => void
}

/** What is for others to hear; the rest is dealt with here. */
export type ThreadMessage = Extract<FromPlane, { readonly type: "log" | "fact" | "session.need" }>

export interface ThreadStatus {
  readonly index: number
  readonly state: "running" | "starting" | "restarting"
  readonly restarts: number
  /** Wall clock, ms. */
  readonly since: number
  /** What ended its last life. */
  readonly lastError: string | undefined
}

/** A port that is open in every thread. */
export interface OpenPort {
  readonly address: SocketEnd
  /** Gives it free: done when it can be taken again. What is open goes on. */
  readonly stop: () => Promise<void>
  /** Takes nothing new and waits for what runs, at most `deadline` ms. */
  readonly drain: (deadline: number) => Promise<void>
  readonly close: () => void
}

interface Slot {
  readonly index: number
  readonly spawn: SpawnPlane
  thread: PlaneThread | undefined
  telemetry: ReportingThread | undefined
  state: ThreadStatus["state"]
  restarts: number
  since: number
  startedAt: number
  lastError: string | undefined
  failures: number
  pause: Timer | undefined
  /** Connections that it relays, by its own numbers. */
  readonly pipes: Map<number, RelayPipe>
}

/** Pause before a thread is started again, ms; doubles while it crashes soon after its start. */
const firstPause = 50
const longestPause = 5_000
/** One that ran for so long was well, ms. */
const stableAfter = 60_000

type Waiting = (message: FromPlane | undefined) => void

export class RequestThreads {
  readonly #options: RequestThreadsOptions
  readonly #slots: ReadonlyArray<Slot>
  readonly #memory: PlaneMemory
  readonly #foreign = new Map<number, (pipe: RelayPipe) => void>()
  /** Who waits for an answer of a thread: `index what id`. */
  readonly #waiting = new Map<string, Set<Waiting>>()
  #lastId = 0
  #stopped = false

  constructor(options: RequestThreadsOptions) {
    this.#options = options
    const { spawns, ticker } = options
    this.#memory = new PlaneMemory(() => ticker.wall())
    this.#slots = spawns.map((spawn, index) => ({
      ...{
        index,
        spawn,
        thread: undefined,
        telemetry: undefined,
        state: "starting",
        restarts: 0,
        since: ticker.wall()
      },
      ...{ startedAt: 0, lastError: undefined, failures: 0, pause: undefined, pipes: new Map() }
    }))
    for (const slot of this.#slots) this.#start(slot)
  }

  get count(): number {
    return this.#slots.length
  }

  /** The plane that runs in this thread, if one does. */
  get here(): PlaneThread["plane"] {
    return this.#slots[0]?.thread?.plane
  }

  /** Where the whole view is, for a thread that begins. */
  followView(whole: () => ViewChange): void {
    this.#memory.wholeView = whole
    this.post({ type: "view", change: whole() })
  }

  /** Tells all, and those that begin later. */
  post(message: ToPlane): void {
    this.#memory.note(message)
    for (const slot of this.#slots) slot.thread?.post(message)
  }

  /** Tells all but the one that has found it out. */
  postOthers(message: ToPlane, index: number): void {
    this.#memory.note(message)
    for (const slot of this.#slots) if (slot.index !== index) slot.thread?.post(message)
  }

  status(): ReadonlyArray<ThreadStatus> {
    return this.#slots.map(({ index, lastError, restarts, since, state }) => ({
      ...{ index, state, restarts, since, lastError }
    }))
  }

  /**
   * The answers of those that answer within `patience` ms. One that is busy for longer is left out:
   * nobody waits for a request thread, nor the reverse.
   */
  async ask(question: Question, patience: number): Promise<ReadonlyArray<AskedRows>> {
    const id = ++this.#lastId
    const answers = await Promise.all(
      this.#slots.map(async (slot) => {
        if (slot.thread === undefined) return undefined
        slot.thread.post({ type: "ask", id, question })
        const message = await this.#answer(slot, "answer", id, patience)
        return message?.type === "answer" ? message.rows : undefined
      })
    )
    return answers.filter((rows) => rows !== undefined)
  }

  /** Opens a port in all threads, or in none: rejects with a `ListenError`. */
  async open(spec: ListenSpec): Promise<OpenPort> {
    const id = ++this.#lastId
    const [first, ...others] = this.#slots
    if (first === undefined) throw new Error("a node has at least one request plane")
    // Threads share the port with each other, and would with strangers: two nodes on one port would
    // each get a part of the connections. Whoever has it already is met here.
    const mayBeTaken =
      this.#sharePorts && spec.port !== 0 && !(this.#options.holds?.(spec) ?? false)
    if (mayBeTaken) await freePort(spec)
    const address = await this.#openIn(first, id, spec)
    const bound: ListenSpec = { ...spec, port: address.port }
    // From now on: one that crashes while others still open it has it again when it begins.
    this.#memory.note({ type: "listen", id, spec: bound })
    try {
      await Promise.all(others.map((slot) => this.#openIn(slot, id, bound)))
    } catch (error) {
      this.#closePort(id)
      throw error
    }
    return {
      address,
      stop: async () => {
        this.#memory.note({ type: "listen.stop", id })
        await this.#all(id, { type: "listen.stop", id }, "listen.stopped", stopPatience)
      },
      drain: async (deadline) => {
        this.#memory.note({ type: "listen.stop", id })
        const message = { type: "listen.drain", id, deadline } as const
        await this.#all(id, message, "listen.drained", deadline + drainGrace)
      },
      close: () => this.#closePort(id)
    }
  }

  /** For libp2p: the node's port, of which it gets what begins as its own. */
  readonly gate: RelayGate = {
    open: async ({ host, ipv6Only, port }, onConnection) => {
      const id = this.#lastId + 1
      this.#foreign.set(id, onConnection)
      try {
        const opened = await this.open({ kind: "mesh", host, port, ipv6Only })
        return {
          address: opened.address,
          close: async () => {
            this.#foreign.delete(id)
            await opened.stop()
            opened.close()
          }
        }
      } catch (error) {
        this.#foreign.delete(id)
        throw error
      }
    }
  }

  /** Takes nothing more from other nodes. Done when nothing of theirs runs here any more. */
  async drain(reason: string): Promise<void> {
    this.post({ type: "drain", reason })
    await Promise.all(
      this.#slots.map((slot) =>
        slot.thread === undefined
          ? undefined
          : this.#answer(slot, "served", 0, Number.POSITIVE_INFINITY)
      )
    )
  }

  /** Ends all, at once for those that do not end by themselves within `patience` ms. */
  async stop(patience = 1_000): Promise<void> {
    this.#stopped = true
    await Promise.all(
      this.#slots.map(async (slot) => {
        slot.pause?.cancel()
        const { thread } = slot
        if (thread === undefined) return
        thread.post({ type: "stop" })
        await this.#answer(slot, "stopped", 0, patience)
        await thread.terminate()
      })
    )
  }

  /** Also where there is but one: it may be started again before its last life's port is free. */
  get #sharePorts(): boolean {
    return this.#options.sharePorts
  }

  #start(slot: Slot): void {
    const { setup, ticker } = this.#options
    slot.state = "starting"
    slot.since = ticker.wall()
    slot.startedAt = ticker.now()
    const thread = slot.spawn(
      { ...setup, index: slot.index, threads: this.count, sharePorts: this.#sharePorts },
      {
        onMessage: (message) => this.#onMessage(slot, message),
        onGone: (error) => this.#onGone(slot, error)
      }
    )
    slot.thread = thread
    slot.telemetry = this.#options.reports.begin((order) =>
      thread.post({ type: "telemetry", order })
    )
    for (const message of this.#memory.all()) thread.post(message)
  }

  #onGone(slot: Slot, error: Error | undefined): void {
    const { onCrash, ticker } = this.#options
    slot.thread = undefined
    slot.telemetry?.end()
    slot.lastError = error?.message ?? "it ended by itself"
    this.#forget(slot)
    if (this.#stopped) return
    slot.failures = ticker.now() - slot.startedAt < stableAfter ? slot.failures + 1 : 1
    const pause = Math.min(longestPause, firstPause * 2 ** (slot.failures - 1))
    slot.state = "restarting"
    slot.since = ticker.wall()
    slot.restarts++
    onCrash(slot.index, error ?? new Error(slot.lastError), pause)
    slot.pause = ticker.after(pause, () => {
      slot.pause = undefined
      this.#start(slot)
    })
  }

  /** Nobody waits any more for one that is gone, and its connections are gone with it. */
  #forget(slot: Slot): void {
    for (const key of [...this.#waiting.keys()]) {
      if (key.startsWith(`${slot.index} `)) this.#wake(key, undefined)
    }
    const pipes = [...slot.pipes.values()]
    slot.pipes.clear()
    for (const pipe of pipes) pipe.onLost("the request thread that had its socket is gone")
  }

  #onMessage(slot: Slot, message: FromPlane): void {
    switch (message.type) {
      case "ready":
        slot.state = "running"
        slot.since = this.#options.ticker.wall()
        return
      case "view.need": {
        const change = this.#memory.wholeView()
        if (change !== undefined) slot.thread?.post({ type: "view", change })
        return
      }
      case "relay.open":
        this.#onForeign(slot, message)
        return
      case "relay.data":
      case "relay.taken":
      case "relay.closed":
        slot.pipes.get(message.id)?.onMessage(message)
        if (message.type === "relay.closed") slot.pipes.delete(message.id)
        return
      case "telemetry":
        slot.telemetry?.receive(message.report)
        return
      case "log":
      case "fact":
      case "session.need":
        this.#options.onMessage(message, slot.index)
        return
      case "answer":
      case "listen.stopped":
      case "listen.drained":
        this.#wake(keyOf(slot, message.type, message.id), message)
        return
      case "listening":
        this.#wake(keyOf(slot, "listening", message.id), message)
        return
      case "listen.failed":
        if (!this.#wake(keyOf(slot, "listening", message.id), message)) {
          this.#onPortLost(slot, message.message)
        }
        return
      case "served":
      case "stopped":
        this.#wake(keyOf(slot, message.type, 0), message)
    }
  }

  /** One that began anew has not got a port again that the others have. */
  #onPortLost({ index }: Slot, why: string): void {
    const message = `request thread ${index}, which was started again, takes no connections on a port of this node: ${why}`
    this.#options.onMessage({ type: "log", level: "error", message, fields: undefined }, index)
  }

  /** False: nobody waits for it. */
  #wake(key: string, message: FromPlane | undefined): boolean {
    const waiting = this.#waiting.get(key)
    this.#waiting.delete(key)
    for (const wake of waiting ?? []) wake(message)
    return waiting !== undefined
  }

  #onForeign(slot: Slot, message: Extract<RelayUp, { readonly type: "relay.open" }>): void {
    const { id, listener, remote } = message
    // The one that begins in its place numbers anew.
    const { thread } = slot
    const post = (down: RelayDown) => thread?.post(down)
    const take = this.#foreign.get(listener)
    if (take === undefined) {
      post({ type: "relay.reset", id })
      return
    }
    const nothing = () => undefined
    const pipe: RelayPipe = { id, remote, post, onMessage: nothing, onLost: nothing }
    slot.pipes.set(id, pipe)
    take(pipe)
  }

  async #openIn(slot: Slot, id: number, spec: ListenSpec): Promise<SocketEnd> {
    slot.thread?.post({ type: "listen", id, spec })
    const answer =
      slot.thread === undefined
        ? undefined
        : await this.#answer(
            slot,
            "listening",
            id,
            slot.state === "running" ? listenPatience : startPatience
          )
    if (answer?.type === "listening") return answer.address
    const address = formatHostPort(spec)
    const { code, message } =
      answer?.type === "listen.failed"
        ? answer
        : {
            code: "other" as const,
            message: `cannot listen on ${address}: request thread ${slot.index} does not answer`
          }
    throw new ListenError({ code, address, message, cause: new Error(message) })
  }

  #closePort(id: number): void {
    this.#foreign.delete(id)
    this.post({ type: "listen.close", id })
  }

  async #all(
    id: number,
    message: ToPlane,
    answer: "listen.stopped" | "listen.drained",
    patience: number
  ): Promise<void> {
    await Promise.all(
      this.#slots.map((slot) => {
        if (slot.thread === undefined) return undefined
        slot.thread.post(message)
        return this.#answer(slot, answer, id, patience)
      })
    )
  }

  /** Undefined: it did not come in time, or the thread is gone. */
  #answer(
    slot: Slot,
    what: FromPlane["type"],
    id: number,
    patience: number
  ): Promise<FromPlane | undefined> {
    return new Promise((resolve) => {
      const key = keyOf(slot, what, id)
      const timer = Number.isFinite(patience)
        ? this.#options.ticker.after(patience, () => wake(undefined))
        : undefined
      const waiting = this.#waiting.get(key) ?? new Set()
      this.#waiting.set(key, waiting)
      const wake: Waiting = (message) => {
        timer?.cancel()
        waiting.delete(wake)
        if (waiting.size === 0 && this.#waiting.get(key) === waiting) this.#waiting.delete(key)
        resolve(message)
      }
      // Who asked the same before gets the same answer.
      waiting.add(wake)
    })
  }
}

/** To open a port, ms. */
const listenPatience = 10_000
/** The same of a thread that may still be loading its code, on a host that is busy. */
const startPatience = 60_000
const stopPatience = 2_000
/** Beyond the deadline a thread keeps by itself. */
const drainGrace = 1_000

const keyOf = ({ index }: Slot, what: string, id: number): string => `${index} ${what} ${id}`
