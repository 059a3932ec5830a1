/** Lengths of time as people write them in config: `500ms`, `2s`, `1.5m`, `24h`. */
import { ParseResult, Schema } from "effect"

const unit: Record<string, number> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }
const pattern = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/

const DurationText = Schema.String.pipe(
  Schema.pattern(pattern, {
    identifier: "DurationText",
    message: (issue) =>
      `${JSON.stringify(issue.actual)} is not a duration; write a number and ms, s, m, h or d, like 500ms or 2s`
  })
)

/** Milliseconds, written as a duration. */
export const Millis = Schema.transformOrFail(DurationText, Schema.Number, {
  strict: true,
  decode: (text) => {
    const match = pattern.exec(text)
    return match === null
      ? ParseResult.fail(new ParseResult.Type(DurationText.ast, text))
      : ParseResult.succeed(Number(match[1]) * unit[match[2]!]!)
  },
  encode: (ms) => ParseResult.succeed(ms % 1_000 === 0 ? `${ms / 1_000}s` : `${ms}ms`)
}).annotations({ identifier: "Duration" })
