/** A block of loopback addresses, as `127.80.0.0/12`: one for each service. */

export interface AddressRange {
  /** The first address as a number. */
  readonly base: number
  /** How many there are, the first one among them. */
  readonly size: number
}

/** Fewer would soon all be taken; more than those of 127.0.0.0/8 there are not. */
const prefixes = { least: 8, most: 24 } as const

const numberOf = (address: string): number | undefined => {
  const parts = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(address)?.slice(1).map(Number)
  if (parts === undefined || parts.some((part) => part > 255)) return undefined
  return parts.reduce((sum, part) => sum * 256 + part, 0)
}

const textOf = (address: number): string =>
  [24, 16, 8, 0].map((shift) => (address >>> shift) & 255).join(".")

/** What is wrong with a text, or the range it means. */
export const parseAddressRange = (text: string): AddressRange | string => {
  const [, address = "", digits = ""] = /^([\d.]+)\/(\d{1,2})$/.exec(text) ?? []
  const base = numberOf(address)
  if (base === undefined) return "is not a block of addresses, like 127.80.0.0/12"
  if (base >>> 24 !== 127)
    return "is not of loopback (127.0.0.0/8), so other hosts could be meant by it"
  const prefix = Number(digits)
  if (prefix < prefixes.least || prefix > prefixes.most) {
    return `has /${prefix}; write one from /${prefixes.least} to /${prefixes.most}`
  }
  const size = 2 ** (32 - prefix)
  if (base % size !== 0)
    return `does not begin at a block; that is ${textOf(base - (base % size))}/${prefix}`
  return { base, size }
}

export const addressAt = ({ base }: AddressRange, index: number): string => textOf(base + index)

/** Undefined: it is not of the range. */
export const indexOf = ({ base, size }: AddressRange, address: string): number | undefined => {
  const number = numberOf(address)
  if (number === undefined || number < base || number >= base + size) return undefined
  return number - base
}
