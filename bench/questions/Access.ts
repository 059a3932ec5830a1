/** What does it cost to decide whether a call may pass? */
import { join } from "node:path"
import { Schema } from "effect"
import { runWell } from "../../test/fixtures/Processes.ts"
import { isVariant, variants } from "../access/AccessVariants.ts"
import { casesOf, type Question } from "../Question.ts"
import { figures } from "../Result.ts"

const program = join(import.meta.dirname, "..", "access", "AccessProgram.ts")

const decode = Schema.decodeSync(
  Schema.parseJson(Schema.Struct({ nanoseconds: Schema.Positive, scan: Schema.Positive }))
)

const cases = Object.keys(variants)
  .filter(isVariant)
  .map((name) => ({ name }))

export const access: Question = {
  name: "access",
  asks: "What does it cost to decide whether a call may pass, in nanoseconds?",
  needs: [],
  reference: "linear scan",
  cases: cases.map(({ name }) => name),
  defaults: { rounds: 5, seconds: 1 },
  measures: [{ key: "ns", label: "ns/decision", digits: 0, better: "lower", judged: 0.1 }],
  answer: async ({ options, say }) => {
    const wanted = casesOf(cases, options.cases)
    const rows = wanted.map(({ name }) => ({
      own: { case: name, peer: "skein", rounds: { ns: figures() }, errors: 0 },
      scan: { case: name, peer: "linear scan", rounds: { ns: figures() }, errors: 0 }
    }))
    for (let round = 1; round <= options.rounds; round++) {
      for (const { own, scan } of rows) {
        say(`${own.case}: round ${round} of ${options.rounds}`)
        const args = [program, own.case, String(options.seconds)]
        const { stdout } = await runWell(process.execPath, args, { what: `access ${own.case}` })
        const found = decode(stdout)
        own.rounds.ns.push(found.nanoseconds)
        scan.rounds.ns.push(found.scan)
      }
    }
    return {
      method: `the rules of one service alone, asked by callers in turn, ${options.rounds} rounds of ${options.seconds} s in processes of their own, by processor time; the linear scan goes through all rules as they stand`,
      rows: rows.flatMap(({ own, scan }) => [own, scan]),
      absent: []
    }
  }
}
