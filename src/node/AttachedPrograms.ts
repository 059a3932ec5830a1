/**
 * The programs that are attached to this node: who they are, what they serve, and which request threads
 * reach them. Pure but for the random ids it is handed; what changes is told by whoever made it.
 */
import { type AttachedProgram, isNamedId, maxPrograms } from "../model/AttachedProgram.ts"
import type { Caller } from "../model/Caller.ts"
import type { ProgramOffer, ServeRefused } from "../schema/ProgramOfferSchema.ts"
import type { AttachAsk } from "../schema/ProgramTalkSchema.ts"
import type { NodeOffer } from "./ProgramServices.ts"

/** One that is attached, for people too. */
export interface Attached extends AttachedProgram {
  readonly name: string
  readonly pid: number | undefined
  readonly software: string | undefined
  /** The socket by which it came. */
  readonly address: string
  /** Wall clock, ms. */
  readonly since: number
  readonly offers: ReadonlyArray<ProgramOffer>
}

interface Entry {
  state: Attached
  /** Request threads from which calls can come to it. */
  readonly reached: Set<number>
  /** None of them does any more, though its connection is there: it was stopped, or is stuck. */
  silent: boolean
  /** By what it calls an endpoint itself, what the node calls it. */
  readonly ids: Map<string, string>
}

const silence = "the program does not answer its node"

export interface AttachedProgramsOptions {
  /** A new secret: 32 random bytes as text. */
  readonly secret: () => string
  /** Endpoint ids that are taken by others of this host. */
  readonly taken: (service: string) => ReadonlySet<string>
  /** Hears when no request thread reaches one any more that serves, and when one does again. */
  readonly onSilence?: (program: Attached, silent: boolean) => void
  /** Hears when one is attached no more. */
  readonly onGone?: (id: string) => void
}

export class AttachedPrograms {
  readonly #options: AttachedProgramsOptions
  readonly #entries = new Map<string, Entry>()
  /** They were attached to an earlier life of the mesh thread, and have not come back yet. */
  readonly #away = new Set<string>()

  constructor(options: AttachedProgramsOptions) {
    this.#options = options
  }

  get count(): number {
    return this.#entries.size
  }

  /** Undefined: there are as many as there may be. One that comes back is what it was. */
  attach(ask: AttachAsk, address: string, identity: Caller, now: number): Attached | undefined {
    const { resume } = ask
    const known = resume && this.#entries.get(resume.program)
    if (known !== undefined && known.state.pass === resume?.pass) {
      this.#away.delete(known.state.id)
      // It may have another identity by now: its links are to begin anew then, under another pass.
      if (known.state.address === address) return known.state
      this.detach(known.state.id)
    }
    if (this.#entries.size >= maxPrograms) return undefined
    const state: Attached = {
      id: this.#options.secret().slice(0, 12),
      pass: this.#options.secret(),
      identity,
      name: ask.name,
      pid: ask.pid,
      software: ask.software,
      address,
      since: now,
      offers: []
    }
    this.#entries.set(state.id, { state, reached: new Set(), silent: false, ids: new Map() })
    return state
  }

  /** True: it was there. */
  detach(id: string): boolean {
    this.#away.delete(id)
    if (!this.#entries.delete(id)) return false
    this.#options.onGone?.(id)
    return true
  }

  /** Those of an earlier life of the mesh thread: their links are there, and they will be back. */
  restore(programs: ReadonlyArray<Attached>): void {
    for (const state of programs) {
      this.#entries.set(state.id, { state, reached: new Set(), silent: false, ids: new Map() })
      this.#away.add(state.id)
    }
  }

  /** Some have not come back so far. */
  get someAreAway(): boolean {
    return this.#away.size > 0
  }

  /**
   * Those that have not come back and that no thread reaches are gone. One that is reached lives: it, or
   * this host, is only late. True: there were some.
   */
  giveUp(): boolean {
    const gone = [...this.#away].filter((id) => this.#entries.get(id)?.reached.size === 0)
    for (const id of gone) this.detach(id)
    return gone.length > 0
  }

  get(id: string): Attached | undefined {
    return this.#entries.get(id)?.state
  }

  all(): ReadonlyArray<Attached> {
    return Array.from(this.#entries.values(), ({ state }) => state)
  }

  /** For the request threads. */
  known(): ReadonlyArray<AttachedProgram> {
    return this.all().map(({ id, identity, pass }) => ({ id, identity, pass }))
  }

  /**
   * All that it serves from now on. `why` is asked of what it did not serve before, and what is refused
   * is left out and given back.
   */
  serve(
    id: string,
    offers: ReadonlyArray<ProgramOffer>,
    why: (offer: ProgramOffer) => ServeRefused | undefined
  ): ReadonlyArray<ServeRefused> {
    const entry = this.#entries.get(id)
    if (entry === undefined) return []
    const before = new Set(entry.state.offers.map(keyOf))
    const refused: Array<ServeRefused> = []
    const accepted: Array<ProgramOffer> = []
    // One after the other: each counts for those behind it.
    entry.state = { ...entry.state, offers: offers.filter((offer) => before.has(keyOf(offer))) }
    for (const offer of offers) {
      const refusal = before.has(keyOf(offer)) ? undefined : why(offer)
      if (refusal !== undefined) {
        refused.push(refusal)
        continue
      }
      accepted.push(offer)
      if (!before.has(keyOf(offer))) {
        entry.state = { ...entry.state, offers: [...entry.state.offers, offer] }
      }
    }
    entry.state = { ...entry.state, offers: accepted }
    for (const key of entry.ids.keys()) {
      if (!accepted.some((offer) => keyOf(offer) === key)) entry.ids.delete(key)
    }
    return refused
  }

  /** What a request thread has found out. True: what is offered is another now. */
  reach(id: string, thread: number, reached: boolean): boolean {
    const entry = this.#entries.get(id)
    if (entry === undefined) return false
    if (reached) entry.reached.add(thread)
    else entry.reached.delete(thread)
    const silent = entry.reached.size === 0
    if (silent === entry.silent) return false
    entry.silent = silent
    if (entry.state.offers.length === 0) return false
    this.#options.onSilence?.(entry.state, silent)
    return true
  }

  /** A thread has ended, and all links to it with it: it says nothing more of them. */
  lose(thread: number): void {
    for (const { reached } of this.#entries.values()) reached.delete(thread)
  }

  /** What the node offers for all of them. */
  offers(): ReadonlyArray<NodeOffer> {
    const all: Array<NodeOffer> = []
    for (const { ids, silent, state } of this.#entries.values()) {
      for (const offer of state.offers) {
        const { id } = offer
        const endpoint = ids.get(keyOf(offer)) ?? this.#idOf(offer)
        ids.set(keyOf(offer), endpoint)
        all.push({
          ...offer,
          ...(silent ? { healthy: false, reason: silence } : {}),
          id: endpoint,
          at: { program: state.id, endpoint: id }
        })
      }
    }
    return all
  }

  #idOf({ id, named, service }: ProgramOffer): string {
    const isOwn = named === true && isNamedId(id) && !this.#taken(service).has(id)
    return isOwn ? id : this.#freeId(service)
  }

  #taken(service: string): ReadonlySet<string> {
    const taken = new Set(this.#options.taken(service))
    for (const { ids } of this.#entries.values()) {
      for (const [key, id] of ids) if (key.startsWith(`${service}/`)) taken.add(id)
    }
    return taken
  }

  /** The lowest, so that a program that comes back is the same endpoint to every balancer of the mesh. */
  #freeId(service: string): string {
    const taken = this.#taken(service)
    for (let i = 1; ; i++) {
      const id = i === 1 ? "program" : `program-${i}`
      if (!taken.has(id)) return id
    }
  }
}

const keyOf = ({ id, service }: Pick<ProgramOffer, "id" | "service">): string => `${service}/${id}`
