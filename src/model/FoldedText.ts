/** Text of ASCII compared without regard to capitals, and names of fields as programs take them. */
const A = 0x41
const Z = 0x5a

export const folded = (code: number): number => (code >= A && code <= Z ? code + 0x20 : code)

export const startsFolded = (text: string, start: string): boolean => {
  if (text.length < start.length) return false
  for (let i = 0; i < start.length; i++) {
    if (folded(text.charCodeAt(i)) !== folded(start.charCodeAt(i))) return false
  }
  return true
}

export const sameFolded = (a: string, b: string): boolean =>
  a.length === b.length && startsFolded(a, b)

/**
 * Programs of CGI's kind make a variable of a field's name, in which whatever is neither letter nor digit is an
 * underscore: `x_tenant` and, to some (PHP, lighttpd), `x.tenant` are `x-tenant` to them.
 */
export const plainName = (name: string): string => name.toLowerCase().replace(/[^a-z0-9]/g, "-")

/** The same, of a character. */
export const isAlphanumeric = (code: number): boolean => {
  const small = folded(code)
  return (small >= 0x61 && small <= 0x7a) || (code >= 0x30 && code <= 0x39)
}

/** Of fields: as such programs take them. `name` is in small letters. */
export const sameName = (name: string, written: string): boolean => {
  if (name.length !== written.length) return false
  for (let i = 0; i < name.length; i++) {
    const [one, other] = [name.charCodeAt(i), folded(written.charCodeAt(i))]
    if (one !== other && (isAlphanumeric(one) || isAlphanumeric(other))) return false
  }
  return true
}
