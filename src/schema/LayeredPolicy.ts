/**
 * One policy of what several say of a service, field by field: who is nearer to the call is stronger. The
 * caller's own config goes before what holds in the mesh, that before what the service's own node says, and
 * each before the defaults. Pure.
 */
import { isDeepStrictEqual } from "node:util"
import { Either, Schema } from "effect"
import type { ProblemPath } from "../model/Problem.ts"
import { explainInLine } from "./ExplainIssue.ts"
import { defaultPolicy, Policy, type PolicyInput } from "./PolicySchema.ts"

/** From the strongest on. */
export const policySources = ["config", "mesh", "owner", "default"] as const
export type PolicySource = (typeof policySources)[number]

export interface PolicyLayer {
  readonly source: PolicySource
  /** Who says it: a file, a person and a node. */
  readonly by: string
  readonly written: PolicyInput
}

/** A part that a layer says and that does not hold: with what is stronger it makes no policy. */
export interface LeftOutPart {
  readonly layer: PolicyLayer
  readonly part: PolicyPart
  readonly reason: string
}

export interface LayeredPolicy {
  readonly policy: Policy
  /** As if one had written it, without the defaults. */
  readonly written: PolicyInput
  /** What each layer contributed, strongest first. */
  readonly layers: ReadonlyArray<PolicyLayer>
  readonly leftOut: ReadonlyArray<LeftOutPart>
}

// In this order: retries may go by the timeouts.
const parts = ["timeout", "retry", "breaker", "ejection", "balance"] as const
export type PolicyPart = (typeof parts)[number]

type Mapping = Readonly<Record<string, unknown>>

const isMapping = (value: unknown): value is Mapping =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** Two of one kind are one; of another kind the stronger stands alone, and so does what is no mapping. */
const under = (strong: unknown, weak: unknown): unknown => {
  if (strong === undefined) return weak
  if (!isMapping(strong) || !isMapping(weak)) return strong
  if (strong["kind"] !== weak["kind"]) return strong
  const merged: Record<string, unknown> = { ...weak }
  for (const [key, value] of Object.entries(strong)) {
    if (value !== undefined) merged[key] = under(value, weak[key])
  }
  return merged
}

const decode = Schema.decodeUnknownEither(Policy)
const encode = Schema.encodeSync(Policy)

/** Without what is no part of a policy here. */
const partsOf = (written: PolicyInput): PolicyInput =>
  Object.fromEntries(
    parts.flatMap((part) => (written[part] === undefined ? [] : [[part, written[part]]]))
  )

/**
 * Strongest first; some of them are not there. What is read from other nodes may be of a newer version: parts that
 * cannot be read here are left out, too. The strongest layer, of this host's config, is right by itself.
 */
export const layerPolicies = (layers: ReadonlyArray<PolicyLayer>): LayeredPolicy => {
  const held = layers.map((layer) => ({ ...layer, written: partsOf(layer.written) }))
  // What decodes is of the encoded side.
  const written = held.reduce<PolicyInput>(
    (strong, layer) => under(strong, layer.written) as PolicyInput,
    {}
  )
  const decoded = decode(written)
  return Either.isRight(decoded)
    ? { policy: decoded.right, written, layers: held, leftOut: [] }
    : layerByParts(layers)
}

/** Not all of it goes together: what does, part by part. */
const layerByParts = (layers: ReadonlyArray<PolicyLayer>): LayeredPolicy => {
  let written: PolicyInput = {}
  let policy = defaultPolicy
  const leftOut: Array<LeftOutPart> = []
  const held: Array<PolicyLayer> = []
  for (const layer of layers) {
    let kept: PolicyInput = {}
    for (const part of parts) {
      const said = layer.written[part]
      if (said === undefined) continue
      const next = { ...written, [part]: under(written[part], said) }
      const decoded = decode(next)
      if (Either.isLeft(decoded)) {
        leftOut.push({ layer, part, reason: explainInLine(decoded.left.issue) })
        continue
      }
      written = next as PolicyInput
      policy = decoded.right
      kept = { ...kept, [part]: said }
    }
    held.push({ ...layer, written: kept })
  }
  return { policy, written, layers: held, leftOut }
}

/** One value of the policy in force, and whose it is. */
export interface PolicyValue {
  readonly path: ProblemPath
  /** As it is written; undefined: there is no limit. */
  readonly value: unknown
  readonly source: PolicySource
  readonly by: string
}

/** Limits that are absent by default, and shown all the same. */
const absent: ReadonlyArray<ProblemPath> = [
  ["timeout", "request"],
  ["timeout", "perTry"]
]

const at = (value: unknown, path: ProblemPath): unknown =>
  path.reduce<unknown>((inner, key) => (isMapping(inner) ? inner[String(key)] : undefined), value)

const leaves = (value: unknown, path: ReadonlyArray<string> = []): ReadonlyArray<ProblemPath> =>
  isMapping(value)
    ? Object.entries(value).flatMap(([key, inner]) => leaves(inner, [...path, key]))
    : [path]

/** Every value that holds, in the order of the Schema, and where it comes from. */
export const explainPolicy = ({
  layers,
  policy,
  written
}: LayeredPolicy): ReadonlyArray<PolicyValue> => {
  const whole = encode(policy)
  const paths = [...absent.filter((path) => at(whole, path) === undefined), ...leaves(whole)]
  const inOrder = paths.toSorted((a, b) => rank(a) - rank(b))
  return inOrder.map((path) => {
    const value = at(whole, path)
    const said = at(written, path)
    const layer =
      said === undefined
        ? undefined
        : layers.find((one) => isDeepStrictEqual(at(one.written, path), said))
    return { path, value, source: layer?.source ?? "default", by: layer?.by ?? "" }
  })
}

const order: ReadonlyArray<unknown> = parts
const rank = ([part]: ProblemPath): number => order.indexOf(part)
