/** A range of inputs, each made from the run's seed and its own number, judged one after another. */
import { requestTarget, responseTargets, type Target } from "./Differential.ts"
import { linkTargets } from "./LinkTarget.ts"
import { minimise } from "./Minimise.ts"
import { Random } from "./Random.ts"

const response = (method: string): Target => {
  const found = responseTargets.find(({ name }) => name === `responses to ${method}`)
  if (found === undefined) throw new Error(`no target for responses to ${method}`)
  return found
}

/** Input `n` goes to target `n mod length`: the shares of the whole. */
const rota: ReadonlyArray<Target> = [
  requestTarget,
  response("GET"),
  requestTarget,
  linkTargets.serving,
  requestTarget,
  response("HEAD"),
  requestTarget,
  linkTargets.calling,
  requestTarget,
  response("GET"),
  requestTarget,
  response("CONNECT"),
  requestTarget,
  linkTargets.payloads,
  requestTarget,
  response("POST")
]

export const targets: ReadonlyMap<string, Target> = new Map(
  rota.map((target) => [target.name, target])
)

export interface Finding {
  readonly target: string
  readonly seed: number
  readonly index: number
  readonly violation: string
  /** Minimised, as latin-1 text. */
  readonly bytes: string
}

export interface Tally {
  inputs: number
  readonly outcomes: Record<string, number>
  readonly stricter: Record<string, number>
  readonly findings: Array<Finding>
}

export const emptyTally = (): Tally => ({ inputs: 0, outcomes: {}, stricter: {}, findings: [] })

const add = (counts: Record<string, number>, key: string, by = 1): void => {
  counts[key] = (counts[key] ?? 0) + by
}

export const mergeTally = (into: Tally, from: Tally): void => {
  into.inputs += from.inputs
  for (const [key, count] of Object.entries(from.outcomes)) add(into.outcomes, key, count)
  for (const [key, count] of Object.entries(from.stricter)) add(into.stricter, key, count)
  into.findings.push(...from.findings)
}

/** What `judge` throws is a finding too: a reader or a link must never throw. */
const violationOf = (target: Target, bytes: Buffer): string | undefined => {
  try {
    return target.judge(bytes).violation
  } catch (error) {
    return `threw ${error instanceof Error ? error.stack : String(error)}`
  }
}

/** Of a violation's text: what does not depend on the bytes, so that minimising keeps the finding. */
const kindOf = (violation: string): string => violation.replace(/[:({"].*$/s, "")

/** Inputs `from` to before `to`. Stops early at `maxFindings`. */
export const fuzz = (seed: number, from: number, to: number, maxFindings = 20): Tally => {
  const tally = emptyTally()
  for (let index = from; index < to && tally.findings.length < maxFindings; index++) {
    const target = rota[index % rota.length]!
    const bytes = target.make(Random.of(seed, index))
    tally.inputs++
    let found: string | undefined
    try {
      const { outcome, rule, violation } = target.judge(bytes)
      add(tally.outcomes, `${target.name}: ${outcome}`)
      if (rule !== undefined) add(tally.stricter, rule)
      found = violation
    } catch (error) {
      found = `threw ${error instanceof Error ? error.stack : String(error)}`
    }
    if (found === undefined) continue
    const kind = kindOf(found)
    const least = minimise(bytes, (candidate) => {
      const shown = violationOf(target, candidate)
      return shown !== undefined && kindOf(shown) === kind
    })
    tally.findings.push({
      target: target.name,
      seed,
      index,
      violation: violationOf(target, least) ?? found,
      bytes: least.toString("latin1")
    })
  }
  return tally
}
