/** How many more intermediaries a TRACE or OPTIONS may pass (RFC 9110 §7.6.2). */
import type { Fields } from "../../model/Exchange.ts"

/** No chain is as long; a larger number goes on as this one. */
const most = 2 ** 31 - 1

/** Undefined without the field; NaN when it does not say one number, so that nothing is known. */
export const maxForwards = (fields: Fields): number | undefined => {
  let found: number | undefined
  for (let i = 0; i < fields.length; i += 2) {
    if (!isMaxForwards(fields[i]!)) continue
    const value = fields[i + 1]!
    found = found === undefined && /^\d+$/.test(value) ? Number(value) : Number.NaN
  }
  return found
}

/** The fields for the next intermediary, which may pass it on to `left - 1` more. */
export const withForwardsLeft = (fields: Fields, left: number): Fields => {
  const next: Array<string> = []
  for (let i = 0; i < fields.length; i += 2) {
    const value = isMaxForwards(fields[i]!) ? String(Math.min(left - 1, most)) : fields[i + 1]!
    next.push(fields[i]!, value)
  }
  return next
}

const isMaxForwards = (name: string): boolean =>
  name.length === 12 && name.toLowerCase() === "max-forwards"
