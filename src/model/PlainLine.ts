/**
 * Words that others chose, on a person's terminal: on one line, and without what a terminal acts upon or
 * what shows them in another order than they stand.
 */
import { stripVTControlCharacters } from "node:util"

export const plainLine = (text: string): string =>
  stripVTControlCharacters(text)
    .replace(/[\p{Cc}\u2028\u2029]/gu, " ")
    .replace(/[\u202a-\u202e\u2066-\u2069]/g, "")
