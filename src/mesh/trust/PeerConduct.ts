/**
 * How members behave towards this node. Belonging to the mesh is no leave to lie or to shout: what a
 * member does that no honest one does adds to its score, which fades; at the limit it is cut off for a
 * while, here and by this node alone. And nobody gets more of this node's time than a share. Pure
 * apart from its memory.
 *
 * Blamed is who certainly did it: who is at the other end of the connection, or who has signed it.
 * What comes of clocks that differ, of older versions and of news that somebody has not heard is nobody's
 * fault and does not get here.
 */
import type { PeerKey } from "../../model/Names.ts"
import { Rate } from "../../model/Rate.ts"

/** What a member did, and how many of it within a minute or so are enough to cut it off. */
export const offences = {
  /** Passed on what nobody has signed: honest nodes look before they do. */
  forged: 10,
  /** Said what is not the language of the mesh, or lengths beyond all limits. */
  garbage: 10,
  /** Signed two things as one version. Two processes with one key do that too, now and then. */
  equivocated: 20,
  /** Asked or told more than its share. */
  flooded: 2_000
} as const
export type Offence = keyof typeof offences

/** Of this node's time, per member: so many a second, and at once. */
const budgets = {
  /** Messages of gossip, passed on by it, whoever said them. */
  passedOn: [500, 5_000],
  /** Its own words in gossip, whoever passed them on: records, statements. */
  said: [10, 1_000],
  /** Questions. */
  asked: [100, 1_000],
  /** Streams that it opens: a handful for each connection. */
  opened: [8, 128],
  /** New sessions: there is one, replaced in less than an hour. */
  session: [1, 16]
} as const
export type Budget = keyof typeof budgets

/** What of it somebody may use that judges what members say. */
export type Conduct = Pick<PeerConduct, "allows" | "note">

/** Where nobody keeps count: tests, the simulator. */
export const noConduct: Conduct = { allows: () => true, note: () => undefined }

/** A score of 1 is the limit; half of it is forgotten in so many ms. */
const halfLife = 60_000
/** Who is cut off is so for so long, ms. */
export const cutOffFor = 10 * 60_000
/** Members remembered; who was quiet for longest is forgotten first. */
const maxPeers = 4_096
/** From this score on people are shown it. */
const noteworthy = 0.1

interface Noted {
  score: number
  /** When the score was that, monotonic ms. */
  at: number
  cutOffUntil: number
  readonly counts: Map<Offence, number>
  readonly rates: Map<Budget, Rate>
}

/** Somebody to be shown. */
export interface Offender {
  readonly peer: PeerKey
  /** 1 and more: cut off. */
  readonly score: number
  readonly isCutOff: boolean
  /** Since it was first noticed. */
  readonly counts: ReadonlyMap<Offence, number>
}

export interface PeerConductOptions {
  /** Monotonic, ms. */
  readonly now: () => number
  /** Every offence. */
  readonly onOffence?: ((peer: PeerKey, what: Offence) => void) | undefined
  /** Somebody has gone too far: its connections are to be closed. */
  readonly onCutOff?: ((peer: PeerKey, what: Offence) => void) | undefined
}

export class PeerConduct {
  readonly #options: PeerConductOptions
  /** Last heard of last. */
  readonly #peers = new Map<PeerKey, Noted>()

  constructor(options: PeerConductOptions) {
    this.#options = options
  }

  note(peer: PeerKey, what: Offence): void {
    const now = this.#options.now()
    const conduct = this.#of(peer, now)
    conduct.counts.set(what, (conduct.counts.get(what) ?? 0) + 1)
    conduct.score = faded(conduct, now) + 1 / offences[what]
    conduct.at = now
    this.#options.onOffence?.(peer, what)
    // The sum of tenths is a little less than one.
    if (conduct.score < 1 - 1e-9 || conduct.cutOffUntil > now) return
    conduct.cutOffUntil = now + cutOffFor
    this.#options.onCutOff?.(peer, what)
  }

  /** Takes one of its share. False: it has had it, and what it wants is left undone. */
  allows(peer: PeerKey, budget: Budget): boolean {
    const now = this.#options.now()
    const { rates } = this.#of(peer, now)
    let rate = rates.get(budget)
    if (rate === undefined) {
      const [perSecond, burst] = budgets[budget]
      rate = new Rate(perSecond, burst)
      rates.set(budget, rate)
    }
    if (rate.take(now) === 0) return true
    this.note(peer, "flooded")
    return false
  }

  /** Undefined: it is not. Otherwise for how long yet, ms. */
  cutOffFor(peer: PeerKey): number | undefined {
    const left = (this.#peers.get(peer)?.cutOffUntil ?? 0) - this.#options.now()
    return left > 0 ? left : undefined
  }

  /** Those worth showing, worst first. */
  offenders(): ReadonlyArray<Offender> {
    const now = this.#options.now()
    return Array.from(this.#peers, ([peer, conduct]): Offender => {
      const isCutOff = conduct.cutOffUntil > now
      return { peer, score: faded(conduct, now), isCutOff, counts: conduct.counts }
    })
      .filter(({ isCutOff, score }) => isCutOff || score >= noteworthy)
      .sort((a, b) => b.score - a.score)
  }

  #of(peer: PeerKey, now: number): Noted {
    const known = this.#peers.get(peer)
    const conduct: Noted = known ?? {
      ...{ score: 0, at: now, cutOffUntil: Number.NEGATIVE_INFINITY },
      ...{ counts: new Map(), rates: new Map() }
    }
    this.#peers.delete(peer)
    if (known === undefined && this.#peers.size >= maxPeers) this.#makeRoom(now)
    this.#peers.set(peer, conduct)
    return conduct
  }

  /** Not whoever is cut off, as long as there is somebody else. */
  #makeRoom(now: number): void {
    for (const [peer, conduct] of this.#peers) {
      if (conduct.cutOffUntil > now) continue
      this.#peers.delete(peer)
      return
    }
    const [oldest] = this.#peers.keys()
    if (oldest !== undefined) this.#peers.delete(oldest)
  }
}

const faded = ({ at, score }: Noted, now: number): number => score * 0.5 ** ((now - at) / halfLife)
