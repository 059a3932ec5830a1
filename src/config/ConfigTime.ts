/** A length of time in a config, with what it is when nobody says. */
import { Schema } from "effect"
import { type DurationText, timeLimit } from "../schema/Duration.ts"

const Time = timeLimit("10ms")
/** Of ports for anything: until a client that says nothing is taken for one that waits. */
export const detectTime = timeLimit("1ms", "10s").pipe(
  Schema.filter((ms) => Number.isInteger(ms), {
    message: () => "is not of whole milliseconds",
    jsonSchema: {}
  })
)
/** The same where nobody says, ms. */
export const usualDetect = 1_000

export const time = (text: DurationText) =>
  Schema.optionalWith(Time, { default: () => Schema.decodeSync(Time)(text) })
