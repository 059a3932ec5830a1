/** What an endpoint says about when to come back (RFC 9110 §10.2.3). */

/**
 * Longest wait that is kept on the caller's behalf, where there is no other endpoint to go to.
 * Beyond it the response is passed on: the caller knows better than a proxy what a wait of minutes
 * is worth.
 */
export const longestRetryAfter = 5_000

/**
 * Milliseconds from now that a Retry-After value asks for; undefined when it is neither a number
 * of seconds nor a date. `wall` is milliseconds since 1970.
 */
export const retryAfterMillis = (value: string, wall: number): number | undefined => {
  const text = value.trim()
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1_000
  // Only IMF-fixdate and its obsolete forms begin with a day's name; Date.parse takes far more.
  if (!/^(Mon|Tue|Wed|Thu|Fri|Sat|Sun)/.test(text)) return undefined
  // The asctime form names no zone and means UTC all the same; Date.parse would take the host's.
  const date = Date.parse(/(?:GMT|UTC|[+-]\d{4})$/.test(text) ? text : `${text} GMT`)
  return Number.isNaN(date) ? undefined : Math.max(0, date - wall)
}
