/**
 * One Schema, one answer: whatever is said of a policy in TypeScript is said of it in YAML, in JSON,
 * in a TypeScript config and in a program's config, word for word, and so is what is taken.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, Either } from "effect"
import fc from "fast-check"
import { afterAll, describe, expect, it } from "vitest"
import { stringify } from "yaml"
import { loadConfig } from "../../src/config/ConfigFile.ts"
import { decodeNodeConfig, type NodeConfig } from "../../src/config/NodeConfig.ts"
import { ServiceName } from "../../src/model/Names.ts"
import type { Policy } from "../../src/model/Policy.ts"
import { formatPath, type Problem } from "../../src/model/Problem.ts"
import { decodePolicy } from "../../src/schema/PolicySchema.ts"

const payments = ServiceName.make("payments")
const directory = mkdtempSync(join(tmpdir(), "skein-verdicts-"))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

/** The policy, or what is said of it. */
type Verdict = Policy | ReadonlyArray<string>

const said = (problems: ReadonlyArray<Problem>, within: number): ReadonlyArray<string> =>
  problems
    .map(({ path, message }) => `${formatPath(["policy", ...path.slice(within)])}: ${message}`)
    .toSorted()

const ofConfig = (config: Either.Either<NodeConfig, ReadonlyArray<Problem>>): Verdict =>
  Either.match(config, {
    onLeft: (problems) => said(problems, 2),
    onRight: ({ policies }) => policies[payments] ?? []
  })

const inTypeScript = (input: unknown): Verdict =>
  Either.match(decodePolicy(input), {
    onLeft: ({ problems }) => said(problems, 0),
    onRight: (policy) => policy
  })

const inProgram = (input: unknown): Verdict =>
  ofConfig(decodeNodeConfig({ policies: { [payments]: input } }))

let files = 0
const inFile = async (kind: string, text: string): Promise<Verdict> => {
  const file = join(directory, `${files++}.${kind}`)
  writeFileSync(file, text)
  const loaded = await Effect.runPromise(Effect.either(loadConfig(file)))
  return ofConfig(Either.mapLeft(loaded, ({ problems }) => problems))
}

const agree = async (input: unknown): Promise<Verdict> => {
  const verdict = inTypeScript(input)
  const config = { policies: { [payments]: input } }
  expect(inProgram(input)).toEqual(verdict)
  expect(await inFile("yaml", stringify(config))).toEqual(verdict)
  expect(await inFile("json", JSON.stringify(config))).toEqual(verdict)
  expect(await inFile("mjs", `export default ${JSON.stringify(config)}`)).toEqual(verdict)
  return verdict
}

/** Now and then a wrong one; and right ones may not go together. */
const mostly = (right: ReadonlyArray<unknown>, wrong: ReadonlyArray<unknown>) =>
  fc.oneof(
    { weight: 30, arbitrary: fc.constantFrom(...right) },
    { weight: 1, arbitrary: fc.constantFrom(...wrong) }
  )
const duration = mostly(["50ms", "1s", "2s", "300s"], ["0s", "soon", 5, null])
const long = mostly(["10m", "1h"], ["25d"])
const number = mostly([1, 2, 10], [0, 0.1, 1e9, -1, "5"])
const words = (right: ReadonlyArray<unknown>, wrong: ReadonlyArray<unknown>) =>
  fc.array(mostly(right, wrong), { minLength: 1, maxLength: 2 })
const some = (shape: Record<string, fc.Arbitrary<unknown>>) =>
  fc.record(shape, { requiredKeys: [] })
const offOr = (value: fc.Arbitrary<unknown>) =>
  fc.oneof({ weight: 8, arbitrary: value }, mostly(["off"], ["on", false]))
const range = some({ base: duration, max: long })
const policies = fc.oneof(
  {
    weight: 20,
    arbitrary: some({
      timeout: some({ connect: duration, request: long, perTry: duration, tcpIdle: duration }),
      retry: offOr(
        some({
          attempts: number,
          on: words(["5xx", "reset", "connect_failure"], ["timeout", "gateway_error", "5XX"]),
          methods: words(["GET", "POST", "PUT"], ["*", "get"]),
          budget: some({ ratio: number, minPerSecond: number, window: duration }),
          backoff: range
        })
      ),
      breaker: offOr(some({ consecutiveFailures: number, open: range })),
      ejection: offOr(some({ base: duration, max: long, maxPercent: number })),
      balance: fc.record({ kind: mostly(["p2c_ewma"], ["round_robin", "p2c"]), decay: duration })
    })
  },
  fc.constantFrom<unknown>({ retires: {} }, { breaker: { opne: {} } }, [], "off", 7)
)

describe("a policy's verdict is the same everywhere", () => {
  it("for whatever is written", async () => {
    let taken = 0
    let refused = 0
    await fc.assert(
      fc.asyncProperty(policies, async (input) => {
        if (Array.isArray(await agree(input))) refused++
        else taken++
      }),
      { numRuns: 150, seed: 11 }
    )
    // It says little when nearly all of it falls on one side.
    expect(Math.min(taken, refused)).toBeGreaterThan(30)
  })

  it.each<unknown>([
    {},
    { timeout: { perTry: "2s", request: "1s" } },
    { retry: { on: ["timeout"] } },
    { retry: { methods: [] } },
    { timeout: { request: "0s" } },
    { ejection: { base: "2s", max: "1s" } },
    { retires: {} },
    [],
    "off"
  ])("for %j", async (input) => {
    await agree(input)
  })
})
