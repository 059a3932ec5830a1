/**
 * The log of a mesh thread, which is its program's: what is logged here goes there, and nothing to
 * the standard streams. A program that is stalled has a bound of messages before it; what is logged
 * beyond is counted, and the number told with the next one.
 */
import { Cause, HashMap, Inspectable, Logger, LogLevel } from "effect"
import type { ToldLog } from "./NodeMessages.ts"

/** On their way and not yet taken, at most. */
const mostUnderway = 1_024

type Plain = string | number | boolean

const plain = (value: unknown): Plain =>
  typeof value === "string" || typeof value === "number" || typeof value === "boolean"
    ? value
    : value instanceof Error
      ? (value.stack ?? value.message)
      : Inspectable.toStringUnknown(value, 0)

export class MeshLog {
  readonly #post: (message: ToldLog) => void
  #underway = 0
  #lost = 0

  constructor(post: (message: ToldLog) => void) {
    this.#post = post
  }

  readonly logger = Logger.make<unknown, void>(({ annotations, cause, logLevel, message }) => {
    this.#tell({
      type: "log",
      level: logLevel._tag,
      messages: (Array.isArray(message) ? message : [message]).map(plain),
      annotations: Object.fromEntries(
        Array.from(HashMap.entries(annotations), ([name, value]) => [name, plain(value)])
      ),
      cause: Cause.isEmpty(cause) ? undefined : Cause.pretty(cause, { renderErrorCause: true })
    })
  })

  /** So many were taken by the program. */
  taken(count: number): void {
    this.#underway -= count
  }

  #tell(message: ToldLog): void {
    if (this.#underway >= mostUnderway) {
      this.#lost++
      return
    }
    if (this.#lost > 0) {
      const text = `${this.#lost} messages of the mesh thread's log were lost: the program did not take them`
      this.#lost = 0
      this.#send({ ...warning, messages: [text] })
    }
    this.#send(message)
  }

  #send(message: ToldLog): void {
    this.#underway++
    this.#post(message)
  }
}

const warning = {
  type: "log",
  level: LogLevel.Warning._tag,
  annotations: {},
  cause: undefined
} as const
