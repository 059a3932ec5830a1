/**
 * Who called what of services in audit, for rules to be written from. Bounded: when it is full, what is
 * new is counted and forgotten. Paths are kept as templates: ids in them are not.
 */
import { formatCaller } from "../../model/Caller.ts"
import type { Call } from "../../model/Exchange.ts"
import type { ServiceName } from "../../model/Names.ts"
import type { PathReading } from "../../model/PathReading.ts"
import { isGrpc } from "./CompiledRule.ts"
import { templateOf } from "./PathTemplate.ts"

export interface TrafficRow {
  /** As `formatCaller` has it. */
  readonly caller: string
  readonly service: ServiceName
  /** Undefined: a tunnel, or TCP. */
  readonly method: string | undefined
  /** Null: any one segment. Undefined: there is none. */
  readonly path: ReadonlyArray<string | null> | undefined
  /** A call of gRPC: `path` is service and method, and none of them an id. */
  readonly grpc?: true
  readonly calls: number
}

export interface TrafficSeen {
  readonly rows: ReadonlyArray<TrafficRow>
  /** Calls that there was no room for, or whose path no rule could be about. */
  readonly left: number
}

/** Rows of one thread. */
export const maxTraffic = 1_024

/** Segments of a path that are looked at; a longer one is nobody's resource. */
const maxSegments = 16

export class Traffic {
  readonly #rows = new Map<string, TrafficRow & { calls: number }>()
  readonly #reading: PathReading
  #left = 0

  constructor(reading: PathReading) {
    this.#reading = reading
  }

  seen(): TrafficSeen {
    return { rows: Array.from(this.#rows.values(), (row) => ({ ...row })), left: this.#left }
  }

  note({ head, identity, service }: Call): void {
    const grpc = head !== undefined && isGrpc(head)
    const path = head === undefined ? undefined : this.#pathOf(head.target, grpc)
    if (path === "unclear") {
      this.#left++
      return
    }
    const caller = formatCaller(identity)
    const method = head?.method
    const key = JSON.stringify([service, caller, method ?? "", path ?? "", grpc])
    const row = this.#rows.get(key)
    if (row !== undefined) row.calls++
    else if (this.#rows.size >= maxTraffic) this.#left++
    else {
      const kind = grpc ? ({ grpc } as const) : {}
      this.#rows.set(key, { caller, service, method, path, ...kind, calls: 1 })
    }
  }

  /** What is no longer in audit is not kept. */
  keep(isAudited: (service: ServiceName) => boolean): void {
    for (const [key, { service }] of this.#rows) if (!isAudited(service)) this.#rows.delete(key)
  }

  #pathOf(target: string, whole: boolean): ReadonlyArray<string | null> | undefined | "unclear" {
    this.#reading.read(target)
    const { end, text, trouble } = this.#reading
    if (end === 0) return undefined
    if (trouble !== undefined) return "unclear"
    const path = text.slice(0, end)
    const template = whole ? path.slice(1).split("/") : templateOf(path)
    return template.length > maxSegments ? "unclear" : template
  }
}
