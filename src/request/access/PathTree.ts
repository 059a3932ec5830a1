/**
 * Rules by their paths, segment by segment: a path is walked once, whatever the number of rules. A
 * node stands for the beginning of some patterns, so each is come to at most once, and nothing is
 * made on the way.
 *
 * Deny rules are wide: capitals are small letters, a slash at the end is none, and `/admin` is under
 * `/admin/*`, since routers of programs differ in all of it.
 */
import type { RequestHead } from "../../model/Exchange.ts"
import { folded } from "../../model/FoldedText.ts"
import type { PathPattern } from "../../model/PathPattern.ts"
import type { CompiledRule } from "./CompiledRule.ts"

interface PathNode {
  readonly segment: string
  /** By hash of the segment; of one hash, one after the other. */
  readonly children: Map<number, PathNode>
  next: PathNode | undefined
  /** Any one segment. */
  any: PathNode | undefined
  /** Rules of paths that end here, and of all that lie under it; in order. */
  readonly here: Array<CompiledRule>
  readonly under: Array<CompiledRule>
}

const makeNode = (segment: string): PathNode => ({
  segment,
  children: new Map(),
  next: undefined,
  any: undefined,
  here: [],
  under: []
})

const slash = 0x2f

export class PathTree {
  readonly #root = makeNode("")
  readonly #wide: boolean
  /** Of the search that runs. */
  #text = ""
  #end = 0
  #head: RequestHead | undefined
  #port = 0
  #best: CompiledRule | undefined

  constructor(wide: boolean) {
    this.#wide = wide
  }

  /** In the order of the rules. */
  add(rule: CompiledRule, { open, segments }: PathPattern): void {
    const names = this.#wide && !open && segments.at(-1) === "" ? segments.slice(0, -1) : segments
    let node = this.#root
    for (const name of names) node = name === null ? this.#anyOf(node) : this.#childOf(node, name)
    put(open ? node.under : node.here, rule)
    if (open && this.#wide) put(node.here, rule)
  }

  /** The first rule that meets a request with this path: `text` up to `end`, which begins with a slash. */
  find(text: string, end: number, head: RequestHead, port: number): CompiledRule | undefined {
    this.#text = text
    this.#end = end
    this.#head = head
    this.#port = port
    this.#best = undefined
    this.#walk(this.#root, 1)
    this.#head = undefined
    return this.#best
  }

  #walk(node: PathNode, start: number): void {
    const text = this.#text
    const end = this.#end
    this.#take(node.under)
    let hash = hashSeed
    let at = start
    for (; at < end; at++) {
      const code = text.charCodeAt(at)
      if (code === slash) break
      hash = hashed(hash, this.#wide ? folded(code) : code)
    }
    // A slash at the end.
    if (this.#wide && start === end) this.#take(node.here)
    let child = node.children.get(hash)
    while (child !== undefined && !this.#isSegment(child.segment, start, at)) child = child.next
    if (child !== undefined) this.#step(child, at)
    if (node.any !== undefined && at > start) this.#step(node.any, at)
  }

  #step(node: PathNode, at: number): void {
    if (at === this.#end) this.#take(node.here)
    else this.#walk(node, at + 1)
  }

  #isSegment(segment: string, from: number, to: number): boolean {
    if (segment.length !== to - from) return false
    for (let i = 0; i < segment.length; i++) {
      const code = this.#text.charCodeAt(from + i)
      if (segment.charCodeAt(i) !== (this.#wide ? folded(code) : code)) return false
    }
    return true
  }

  #take(rules: ReadonlyArray<CompiledRule>): void {
    for (const rule of rules) {
      if (this.#best !== undefined && rule.order >= this.#best.order) return
      if (this.#head === undefined || !rule.meets(this.#head, this.#port)) continue
      this.#best = rule
      return
    }
  }

  #anyOf(node: PathNode): PathNode {
    node.any ??= makeNode("")
    return node.any
  }

  #childOf(node: PathNode, name: string): PathNode {
    const segment = this.#wide ? name.toLowerCase() : name
    let hash = hashSeed
    for (let i = 0; i < segment.length; i++) hash = hashed(hash, segment.charCodeAt(i))
    const first = node.children.get(hash)
    for (let known = first; known !== undefined; known = known.next) {
      if (known.segment === segment) return known
    }
    const made = makeNode(segment)
    made.next = first
    node.children.set(hash, made)
    return made
  }
}

const hashSeed = 5_381

const hashed = (hash: number, code: number): number => (Math.imul(hash, 33) ^ code) | 0

/** Two paths of one rule may end in one place. */
const put = (rules: Array<CompiledRule>, rule: CompiledRule): void => {
  if (rules.at(-1) !== rule) rules.push(rule)
}
