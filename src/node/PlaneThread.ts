/**
 * A request plane and the way to it: a worker thread of its own, or this very thread (PlaneHere.ts). Either way
 * the two sides share nothing but messages (and counters), so that nobody has to care which it is.
 */
import { Worker } from "node:worker_threads"
import type { FromPlane, PlaneSetup, ToPlane } from "../request/PlaneMessages.ts"
import type { RequestPlane } from "../request/RequestPlane.ts"
import { threadFile } from "./ThreadFile.ts"

export interface PlaneThread {
  readonly post: (message: ToPlane) => void
  /** At once, whatever runs on it. Done when it is gone. */
  readonly terminate: () => Promise<void>
  /** Its plane, where it runs in this thread. */
  readonly plane: RequestPlane | undefined
}

export interface PlaneThreadEvents {
  readonly onMessage: (message: FromPlane) => void
  /** It has ended, by itself or by a crash; nothing follows. */
  readonly onGone: (error: Error | undefined) => void
}

export type SpawnPlane = (setup: PlaneSetup, events: PlaneThreadEvents) => PlaneThread

/** In a worker. */
export const spawnWorker: SpawnPlane = (setup, { onGone, onMessage }) => {
  const worker = new Worker(threadFile(), { workerData: setup, name: `request ${setup.index}` })
  let error: Error | undefined
  worker.on("message", onMessage)
  worker.on("error", (cause: unknown) => {
    error = cause instanceof Error ? cause : new Error(String(cause))
  })
  worker.once("exit", (code) => {
    onGone(error ?? (code === 0 ? undefined : new Error(`the thread ended with code ${code}`)))
  })
  return {
    post: (message) => worker.postMessage(message),
    terminate: async () => void (await worker.terminate()),
    plane: undefined
  }
}
