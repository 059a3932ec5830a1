/**
 * What a program of gRPC says about another attempt in its trailers (gRFC A6, "Pushback"): when there
 * may be one, or that there is to be none.
 */
import type { Fields } from "../../model/Exchange.ts"

/** Milliseconds until the next attempt; `never`: there is to be none. */
export type Pushback = number | "never"

const field = "grpc-retry-pushback-ms"

/** A number below 0, and whatever is none, asks for no further attempt. Undefined: nothing is said. */
export const pushbackOf = (fields: Fields): Pushback | undefined => {
  let said: string | undefined
  for (let i = 0; i < fields.length; i += 2) {
    if (fields[i]?.toLowerCase() !== field) continue
    // Two values are none, also when they are the same.
    if (said !== undefined) return "never"
    said = fields[i + 1]
  }
  if (said === undefined) return undefined
  return /^\d{1,9}$/.test(said) ? Number(said) : "never"
}

const attempts = "grpc-previous-rpc-attempts"

/**
 * A request's fields, with how many attempts of the call were made before this one: what its client
 * said, which may have made some of its own, and so many more.
 */
export const withPreviousAttempts = (fields: Fields, made: number): Fields => {
  let before = 0
  const others: Array<string> = []
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i]!
    const value = fields[i + 1]!
    if (name.toLowerCase() !== attempts) others.push(name, value)
    else if (/^\d{1,9}$/.test(value)) before = Number(value)
  }
  return [...(others.length === fields.length ? fields : others), attempts, String(before + made)]
}
