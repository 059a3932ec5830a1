/**
 * The short run of the fuzzer: a fixed seed, so that a change shows at once what it broke, and a
 * random one, so that the tests look further every time. `npm run fuzz` is the long run.
 */
import { describe, expect, it } from "vitest"
import { type Finding, fuzz, targets } from "./FuzzRun.ts"
import { regressions } from "./regressions.ts"

const inputs = 25_000
const randomSeed = Math.floor(Math.random() * 2 ** 32)

const shown = (finding: Finding): string =>
  `${finding.target}: ${finding.violation}; minimised: ${JSON.stringify(finding.bytes)}; repeat: npm run fuzz -- --seed ${finding.seed} --only ${finding.index}`

describe("fuzzing", () => {
  it.each([
    ["fixed", 20_241_123],
    ["random", randomSeed]
  ])(
    "%s seed %i",
    (_name, seed) => {
      const tally = fuzz(seed, 0, inputs)
      expect(tally.findings.map(shown)).toEqual([])
      expect(tally.inputs).toBe(inputs)
      // The generator must reach every outcome of every target, or the comparison says nothing.
      for (const target of targets.keys()) {
        for (const outcome of ["alike", "both_refuse"]) {
          const count = tally.outcomes[`${target}: ${outcome}`] ?? 0
          expect(count, `${target}: ${outcome}`).toBeGreaterThan(30)
        }
      }
      expect(tally.outcomes["requests: only_we_refuse"]).toBeGreaterThan(inputs / 100)
    },
    60_000
  )

  it.each(regressions)("once found: $what", ({ target, bytes }) => {
    const judged = targets.get(target)?.judge(Buffer.from(bytes, "latin1"))
    expect(judged?.violation).toBeUndefined()
    expect(judged?.outcome).toBeDefined()
  })
})
