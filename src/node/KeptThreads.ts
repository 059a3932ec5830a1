/**
 * The request threads of a node, kept over the lives of its mesh plane: one that begins anew in the
 * main thread takes over the threads there are, with their ports, links and calls under way. A thread
 * that crashes is started again by the mesh plane there is (RequestThreads.ts).
 */
import { Worker } from "node:worker_threads"
import type { Log } from "../model/Log.ts"
import type { Ticker } from "../model/Time.ts"
import { type HostMemory, makeHostMemory } from "../request/HostMemory.ts"
import type { FromPlane, PlaneSetup, ToPlane } from "../request/PlaneMessages.ts"
import { KeptPlane, type PlaneBody } from "./KeptPlane.ts"
import { samePort } from "./PlanePorts.ts"
import type { PlaneThreadEvents, SpawnPlane } from "./PlaneThread.ts"
import type { ProgramSide } from "./RunningNode.ts"
import { threadFile } from "./ThreadFile.ts"

interface WorkerBody extends PlaneBody {
  /** At once, whatever runs on it. Done when it is gone. */
  readonly terminate: () => Promise<void>
}

export interface KeptThreadsOptions {
  readonly count: number
  readonly ticker: Ticker
  readonly log: Log
}

class KeptThread {
  readonly plane: KeptPlane<WorkerBody>
  readonly #memory: HostMemory
  /** Of the mesh plane there is. */
  #events: PlaneThreadEvents | undefined

  constructor({ log, ticker }: KeptThreadsOptions, memory: HostMemory) {
    this.#memory = memory
    this.plane = new KeptPlane({
      ...{ log, ticker, endsWithMesh: true },
      make: (setup, post) => {
        const worker = new Worker(threadFile(), {
          workerData: setup,
          name: `request ${setup.index}`
        })
        let error: Error | undefined
        worker.on("message", post)
        worker.on("error", (cause: unknown) => {
          error = cause instanceof Error ? cause : new Error(String(cause))
        })
        worker.once("exit", (code) => {
          this.plane.broke()
          const ended = code === 0 ? undefined : new Error(`the thread ended with code ${code}`)
          this.#events?.onGone(error ?? ended)
        })
        return {
          receive: (message) => worker.postMessage(message),
          stop: () => worker.postMessage({ type: "stop" }),
          terminate: async () => void (await worker.terminate())
        }
      }
    })
  }

  /** For one life of the mesh plane. */
  side(): ProgramSide {
    const held = this.plane.held
    const spawn: SpawnPlane = (setup: PlaneSetup, events) => {
      this.#events = events
      // As between threads: nobody is answered while it still speaks.
      const answer = (message: FromPlane) => queueMicrotask(() => events.onMessage(message))
      this.plane.begin(setup, answer)
      return {
        post: (message) => {
          if (this.#events === events) this.plane.receive(message)
          else farewell(message, answer)
        },
        terminate: async () => {
          if (this.#events === events) await this.plane.plane?.terminate()
        },
        plane: undefined
      }
    }
    return {
      spawn,
      holds: (spec) => held.some((one) => samePort(one, spec)),
      memory: this.#memory
    }
  }

  /** The mesh plane has crashed: what it still says is not heard. */
  lost(): void {
    this.#events = undefined
    this.plane.lost()
  }

  async stop(): Promise<void> {
    this.#events = undefined
    await this.plane.plane?.terminate()
  }
}

/**
 * A mesh plane that has crashed and puts away what it had waits for no thread: they are another's by
 * now, and go on.
 */
const farewell = (message: ToPlane, answer: (message: FromPlane) => void): void => {
  switch (message.type) {
    case "listen.stop":
      answer({ type: "listen.stopped", id: message.id })
      return
    case "listen.drain":
      answer({ type: "listen.drained", id: message.id })
      return
    case "drain":
      answer({ type: "served" })
      return
    case "stop":
      answer({ type: "stopped" })
  }
}

export class KeptThreads {
  readonly #threads: ReadonlyArray<KeptThread>

  constructor(options: KeptThreadsOptions) {
    const memory = makeHostMemory()
    this.#threads = Array.from({ length: options.count }, () => new KeptThread(options, memory))
  }

  /** For a mesh plane that begins. */
  sides(): ReadonlyArray<ProgramSide> {
    return this.#threads.map((thread) => thread.side())
  }

  /** They were told to take nothing more from other nodes. */
  get isDraining(): boolean {
    return this.#threads.some(({ plane }) => plane.isDraining)
  }

  /** The mesh plane at hand has met its mesh: what only those before it knew is over. */
  met(): void {
    for (const { plane } of this.#threads) plane.met()
  }

  lost(): void {
    for (const thread of this.#threads) thread.lost()
  }

  async stop(): Promise<void> {
    await Promise.all(this.#threads.map((thread) => thread.stop()))
  }
}
