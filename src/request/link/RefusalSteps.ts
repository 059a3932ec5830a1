/** What a dialler does next after it was refused, and how often. Pure: it is told, and answers. */
import { type LinkRefusal, maxThreadTries } from "../wire/LinkPreface.ts"

/** Before a session is tried again that the peer's thread does not know (yet), ms. */
const unknownPauses = [20, 50, 100] as const
/** Other sessions that one attempt asks for. */
const maxRenewals = 2
/** How long a busy peer may send us away, at the least and the most, ms; and how often. */
const busy = { least: 20, most: 5_000, times: 16 } as const

/** Of what several addresses said, which leads on: the first first. */
const hopes: ReadonlyArray<LinkRefusal> = [
  "other_thread",
  "busy",
  "session_ended",
  "not_genuine",
  "unknown_session",
  "replayed",
  "version",
  "malformed"
]

export const moreHopeful = (
  a: { readonly code: LinkRefusal },
  b: { readonly code: LinkRefusal }
): number => hopes.indexOf(a.code) - hopes.indexOf(b.code)

/** Again after so many ms, with another session, or not at all. */
export type RefusalStep = number | "renew" | undefined

export class RefusalSteps {
  /** How often we were sent to another thread: the peer is told. */
  tries = 0
  #unknown = 0
  #renewals = 0
  #busy = 0

  /** `wait`: what the peer said of when to come back, ms. */
  after(code: LinkRefusal, wait: number): RefusalStep {
    switch (code) {
      case "other_thread":
        // A new port of ours may lead to another of its threads.
        return this.tries++ < maxThreadTries ? 0 : undefined
      case "busy":
        if (this.#busy++ >= busy.times) return undefined
        return Math.min(busy.most, Math.max(busy.least, wait))
      case "unknown_session":
        return unknownPauses[this.#unknown++] ?? this.#renew()
      case "session_ended":
      case "not_genuine":
        return this.#renew()
      case "replayed":
      case "version":
      case "malformed":
        return undefined
    }
  }

  #renew(): RefusalStep {
    if (this.#renewals++ >= maxRenewals) return undefined
    this.#unknown = 0
    return "renew"
  }
}
