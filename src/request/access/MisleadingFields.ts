/**
 * Fields by which some programs and their frameworks take a request for one of another path or method:
 * what rules are about would not be what they do.
 */
import type { Fields } from "../../model/Exchange.ts"
import { folded, sameName } from "../../model/FoldedText.ts"

export type Misled = "paths" | "methods"

const misleading: ReadonlyArray<readonly [name: string, about: Misled]> = [
  ["x-original-url", "paths"],
  ["x-rewrite-url", "paths"],
  ["x-http-method-override", "methods"],
  ["x-http-method", "methods"],
  ["x-method-override", "methods"]
]

const shortest = Math.min(...misleading.map(([name]) => name.length))
const longest = Math.max(...misleading.map(([name]) => name.length))
const x = 0x78

/** The first of them that is about what rules are about; undefined: there is none. */
export const misleadingField = (
  fields: Fields,
  isAbout: Readonly<Record<Misled, boolean>>
): readonly [name: string, about: Misled] | undefined => {
  for (let i = 0; i < fields.length; i += 2) {
    const written = fields[i]!
    if (written.length < shortest || written.length > longest) continue
    if (folded(written.charCodeAt(0)) !== x) continue
    for (const field of misleading) {
      if (isAbout[field[1]] && sameName(field[0], written)) return field
    }
  }
  return undefined
}
