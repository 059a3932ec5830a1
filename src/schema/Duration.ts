/** Lengths of time as people write them: `500ms`, `2s`, `1.5m`, `24h`. Milliseconds once decoded. */
import { ParseResult, Schema } from "effect"
import { quote } from "./ExplainIssue.ts"

/** A duration as it is written; the compiler refuses `"5"`, `"1,5s"` and `"2sec"`. */
export type DurationText = `${number}ms` | `${number}s` | `${number}m` | `${number}h` | `${number}d`

const unit: Record<string, number> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }
const pattern = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/
const century = 36_525 * unit["d"]!

/** What the pattern accepts is what the type says, signs and exponents apart. */
const Text = Schema.make<DurationText>(
  Schema.String.pipe(
    Schema.pattern(pattern, {
      identifier: "Duration",
      description: "a duration, like 500ms or 2s",
      message: ({ actual }) =>
        `${quote(actual)} is not a duration; write a number and ms, s, m, h or d, like 500ms or 2s`
    })
  ).ast
)

/** As it would be written: `2s`, `1500.5ms`. */
export const formatMillis = (ms: number): DurationText =>
  ms % 1_000 === 0 ? `${ms / 1_000}s` : `${ms}ms`

/** Milliseconds, to the thousandth, written as a duration. */
export const Millis = Schema.transformOrFail(Text, Schema.Number, {
  strict: true,
  decode: (text, _, ast) => {
    const [, digits, letters = ""] = pattern.exec(text) ?? []
    // Thousandths: 1.1s is 1100 ms, whatever binary fractions make of it.
    const ms = Math.round(Number(digits) * (unit[letters] ?? Number.NaN) * 1_000) / 1_000
    return ms <= century
      ? ParseResult.succeed(ms)
      : ParseResult.fail(new ParseResult.Type(ast, text, `${quote(text)} is longer than a century`))
  },
  encode: (ms) => ParseResult.succeed(formatMillis(ms))
})

const decode = Schema.decodeSync(Millis)

/**
 * A time that a timer keeps, from `least` to `most`. Nothing is timed for longer than 24 days: the
 * runtime's timers count in 31 bits of milliseconds; set for longer they fire at once, or never.
 */
export const timeLimit = (least: DurationText = "1ms", most: DurationText = "24d") => {
  const [from, to] = [decode(least), decode(most)]
  return Millis.pipe(
    Schema.filter((ms) => ms >= from, {
      message: ({ actual }) => `${String(actual)} is too short; the least is ${least}`,
      jsonSchema: {}
    }),
    Schema.filter((ms) => ms <= to, {
      message: ({ actual }) => `${String(actual)} is too long; the most is ${most}`,
      jsonSchema: {}
    })
  )
}
