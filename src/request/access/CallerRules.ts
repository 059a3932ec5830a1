/** The rules about one service that a caller may meet, and what they say of its calls. */
import type { Call } from "../../model/Exchange.ts"
import type { PathReading, PathTrouble } from "../../model/PathReading.ts"
import type { AccessVerdict } from "./AccessVerdict.ts"
import type { CompiledRule } from "./CompiledRule.ts"
import { type Misled, misleadingField } from "./MisleadingFields.ts"
import { PathTree } from "./PathTree.ts"

export interface Otherwise {
  /** No rule meets the call. */
  readonly unmatched: AccessVerdict
  /** Programs may read its path differently. */
  readonly ambiguous: (trouble: PathTrouble) => AccessVerdict
  /** It has a field by which programs may take it for another request. */
  readonly misleading: (name: string, about: Misled) => AccessVerdict
}

/** Allow rules, or deny rules, in order. */
class RuleList {
  readonly #all: ReadonlyArray<CompiledRule>
  /** Of any path. */
  readonly #plain: ReadonlyArray<CompiledRule>
  readonly #tunnels: ReadonlyArray<CompiledRule>
  readonly #tree: PathTree | undefined

  constructor(all: ReadonlyArray<CompiledRule>, wide: boolean) {
    this.#all = all
    this.#plain = all.filter(({ paths }) => paths === undefined)
    // Whatever a deny rule is about may be done in a tunnel, where nobody sees it.
    this.#tunnels = wide ? all : all.filter(({ opensTunnels }) => opensTunnels)
    this.#tree = this.isAboutPaths ? new PathTree(wide) : undefined
    for (const rule of all) for (const path of rule.paths ?? []) this.#tree?.add(rule, path)
  }

  get isAboutPaths(): boolean {
    return this.#plain.length < this.#all.length
  }

  ofTunnel(port: number): CompiledRule | undefined {
    for (const rule of this.#tunnels) if (rule.meetsPort(port)) return rule
    return undefined
  }

  ofAnyPath(head: NonNullable<Call["head"]>, port: number): CompiledRule | undefined {
    for (const rule of this.#plain) if (rule.meets(head, port)) return rule
    return undefined
  }

  ofPath(
    head: NonNullable<Call["head"]>,
    port: number,
    text: string,
    end: number
  ): CompiledRule | undefined {
    return end === 0 ? undefined : this.#tree?.find(text, end, head, port)
  }
}

export class CallerRules {
  readonly #allow: RuleList
  readonly #deny: RuleList
  readonly #otherwise: Otherwise
  readonly #reading: PathReading
  readonly #isAbout: Readonly<Record<Misled, boolean>>

  constructor(
    rules: {
      readonly allow: ReadonlyArray<CompiledRule>
      readonly deny: ReadonlyArray<CompiledRule>
    },
    otherwise: Otherwise,
    reading: PathReading
  ) {
    this.#allow = new RuleList(rules.allow, false)
    this.#deny = new RuleList(rules.deny, true)
    this.#otherwise = otherwise
    this.#reading = reading
    this.#isAbout = {
      paths: this.#allow.isAboutPaths || this.#deny.isAboutPaths,
      methods: [...rules.allow, ...rules.deny].some(({ isAboutMethods }) => isAboutMethods)
    }
  }

  /** `port`: where the program listens; 0: nobody knows. */
  decide({ head }: Call, port: number): AccessVerdict {
    if (head === undefined) {
      const rule = this.#deny.ofTunnel(port) ?? this.#allow.ofTunnel(port)
      return rule?.verdict ?? this.#otherwise.unmatched
    }
    let denied = this.#deny.ofAnyPath(head, port)
    const reading = this.#reading
    const misled = misleadingField(head.fields, this.#isAbout)
    if (misled !== undefined) return denied?.verdict ?? this.#otherwise.misleading(...misled)
    if (this.#isAbout.paths) {
      reading.read(head.target)
      if (reading.trouble !== undefined) {
        return denied?.verdict ?? this.#otherwise.ambiguous(reading.trouble)
      }
      denied = first(denied, this.#deniedByPath(head, port))
    }
    if (denied !== undefined) return denied.verdict
    let allowed = this.#allow.ofAnyPath(head, port)
    if (this.#isAbout.paths) {
      allowed = first(allowed, this.#allow.ofPath(head, port, reading.text, reading.end))
    }
    return allowed?.verdict ?? this.#otherwise.unmatched
  }

  #deniedByPath(head: NonNullable<Call["head"]>, port: number): CompiledRule | undefined {
    const { end, text } = this.#reading
    // Capitals beyond ASCII are in what was decoded alone.
    if (text === head.target) return this.#deny.ofPath(head, port, text, end)
    const small = text.toLowerCase()
    return this.#deny.ofPath(head, port, small, small.length)
  }
}

const first = (
  one: CompiledRule | undefined,
  other: CompiledRule | undefined
): CompiledRule | undefined => {
  if (one === undefined || other === undefined) return one ?? other
  return one.order < other.order ? one : other
}
