/** Text of ASCII compared without regard to capitals. */
const A = 0x41
const Z = 0x5a
const hyphen = 0x2d
const underscore = 0x5f

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

/** Of fields: as programs of CGI's kind take them. `name` is in small letters. */
export const sameName = (name: string, written: string): boolean => {
  if (name.length !== written.length) return false
  for (let i = 0; i < name.length; i++) {
    const [one, other] = [name.charCodeAt(i), folded(written.charCodeAt(i))]
    if (one !== other && !(isJoin(one) && isJoin(other))) return false
  }
  return true
}

const isJoin = (code: number): boolean => code === hyphen || code === underscore
