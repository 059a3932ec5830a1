/** Sessions that a request thread waits for: its mesh thread makes them, one for all who wait. */
import type { PeerKey } from "../model/Names.ts"
import type { Session } from "../model/Session.ts"

interface Waiter {
  readonly resolve: (session: Session) => void
  readonly reject: (error: Error) => void
}

export class SessionNeeds {
  readonly #ask: (peer: PeerKey) => void
  readonly #waiting = new Map<PeerKey, Set<Waiter>>()

  constructor(ask: (peer: PeerKey) => void) {
    this.#ask = ask
  }

  /** The next session with the peer. Rejects with why there is none, or when it is not wanted. */
  need(peer: PeerKey, signal: AbortSignal): Promise<Session> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) {
        reject(signal.reason)
        return
      }
      const waiters = this.#waiting.get(peer) ?? new Set()
      const onAbort = () => {
        waiters.delete(waiter)
        if (waiters.size === 0) this.#waiting.delete(peer)
        reject(signal.reason)
      }
      const waiter: Waiter = {
        resolve: (session) => {
          signal.removeEventListener("abort", onAbort)
          resolve(session)
        },
        reject: (error) => {
          signal.removeEventListener("abort", onAbort)
          reject(error)
        }
      }
      signal.addEventListener("abort", onAbort, { once: true })
      waiters.add(waiter)
      if (waiters.size > 1) return
      this.#waiting.set(peer, waiters)
      this.#ask(peer)
    })
  }

  have(session: Session): void {
    for (const { resolve } of this.#take(session.peer)) resolve(session)
  }

  none(peer: PeerKey, reason: string): void {
    const error = new Error(`no session with the node: ${reason}`)
    for (const { reject } of this.#take(peer)) reject(error)
  }

  #take(peer: PeerKey): ReadonlyArray<Waiter> {
    const waiters = [...(this.#waiting.get(peer) ?? [])]
    this.#waiting.delete(peer)
    return waiters
  }
}
