/**
 * From events to lines, with a bound on how many: what strangers and callers can cause as often as
 * they like is told at once the first time, and then, while it goes on, every ten seconds with its
 * count. What people and certificates do is told each time.
 */
import type { AuditEvent, AuditEventName, AuditValue } from "../model/AuditEvent.ts"
import { hostGroup } from "../model/HostGroup.ts"

const gathered: ReadonlySet<AuditEventName> = new Set([
  "access.denied",
  "caller.refused",
  "control.refused",
  "door.admitted",
  "door.refused"
])

export const auditLimits = {
  /** How long the same is counted before it is told again, ms. */
  window: 10_000,
  /** Different ones counted at a time; further ones are counted together, by event. */
  kinds: 512,
  /** Of a text, in characters; of the lists and fields of `more`. */
  text: 512,
  items: 64
} as const

interface Tally {
  /** As it came last. */
  event: AuditEvent
  count: number
  /** Ticker time at which the window ends, ms. */
  until: number
}

/** `since`: the length of time that the count is of, ms; absent: it is of this moment. */
export type TellAudit = (event: AuditEvent, count: number, since: number | undefined) => void

/** Of a caller's address the host: its port is another one each time. */
const originOf = (from: string | undefined): string | undefined => {
  const [, kind = "", host] = from?.split("/") ?? []
  return host !== undefined && kind.startsWith("ip") ? hostGroup(host) : from
}

const keyOf = ({ about, by, code, event, from }: AuditEvent): string =>
  JSON.stringify([event, by, originOf(from), about, code])

export class AuditGather {
  readonly #tell: TellAudit
  readonly #tallies = new Map<string, Tally>()

  constructor(tell: TellAudit) {
    this.#tell = tell
  }

  /** Is there something for `pass` to look at, now or later? */
  get counts(): boolean {
    return this.#tallies.size > 0
  }

  /** `now`: a clock that only goes forward, ms. */
  note(event: AuditEvent, now: number): void {
    const count = event.count ?? 1
    if (!gathered.has(event.event)) {
      this.#tell(event, count, undefined)
      return
    }
    const key = keyOf(event)
    const tally = this.#tallies.get(key)
    if (tally !== undefined) {
      tally.event = event
      tally.count += count
      return
    }
    const isFull = this.#tallies.size >= auditLimits.kinds
    if (!isFull) {
      this.#tallies.set(key, { event, count: 0, until: now + auditLimits.window })
      this.#tell(event, count, undefined)
      return
    }
    const rest: AuditEvent = { event: event.event, about: "others" }
    const others = this.#tallies.get(keyOf(rest))
    if (others !== undefined) others.count += count
    else this.#tallies.set(keyOf(rest), { event: rest, count, until: now + auditLimits.window })
  }

  /** To be called every second or so: tells what went on, and forgets what did not. */
  pass(now: number): void {
    for (const [key, tally] of this.#tallies) {
      if (now < tally.until) continue
      if (tally.count === 0) {
        this.#tallies.delete(key)
        continue
      }
      this.#tell(tally.event, tally.count, auditLimits.window)
      tally.count = 0
      tally.until = now + auditLimits.window
    }
  }

  /** Tells what is counted and not told yet, at the end. */
  finish(): void {
    for (const { event, count } of this.#tallies.values()) {
      if (count > 0) this.#tell(event, count, auditLimits.window)
    }
    this.#tallies.clear()
  }
}

const cut = (text: string): string =>
  text.length <= auditLimits.text ? text : `${text.slice(0, auditLimits.text)}…`

const cutValue = (value: AuditValue): AuditValue => {
  if (typeof value === "string") return cut(value)
  if (typeof value !== "object" || value === null) return value
  return value.slice(0, auditLimits.items).map(cut)
}

/** An event as it is told: short, with what is not known left out. */
export interface AuditFields {
  /** UTC, as ISO 8601 has it. */
  readonly time: string
  readonly node: string
  readonly event: AuditEventName
  readonly by?: string
  readonly from?: string
  readonly about?: string
  readonly code?: string
  readonly message?: string
  readonly count?: number
  readonly withinMs?: number
  readonly more?: Readonly<Record<string, AuditValue>>
}

export const auditFields = (
  { about, by, code, event, from, message, more }: AuditEvent,
  node: string,
  /** Wall clock, ms. */
  at: number,
  count: number,
  since: number | undefined
): AuditFields => {
  const fields = Object.entries({ by, from, about, code, message }).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, cut(value)] as const]
  )
  const rest = Object.entries(more ?? {}).slice(0, auditLimits.items)
  return {
    time: new Date(at).toISOString(),
    node,
    event,
    ...Object.fromEntries(fields),
    ...(count === 1 && since === undefined ? {} : { count }),
    ...(since === undefined ? {} : { withinMs: since }),
    ...(rest.length === 0
      ? {}
      : { more: Object.fromEntries(rest.map(([name, value]) => [cut(name), cutValue(value)])) })
  }
}

/**
 * One line of JSON, ended. What others wrote stands in strings, where nothing ends a line: control
 * characters and what some readers take for the end of one are escaped.
 */
export const auditLine = (fields: AuditFields): string => {
  const line = JSON.stringify(fields)
  const escaped = line.replace(
    /[\u007f-\u009f\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`
  )
  return `${escaped}\n`
}
