/**
 * What a proxy does that goes through a list of rules until one meets: written with care, and for what
 * the variants ask of it (callers, methods, paths). Deny rules first, then allow rules.
 */
import type { AccessRule, AccessSetting } from "../../src/model/Access.ts"
import type { Caller } from "../../src/model/Caller.ts"
import { meetsCaller } from "../../src/model/CallerPattern.ts"
import type { RequestHead } from "../../src/model/Exchange.ts"
import type { PathPattern } from "../../src/model/PathPattern.ts"
import { PathReading } from "../../src/model/PathReading.ts"

export class LinearScan {
  readonly #deny: ReadonlyArray<AccessRule>
  readonly #allow: ReadonlyArray<AccessRule>
  readonly #reading = new PathReading()

  constructor(settings: ReadonlyArray<AccessSetting>) {
    this.#deny = settings.flatMap(({ deny }) => deny)
    this.#allow = settings.flatMap(({ allow }) => allow)
  }

  allows(caller: Caller, head: RequestHead): boolean {
    this.#reading.read(head.target)
    const { end, text, trouble } = this.#reading
    if (trouble !== undefined) return false
    const path = text.slice(1, end).split("/")
    for (const rule of this.#deny) if (meets(rule, caller, head.method, path, true)) return false
    for (const rule of this.#allow) if (meets(rule, caller, head.method, path, false)) return true
    return this.#deny.length + this.#allow.length === 0
  }
}

const meets = (
  { from, methods, path: patterns }: AccessRule,
  caller: Caller,
  method: string,
  path: ReadonlyArray<string>,
  wide: boolean
): boolean => {
  if (!from.some((one) => meetsCaller(one, caller))) return false
  if (methods?.includes(method) === false) return false
  return patterns?.some((one) => meetsPath(one, path, wide)) ?? true
}

/** Of what is wide, no more than the variants have: what lies under a path is with the path itself. */
const meetsPath = (
  { open, segments }: PathPattern,
  path: ReadonlyArray<string>,
  wide: boolean
): boolean => {
  const least = segments.length + (open && !wide ? 1 : 0)
  if (open ? path.length < least : path.length !== least) return false
  for (let i = 0; i < segments.length; i++) {
    const segment = segments[i]
    if (segment === null ? path[i] === "" : segment !== path[i]) return false
  }
  return true
}
