/**
 * A request plane in this very thread. Apart from those in threads of their own, and imported by those alone
 * that want one: the mesh thread of other nodes need not have the request plane's code in memory.
 */
import type { Ticker } from "../model/Time.ts"
import { RequestPlane } from "../request/RequestPlane.ts"
import type { SpawnPlane } from "./PlaneThread.ts"

/**
 * Messages are handed over as they are, in order, once the one that sends is done: as between threads,
 * nobody is called while it still speaks.
 */
export const spawnHere =
  (ticker: Ticker): SpawnPlane =>
  (setup, { onGone, onMessage }) => {
    let gone = false
    const plane = new RequestPlane(setup, {
      ticker,
      post: (message) =>
        queueMicrotask(() => {
          if (!gone) onMessage(message)
        }),
      onStopped: () => {
        gone = true
        onGone(undefined)
      }
    })
    return {
      post: (message) =>
        queueMicrotask(() => {
          if (!gone) plane.receive(message)
        }),
      terminate: async () => {
        if (!gone) plane.stop()
      },
      plane
    }
  }
