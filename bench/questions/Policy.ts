/** What does each policy cost a request that goes well? */
import { join } from "node:path"
import { Schema } from "effect"
import { runWell } from "../../test/fixtures/Processes.ts"
import { isVariant, variants } from "../policy/PolicyVariants.ts"
import { casesOf, type Question } from "../Question.ts"
import { figures } from "../Result.ts"

const program = join(import.meta.dirname, "..", "policy", "PolicyProgram.ts")

const decode = Schema.decodeSync(
  Schema.parseJson(Schema.Struct({ nanoseconds: Schema.Positive, machine: Schema.Positive }))
)

const measure = async (variant: string, seconds: number) => {
  const args = [program, variant, String(seconds)]
  const { stdout } = await runWell(process.execPath, args, { what: `policy ${variant}` })
  return decode(stdout)
}

const cases = Object.keys(variants)
  .filter(isVariant)
  .map((name) => ({ name }))

export const policy: Question = {
  name: "policy",
  asks: "What does each policy cost a request that goes well, in nanoseconds?",
  needs: [],
  reference: "yardstick",
  cases: cases.map(({ name }) => name),
  defaults: { rounds: 7, seconds: 1 },
  measures: [
    { key: "ns", label: "ns/request", digits: 0, better: "lower", judged: 0.05 },
    { key: "added", label: "ns over none", digits: 0, better: "lower", judged: false }
  ],
  answer: async ({ options, say }) => {
    const wanted = casesOf(cases, options.cases)
    const rows = wanted.map(({ name }) => ({
      own: { case: name, peer: "skein", rounds: { ns: figures(), added: figures() }, errors: 0 },
      machine: { case: name, peer: "yardstick", rounds: { ns: figures() }, errors: 0 }
    }))
    for (let round = 1; round <= options.rounds; round++) {
      const { nanoseconds: none } = await measure("none", options.seconds)
      for (const { own, machine } of rows) {
        say(`${own.case}: round ${round} of ${options.rounds}`)
        const found = await measure(own.case, options.seconds)
        own.rounds.ns.push(found.nanoseconds)
        own.rounds.added.push(found.nanoseconds - none)
        machine.rounds.ns.push(found.machine)
      }
    }
    return {
      method: `the outbound stack alone, three endpoints that answer at once, ${options.rounds} rounds of ${options.seconds} s in processes of their own; the yardstick is a JSON round trip`,
      rows: rows.flatMap(({ own, machine }) => [own, machine]),
      absent: []
    }
  }
}
