/**
 * Two looks at how one's own catalogue and another's differ, a moment apart: what is on its way is told
 * from what stays. In a busy mesh two catalogues are hardly ever equal, and nothing is wrong with them.
 */

/** What both held, as the hashes of their buckets. */
export interface CatalogueLook {
  readonly mine: ReadonlyArray<Uint8Array>
  readonly theirs: ReadonlyArray<Uint8Array>
}

const equal = (a: Uint8Array | undefined, b: Uint8Array | undefined): boolean =>
  a !== undefined && b !== undefined && Buffer.compare(a, b) === 0

/**
 * Buckets that differed both times while neither side changed them: nothing is on its way there. Of two
 * that do not have the same number of them nothing can be said bucket by bucket; then it is all or none.
 */
export const standingDifferences = (first: CatalogueLook, second: CatalogueLook): number => {
  const count = first.mine.length
  const all = [first.theirs, second.mine, second.theirs]
  if (all.some(({ length }) => length !== count)) {
    return isUnchanged(first.mine, second.mine) && isUnchanged(first.theirs, second.theirs)
      ? count
      : 0
  }
  return first.mine.filter(
    (mine, index) =>
      !equal(mine, first.theirs[index]) &&
      equal(mine, second.mine[index]) &&
      equal(first.theirs[index], second.theirs[index])
  ).length
}

const isUnchanged = (
  before: ReadonlyArray<Uint8Array>,
  after: ReadonlyArray<Uint8Array>
): boolean => before.length === after.length && before.every((hash, at) => equal(hash, after[at]))
