/**
 * All that a request thread has to know that begins while the others run: the latest word on each
 * thing that was said, in an order in which it can be understood.
 */
import type { ViewChange } from "../model/MeshView.ts"
import type { PeerKey, ServiceName } from "../model/Names.ts"
import type { PlaneFact, ToPlane } from "../request/PlaneMessages.ts"

type OfType<Type extends ToPlane["type"]> = Extract<ToPlane, { readonly type: Type }>

/** Facts that are remembered, at most; the oldest are forgotten: they end by themselves. */
const maxFacts = 4_096

export class PlaneMemory {
  /** The one latest word of its type. */
  readonly #latest = new Map<ToPlane["type"], ToPlane>()
  /** Endpoints of this host, by the latest word. What is said of others nobody has heard either. */
  #present: ReadonlySet<string> = new Set()
  readonly #health = new Map<string, OfType<"health">>()
  readonly #peers = new Map<PeerKey, OfType<"peer">>()
  readonly #missing = new Map<ServiceName, OfType<"missing">>()
  readonly #sessions = new Map<PeerKey, OfType<"session">>()
  readonly #listeners = new Map<number, OfType<"listen">>()
  readonly #facts = new Map<string, OfType<"fact">>()
  /** The whole view, when somebody begins. */
  wholeView: () => ViewChange | undefined = () => undefined
  /** Wall clock, ms. */
  readonly #now: () => number

  constructor(now: () => number = Date.now) {
    this.#now = now
  }

  note(message: ToPlane): void {
    switch (message.type) {
      case "policies":
      case "access":
      case "rights":
      case "out":
      case "sample":
      case "sockets":
      case "programs":
      case "drain":
        this.#latest.set(message.type, message)
        return
      case "services":
        this.#latest.set(message.type, message)
        this.#keepHealth(message)
        return
      case "health":
        this.#noteHealth(message)
        return
      case "peer":
        this.#peers.set(message.facts.peer, message)
        return
      case "peer.gone":
        this.#peers.delete(message.peer)
        return
      case "missing":
        if (message.reason === undefined) this.#missing.delete(message.service)
        else this.#missing.set(message.service, message)
        return
      case "session":
        this.#sessions.set(message.session.peer, message)
        return
      case "session.end":
        this.#sessions.delete(message.peer)
        return
      case "listen":
        this.#listeners.set(message.id, message)
        return
      case "listen.stop":
      case "listen.close":
      case "listen.drain":
        this.#listeners.delete(message.id)
        return
      case "fact":
        this.#noteFact(message)
    }
  }

  /** In the order in which they are to be said. */
  *all(): Iterable<ToPlane> {
    const view = this.wholeView()
    if (view !== undefined) yield { type: "view", change: view }
    yield* this.#latest.values()
    yield* this.#health.values()
    yield* this.#peers.values()
    yield* this.#missing.values()
    yield* this.#sessions.values()
    const now = this.#now()
    for (const message of this.#facts.values()) if (endOf(message.fact) > now) yield message
    yield* this.#listeners.values()
  }

  #keepHealth({ services }: OfType<"services">): void {
    this.#present = new Set(
      services.flatMap(({ name, endpoints }) => endpoints.map(({ id }) => `${name} ${id}`))
    )
    for (const key of this.#health.keys()) if (!this.#present.has(key)) this.#health.delete(key)
  }

  #noteHealth(message: OfType<"health">): void {
    const key = `${message.service} ${message.endpoint}`
    if (this.#present.has(key)) this.#health.set(key, message)
  }

  #noteFact(message: OfType<"fact">): void {
    const { fact } = message
    if (fact.kind === "silent") return // a thread that begins finds out by itself
    const key = `${fact.kind} ${fact.service} ${fact.endpoint}`
    this.#facts.delete(key)
    if (endOf(fact) <= this.#now()) return
    if (this.#facts.size >= maxFacts) {
      const [oldest] = this.#facts.keys()
      if (oldest !== undefined) this.#facts.delete(oldest)
    }
    this.#facts.set(key, message)
  }
}

/** A probe is over before a thread that begins could ask. */
const endOf = (fact: PlaneFact): number => {
  if (fact.kind === "silent") return 0
  if (fact.kind === "ejection") return fact.news.state === "well" ? 0 : fact.news.until
  return fact.news.state === "open" ? fact.news.until : 0
}
