/**
 * The request planes of a node, as the mesh thread sees them: as many threads as the config says,
 * each told the same, each started anew when it crashes. What one has to know from its first moment
 * on is remembered here and told again to one that begins anew, so that a crash costs the connections
 * of that thread and nothing else.
 */
import type { RelayGate } from "../mesh/host/RelayListener.ts"
import { contain, type OnDefect } from "../model/Defect.ts"
import type { ViewChange } from "../model/MeshView.ts"
import type { Ticker } from "../model/Time.ts"
import { forgetThread } from "../request/HostMemory.ts"
import type { FromPlane, ListenSpec, PlaneSetup, ToPlane } from "../request/PlaneMessages.ts"
import type { AskedRows, Question } from "../request/PlaneQuestions.ts"
import type { ThreadReports } from "../telemetry/ThreadReports.ts"
import { PlaneMemory } from "./PlaneMemory.ts"
import type { PlaneThread, SpawnPlane } from "./PlaneThread.ts"
import { ThreadAnswers } from "./ThreadAnswers.ts"
import { type OpenPort, ThreadPorts } from "./ThreadPorts.ts"
import { ThreadRelays } from "./ThreadRelays.ts"
import type { ThreadSlot, ThreadStatus } from "./ThreadSlot.ts"

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
  /** Hears of what throws as a thread is listened to: the message is lost, the next is taken in. */
  readonly onDefect: OnDefect
  /** A thread has crashed and is started again after `pause` ms. */
  readonly onCrash: (index: number, error: Error, pause: number) => void
}

/** What is for others to hear; the rest is dealt with here. */
export type ThreadMessage = Extract<
  FromPlane,
  {
    readonly type:
      | "log"
      | "fact"
      | "session.need"
      | "sessions.used"
      | "denied"
      | "other_user"
      | "program.reach"
  }
>

/** Pause before a thread is started again, ms; doubles while it crashes soon after its start. */
const firstPause = 50
const longestPause = 5_000
/** One that ran for so long was well, ms. */
const stableAfter = 60_000

export class RequestThreads {
  readonly #options: RequestThreadsOptions
  readonly #slots: ReadonlyArray<ThreadSlot>
  readonly #memory: PlaneMemory
  readonly #answers: ThreadAnswers
  readonly #ports: ThreadPorts
  readonly #relays: ThreadRelays
  #lastQuestion = 0
  #stopped = false

  constructor(options: RequestThreadsOptions) {
    this.#options = options
    const { holds, onDefect, sharePorts, spawns, ticker } = options
    this.#memory = new PlaneMemory(() => ticker.wall())
    this.#slots = spawns.map((spawn, index) => ({
      ...{ index, spawn, thread: undefined, telemetry: undefined, pause: undefined },
      ...{ state: "starting", restarts: 0, failures: 0, lastError: undefined },
      ...{ since: ticker.wall(), startedAt: 0 }
    }))
    this.#answers = new ThreadAnswers(ticker)
    this.#ports = new ThreadPorts({
      ...{ slots: this.#slots, answers: this.#answers, memory: this.#memory },
      ...{ sharePorts, holds, post: (message) => this.post(message) }
    })
    this.#relays = new ThreadRelays(this.#ports, onDefect)
    for (const slot of this.#slots) this.#start(slot)
  }

  get count(): number {
    return this.#slots.length
  }

  /** The plane that runs in this thread, if one does. */
  get here(): PlaneThread["plane"] {
    return this.#slots[0]?.thread?.plane
  }

  /** For libp2p: the node's port, of which it gets what begins as its own. */
  get gate(): RelayGate {
    return this.#relays
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
    const id = ++this.#lastQuestion
    const answers = await Promise.all(
      this.#slots.map(async (slot) => {
        if (slot.thread === undefined) return undefined
        slot.thread.post({ type: "ask", id, question })
        const message = await this.#answers.of(slot.index, "answer", id, patience)
        return message?.type === "answer" ? message.rows : undefined
      })
    )
    return answers.filter((rows) => rows !== undefined)
  }

  /** Opens a port in all threads, or in none: rejects with a `ListenError`. */
  open(spec: ListenSpec): Promise<OpenPort> {
    return this.#ports.open(spec)
  }

  /** Takes nothing more from other nodes. Done when nothing of theirs runs here any more. */
  async drain(reason: string): Promise<void> {
    this.post({ type: "drain", reason })
    await Promise.all(
      this.#slots.map((slot) =>
        slot.thread === undefined
          ? undefined
          : this.#answers.of(slot.index, "served", 0, Number.POSITIVE_INFINITY)
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
        await this.#answers.of(slot.index, "stopped", 0, patience)
        await thread.terminate()
      })
    )
  }

  #start(slot: ThreadSlot): void {
    const { reports, setup, sharePorts, ticker } = this.#options
    slot.state = "starting"
    slot.since = ticker.wall()
    slot.startedAt = ticker.now()
    const thread = slot.spawn(
      { ...setup, index: slot.index, threads: this.count, sharePorts },
      {
        onMessage: (message) => this.#receive(slot, message),
        onGone: (error) => this.#onGone(slot, error)
      }
    )
    slot.thread = thread
    slot.telemetry = reports.begin((order) => thread.post({ type: "telemetry", order }))
    for (const message of this.#memory.all()) thread.post(message)
  }

  #onGone(slot: ThreadSlot, error: Error | undefined): void {
    const { onCrash, ticker } = this.#options
    slot.thread = undefined
    contain(this.#options.onDefect, "the reports of a request thread", () => slot.telemetry?.end())
    slot.lastError = error?.message ?? "it ended by itself"
    // Nobody waits any more for one that is gone, and its connections are gone with it.
    this.#answers.forget(slot.index)
    this.#relays.lose(slot.index)
    const { memory } = this.#options.setup
    if (memory !== undefined) forgetThread(memory, slot.index)
    if (this.#stopped) return
    slot.failures = ticker.now() - slot.startedAt < stableAfter ? slot.failures + 1 : 1
    const pause = Math.min(longestPause, firstPause * 2 ** (slot.failures - 1))
    slot.state = "restarting"
    slot.since = ticker.wall()
    slot.restarts++
    const crash = error ?? new Error(slot.lastError)
    contain(this.#options.onDefect, "who hears of crashes", () => onCrash(slot.index, crash, pause))
    slot.pause = ticker.after(pause, () => {
      slot.pause = undefined
      this.#start(slot)
    })
  }

  #receive(slot: ThreadSlot, message: FromPlane): void {
    try {
      this.#onMessage(slot, message)
    } catch (error) {
      this.#options.onDefect(error, `what a request thread says (${message.type})`)
    }
  }

  #onMessage(slot: ThreadSlot, message: FromPlane): void {
    switch (message.type) {
      case "ready":
        slot.state = "running"
        slot.since = this.#options.ticker.wall()
        return
      case "view.need":
        this.#tellView(slot)
        return
      case "relay.open":
        this.#relays.onOpen(slot.index, slot.thread, message)
        return
      case "relay.data":
      case "relay.taken":
      case "relay.closed":
        this.#relays.onMessage(slot.index, message)
        return
      case "telemetry":
        slot.telemetry?.receive(message.report)
        return
      case "log":
      case "fact":
      case "session.need":
      case "sessions.used":
      case "denied":
      case "other_user":
      case "program.reach":
        this.#options.onMessage(message, slot.index)
        return
      case "answer":
      case "listening":
      case "listen.stopped":
      case "listen.drained":
        this.#answers.receive(slot.index, message, message.id)
        return
      case "listen.failed":
        if (!this.#answers.receive(slot.index, message, message.id, "listening")) {
          this.#onPortLost(slot, message.message)
        }
        return
      case "served":
      case "stopped":
        this.#answers.receive(slot.index, message, 0)
    }
  }

  #tellView(slot: ThreadSlot): void {
    const change = this.#memory.wholeView()
    if (change !== undefined) slot.thread?.post({ type: "view", change })
  }

  /** One that began anew has not got a port again that the others have. */
  #onPortLost({ index }: ThreadSlot, why: string): void {
    const message = `request thread ${index}, which was started again, takes no connections on a port of this node: ${why}`
    this.#options.onMessage({ type: "log", level: "error", message, fields: undefined }, index)
  }
}
