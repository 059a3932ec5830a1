/**
 * What a client says of its call besides the request: how long anybody waits for an answer, and that
 * it is made again. A program is told both of the calls it gets (`EndpointRequest.told`) and says
 * them again in the calls it makes to serve them, as it does with trace context; so deadlines and
 * retries are known further down. The fields are taken out of the head and go on with the call.
 *
 *     skein-deadline  milliseconds that are left, a whole number: no clocks have to agree
 *     skein-attempt   0, or which retry of the call it is
 *     grpc-timeout    1 to 8 digits and a unit (H M S m u n), which the program gets as it is
 *
 * Of several limits the shortest holds.
 */
import { excerpt, Http1Error } from "./Http1Error.ts"

export interface CallFields {
  /** Milliseconds; undefined: none is said. */
  deadline: number | undefined
  attempt: number
}

/** Is it one of them? `name` in lower case. */
export const isCallField = (name: string): boolean =>
  name === "skein-deadline" || name === "skein-attempt"

/** Adds what a field says to what others have said. Throws Http1Error. */
export const takeCallField = (
  said: CallFields | undefined,
  name: string,
  value: string
): CallFields => {
  const call = said ?? { deadline: undefined, attempt: 0 }
  if (!/^\d{1,10}$/.test(value)) {
    throw new Http1Error(
      "bad_call_field",
      `${name} ${excerpt(value, 0)} is not a whole number${name === "skein-deadline" ? " of milliseconds" : ""}`
    )
  }
  if (name === "skein-deadline") call.deadline = shorter(call.deadline, Number(value))
  else call.attempt = Math.max(call.attempt, Math.min(Number(value), mostAttempts))
  return call
}

/** What is malformed is between client and program: it says nothing here. */
export const takeGrpcTimeout = (
  said: CallFields | undefined,
  value: string
): CallFields | undefined => {
  const [, digits, unit] = /^(\d{1,8})([HMSmun])$/.exec(value) ?? []
  if (digits === undefined || unit === undefined) return said
  const call = said ?? { deadline: undefined, attempt: 0 }
  call.deadline = shorter(call.deadline, Number(digits) * (millis[unit] ?? 0))
  return call
}

const millis: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1_000,
  m: 1,
  u: 1e-3,
  n: 1e-6
}

/** Between nodes the number is one byte, and who would count further. */
const mostAttempts = 255

const shorter = (one: number | undefined, other: number): number =>
  one === undefined ? other : Math.min(one, other)
