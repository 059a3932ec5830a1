/**
 * The mesh thread of a program's node, as the program has it: one life after the other, each told all
 * that the one before knew and the program's thread still has. Calls wait while there is none.
 */
import { Worker } from "node:worker_threads"
import type { NodeConfig } from "../config/NodeConfig.ts"
import type { Timer } from "../model/TimerWheel.ts"
import type { ActorQuestion, ActorReports } from "../schema/ActorReportSchema.ts"
import type { NodeCallName } from "./NodeCalls.ts"
import type {
  FromMesh,
  MeshStart,
  NodeFacts,
  ToldFailure,
  ToldLog,
  ToMesh
} from "./NodeMessages.ts"
import type { ProgramPlane } from "./ProgramPlane.ts"

export interface MeshThreadOptions {
  /** Its code. */
  readonly file: URL
  /** Its heap, MB at most: what the bounds of the mesh plane allow is less. Default 1,024. */
  readonly heap?: number | undefined
  readonly start: Omit<MeshStart, "held" | "memory" | "draining" | "restarts" | "programs">
  readonly plane: ProgramPlane
  /** What the program says of its actors; undefined: it cannot say it. */
  readonly actors: (question: ActorQuestion) => ActorReports | undefined
  readonly onLog: (told: ToldLog) => void
  /** Takes the data directory for as long as the node is. Resolves with why not. */
  readonly lock: () => Promise<ToldFailure | undefined>
  /** Of the first life, and of each after it. */
  readonly onStarted: (facts: NodeFacts) => void
  /** The first life has not started. */
  readonly onFailed: (failure: ToldFailure) => void
  /** A life has ended that was not asked to; the next begins after `pause` ms. */
  readonly onCrash: (reason: string, pause: number) => void
}

interface Pending {
  readonly name: NodeCallName
  readonly payload: unknown
  /** Ms that it waits for a life that can answer; undefined: until there is one. */
  readonly patience: number | undefined
  /** Undefined: nobody answers any more. */
  readonly onExit: (exit: unknown) => void
  timer: Timer | undefined
}

interface Life {
  readonly worker: Worker
  readonly startedAt: number
  state: "starting" | "running" | "ended"
  error: string | undefined
  /** It has failed: of the plane it says nothing more that counts. */
  failed: boolean
  readonly gone: Promise<void>
  readonly end: () => void
}

/** MB. Past it the thread ends with an error, and the program goes on. */
const usualHeap = 1_024
/** As the command has it: three times 2 MB. */
const youngGeneration = 6

/** Pause before it is started again, ms; doubles while it crashes soon after its start. */
const firstPause = 50
const longestPause = 5_000
/** A life of so long was well, ms. */
const stableAfter = 60_000
/** For it to end by itself, ms; for one that is only just starting. */
const endPatience = 5_000
const startingPatience = 1_000

export class MeshThread {
  readonly #options: MeshThreadOptions
  readonly #pending = new Map<number, Pending>()
  #lastId = 0
  #life: Life | undefined
  #facts: NodeFacts | undefined
  /** As it was read last. */
  #config: NodeConfig
  #restarts = 0
  #failures = 0
  #pause: Timer | undefined
  #stopped = false

  /** Its first life begins at once. */
  constructor(options: MeshThreadOptions) {
    this.#options = options
    this.#config = options.start.config
    this.#begin()
  }

  get isRunning(): boolean {
    return this.#life?.state === "running"
  }

  /**
   * `onExit` gets the encoded exit: of the life at hand or, when that ends before it has answered,
   * of the next; undefined when there is none within `patience` ms, or none any more. Answers how to
   * take it back.
   */
  ask(
    name: NodeCallName,
    payload: unknown,
    onExit: (exit: unknown) => void,
    patience?: number
  ): () => void {
    if (this.#stopped) {
      onExit(undefined)
      return () => undefined
    }
    const id = ++this.#lastId
    const pending: Pending = { name, payload, patience, onExit, timer: undefined }
    this.#pending.set(id, pending)
    if (this.isRunning) this.#post({ type: "call", id, name, payload })
    else this.#await(id, pending)
    return () => {
      if (this.#take(id) !== undefined) this.#post({ type: "cancel", id })
    }
  }

  /** Ends it, and waits until it is gone. */
  async stop(): Promise<void> {
    if (!this.#stopped) {
      this.#stopped = true
      this.#pause?.cancel()
      for (const id of [...this.#pending.keys()]) this.#take(id)?.onExit(undefined)
    }
    const life = this.#life
    if (life === undefined) return
    const patience = life.state === "starting" ? startingPatience : endPatience
    const timer = this.#options.plane.ticker.after(patience, () => void life.worker.terminate())
    if (life.state === "ended") void life.worker.terminate()
    else life.worker.postMessage({ type: "stop" } satisfies ToMesh)
    await life.gone
    timer.cancel()
  }

  #begin(): void {
    const { file, heap = usualHeap, onFailed, plane, start } = this.#options
    const { memory, held, isDraining: draining, served, ticker } = plane
    const config = this.#config
    const workerData: MeshStart = {
      ...{ ...start, config, held, memory, draining },
      programs: served,
      restarts: this.#restarts
    }
    let worker: Worker
    try {
      worker = new Worker(file, {
        workerData,
        name: "skein mesh",
        resourceLimits: {
          maxOldGenerationSizeMb: heap,
          maxYoungGenerationSizeMb: youngGeneration
        },
        // A realm of its own: what the program's thread was started with is for its code.
        ...(file.pathname.endsWith(".ts") ? {} : { execArgv: [] })
      })
    } catch (cause) {
      onFailed({
        code: "mesh_thread_failed",
        message: `the mesh thread cannot be started: ${textOf(cause)}`,
        cause: stackOf(cause)
      })
      return
    }
    const { promise: gone, resolve } = Promise.withResolvers<void>()
    const end = (): void => {
      life.state = "ended"
      void worker.terminate()
    }
    const life: Life = {
      ...{ worker, gone, end },
      startedAt: ticker.now(),
      state: "starting",
      error: undefined,
      failed: false
    }
    this.#life = life
    worker.on("message", (message: FromMesh) => this.#onMessage(life, message))
    worker.on("error", (cause: unknown) => {
      life.error = stackOf(cause)
    })
    worker.once("exit", (code) => {
      resolve()
      this.#onGone(life, life.error ?? `it ended by itself, with code ${code}`)
    })
  }

  #onMessage(life: Life, message: FromMesh): void {
    const { onFailed, onLog, onStarted, plane } = this.#options
    switch (message.type) {
      case "log":
        this.#post({ type: "logged", count: 1 })
        onLog(message)
        return
      case "lock":
        void this.#lock(life)
        return
      case "plane.begin":
        plane.begin(message.setup, (message) =>
          life.worker.postMessage({ type: "plane", message } satisfies ToMesh)
        )
        return
      case "plane":
        if (!life.failed) plane.receive(message.message)
        return
      case "started":
        life.state = "running"
        this.#facts = message.facts
        onStarted(message.facts)
        this.#sendPending()
        return
      case "failed":
        // It closes what it had open, and the plane's is the program's.
        life.failed = true
        plane.lost()
        if (this.#facts === undefined) {
          this.#stopped = true
          onFailed(message.failure)
        } else life.error = message.failure.message
        return
      case "met":
        plane.met()
        return
      case "reloaded":
        this.#config = message.config
        if (this.#facts !== undefined) {
          this.#facts = { ...this.#facts, drainDeadline: message.config.drain.deadline }
          onStarted(this.#facts)
        }
        return
      case "actors": {
        const { id, question } = message
        const reports = this.#options.actors(question)
        if (reports === undefined) return
        life.worker.postMessage({ type: "actors", id, reports } satisfies ToMesh)
        return
      }
      case "answer":
        this.#take(message.id)?.onExit(message.exit)
        return
      case "ended":
        life.end()
    }
  }

  #onGone(life: Life, reason: string): void {
    const { onCrash, onFailed, plane } = this.#options
    if (this.#life !== life) return
    this.#life = undefined
    plane.lost()
    plane.othersEnded()
    if (this.#stopped) return
    if (this.#facts === undefined) {
      this.#stopped = true
      const message = `the mesh thread has ended before the node had started: ${reason}`
      onFailed({ code: "mesh_thread_failed", message, cause: undefined })
      return
    }
    this.#failures = plane.ticker.now() - life.startedAt < stableAfter ? this.#failures + 1 : 1
    const pause = Math.min(longestPause, firstPause * 2 ** (this.#failures - 1))
    for (const [id, pending] of this.#pending) this.#await(id, pending)
    onCrash(reason, pause)
    this.#restarts++
    this.#pause = plane.ticker.after(pause, () => this.#begin())
  }

  async #lock(life: Life): Promise<void> {
    const failure = await this.#options.lock()
    if (this.#life === life) this.#post({ type: "locked", failure })
  }

  #post(message: ToMesh): void {
    this.#life?.worker.postMessage(message)
  }

  #sendPending(): void {
    for (const [id, pending] of this.#pending) {
      pending.timer?.cancel()
      pending.timer = undefined
      this.#post({ type: "call", id, name: pending.name, payload: pending.payload })
    }
  }

  /** For a life that can answer it. */
  #await(id: number, pending: Pending): void {
    const { patience } = pending
    if (patience === undefined || pending.timer !== undefined) return
    pending.timer = this.#options.plane.ticker.after(patience, () =>
      this.#take(id)?.onExit(undefined)
    )
  }

  #take(id: number): Pending | undefined {
    const pending = this.#pending.get(id)
    this.#pending.delete(id)
    pending?.timer?.cancel()
    return pending
  }
}

const textOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause))
const stackOf = (cause: unknown): string =>
  cause instanceof Error ? (cause.stack ?? cause.message) : String(cause)
