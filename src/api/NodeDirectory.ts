/**
 * The directory of a program that is attached: what its node has told of the services that the program has
 * asked for. While there is no node it says what the last one said.
 */
import { contain, type OnDefect } from "../model/Defect.ts"
import type { EndpointView } from "../model/MeshView.ts"
import type { ServiceName } from "../model/Names.ts"
import { changedByKey } from "../model/SortedByKey.ts"
import { type EndpointNews, maxFollowed } from "../schema/ProgramTalkSchema.ts"
import type { MeshDirectory } from "./MeshDirectory.ts"

export interface NodeDirectoryOptions {
  /** Asks the node to tell, under a number of its own. Undefined: there is none to be asked. */
  readonly say: (service: ServiceName) => number | undefined
  /** That the node is in, as it has said; undefined: none, or it has not. */
  readonly zone: () => string | undefined
  /** Nothing more is to be told. */
  readonly cancel: (id: number) => void
  readonly onDefect: OnDefect
}

interface Followed {
  readonly service: ServiceName
  endpoints: ReadonlyArray<EndpointView>
  /** As far as it is told of what is in several lines. */
  coming: ReadonlyArray<EndpointView>
  readonly listeners: Set<() => void>
  /** Undefined: no node has been asked. */
  id: number | undefined
}

const nobody: ReadonlyArray<EndpointView> = []
const keyOf = ({ key }: EndpointView): string => key

export class NodeDirectory {
  readonly #options: NodeDirectoryOptions
  readonly #followed = new Map<ServiceName, Followed>()
  /** By the number of the question to the node there is. */
  readonly #asked = new Map<number, Followed>()

  readonly api: MeshDirectory["Type"]

  constructor(options: NodeDirectoryOptions) {
    this.#options = options
    this.api = {
      get zone() {
        return options.zone()
      },
      // Whoever asks without listening goes by what is known: others may follow it.
      endpoints: (service) => this.#followed.get(service)?.endpoints ?? nobody,
      subscribe: (service, changed) => this.#subscribe(service, changed)
    }
  }

  #subscribe(service: ServiceName, changed: () => void): () => void {
    const followed = this.#followed.get(service) ?? this.#follow(service)
    // One that subscribes twice with the same function is called twice.
    const listener = (): void => changed()
    followed.listeners.add(listener)
    return () => {
      followed.listeners.delete(listener)
      if (followed.listeners.size > 0 || this.#followed.get(service) !== followed) return
      this.#followed.delete(service)
      if (followed.id === undefined) return
      this.#asked.delete(followed.id)
      this.#options.cancel(followed.id)
    }
  }

  /** The node is another, or was told nothing yet. */
  renew(): void {
    this.#asked.clear()
    for (const followed of this.#followed.values()) this.#ask(followed)
  }

  heard({ id, more, removed, set, whole }: Omit<EndpointNews, "type">): void {
    const followed = this.#asked.get(id)
    // Said before it was called off.
    if (followed === undefined) return
    const before = whole ? nobody : followed.coming
    const views = set.map((one): EndpointView => ({ ...one, zone: one.zone }))
    followed.coming = changedByKey(before, views, removed, keyOf)
    if (more) return
    followed.endpoints = followed.coming
    for (const listener of [...followed.listeners]) {
      contain(this.#options.onDefect, "who hears of endpoints", listener)
    }
  }

  #follow(service: ServiceName): Followed {
    if (this.#followed.size >= maxFollowed) {
      throw new Error(
        `a program follows ${maxFollowed} services at most, and not ${service} as well`
      )
    }
    const followed: Followed = {
      ...{ service, endpoints: nobody, coming: nobody, id: undefined },
      listeners: new Set()
    }
    this.#followed.set(service, followed)
    this.#ask(followed)
    return followed
  }

  #ask(followed: Followed): void {
    followed.id = this.#options.say(followed.service)
    if (followed.id !== undefined) this.#asked.set(followed.id, followed)
  }
}
