/**
 * What is wrong with a line of a head that cannot be read, told from the byte at which reading
 * stopped, or that a program must not have written. The rules are apart where servers have read them
 * differently (RFC 9112 §5.1, §5.2).
 */
import { isFieldValue, isToken } from "./Characters.ts"
import { excerpt, Http1Error } from "./Http1Error.ts"

const HT = 0x09
const LF = 0x0a
const CR = 0x0d
const SP = 0x20

/** Of the line from `from`, whose name was read up to `at`. */
export const badName = (
  text: string,
  from: number,
  at: number,
  fieldsBefore: number
): Http1Error => {
  const found = text.charCodeAt(at)
  const shown = excerpt(text, from, Math.max(at + 1, from + 1))
  if (at === from && (found === SP || found === HT)) {
    return fieldsBefore === 0
      ? new Http1Error("space_before_name", "the first header line begins with white space")
      : new Http1Error("obs_fold", "a header is continued on a second line (obs-fold)")
  }
  if (found === SP || found === HT) {
    return new Http1Error("space_before_colon", `white space in or after the name in ${shown}`)
  }
  if (found === LF) return bareLf()
  if (found === CR) {
    return text.charCodeAt(at + 1) === LF
      ? new Http1Error("missing_colon", `header line ${shown} has no colon`)
      : bareCr()
  }
  return new Http1Error("bad_field_name", `header name ${shown} has a character that is no token`)
}

/** Of the line from `from`, whose value was read up to `at`. */
export const badValue = (text: string, from: number, nameEnd: number, at: number): Http1Error => {
  const found = text.charCodeAt(at)
  if (found === LF) return bareLf()
  if (found === CR) return bareCr()
  return new Http1Error(
    "bad_field_value",
    `the value of ${excerpt(text, from, nameEnd)} has control character ${found}`
  )
}

/**
 * The line of a field that a program gave. What it is read back as is only what was meant if neither name nor value can end
 * it: throws Http1Error otherwise.
 */
export const checkedLine = (name: string, value: string): string => {
  if (!isToken(name)) {
    const message = `header name ${excerpt(name, 0)} has a character that is no token`
    throw new Http1Error("bad_field_name", message)
  }
  if (!isFieldValue(value)) {
    const message = `the value of header ${name} has a line break, another control character or one outside Latin-1`
    throw new Http1Error("bad_field_value", message)
  }
  return `${name}: ${value}\r\n`
}

export const bareLf = (): Http1Error =>
  new Http1Error("bare_lf", "a line of the head ends with LF alone")

export const bareCr = (): Http1Error =>
  new Http1Error("bare_cr", "a CR in the head is not followed by LF")
