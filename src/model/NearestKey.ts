/** "Did you mean …": the known word closest to the one that was written. */

/**
 * Edits to get from one word to the other: insert, delete, replace, swap two neighbours (optimal
 * string alignment). Three rows of the table are enough.
 */
export const editDistance = (a: string, b: string): number => {
  let before: Array<number> = []
  let row = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)
      let best = Math.min(row[j]! + 1, next[j - 1]! + 1, replaced)
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        best = Math.min(best, before[j - 2]! + 1)
      }
      next.push(best)
    }
    before = row
    row = next
  }
  return row[b.length]!
}

const plain = (word: string): string => word.toLowerCase().replaceAll(/[-_]/g, "")

/**
 * The nearest of `known`, or undefined when none is near: of a word of up to four letters one
 * may differ, of a longer one 40 %. Case, `-` and `_` do not count: `per_try` is `perTry`.
 */
export const nearest = (word: string, known: ReadonlyArray<string>): string | undefined => {
  const written = plain(word.slice(0, 64))
  let best: string | undefined
  let least = Number.POSITIVE_INFINITY
  for (const candidate of known) {
    const distance = editDistance(written, plain(candidate))
    const longer = Math.max(written.length, candidate.length)
    const allowed = longer <= 4 ? 1 : Math.ceil(longer * 0.4)
    if (distance <= allowed && distance < least) {
      best = candidate
      least = distance
    }
  }
  return best
}
