/** A length of time in a config, with what it is when nobody says. */
import { Schema } from "effect"
import { type DurationText, timeLimit } from "../schema/Duration.ts"

const Time = timeLimit("10ms")
export const time = (text: DurationText) =>
  Schema.optionalWith(Time, { default: () => Schema.decodeSync(Time)(text) })
