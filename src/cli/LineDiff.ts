/** What makes one text of another, line by line: a longest common subsequence, for texts of people's size. */

export interface DiffLine {
  readonly sign: " " | "-" | "+"
  readonly text: string
}

/** More lines than this are not compared one by one: the old ones go, the new ones come. */
const maxLines = 2_000

export const diffLines = (
  before: ReadonlyArray<string>,
  after: ReadonlyArray<string>
): ReadonlyArray<DiffLine> => {
  if (before.length > maxLines || after.length > maxLines) {
    return [
      ...before.map((text) => ({ sign: "-" as const, text })),
      ...after.map((text) => ({ sign: "+" as const, text }))
    ]
  }
  // common[i][j]: of what is from i on in the one and from j on in the other.
  const width = after.length + 1
  const common = new Uint16Array((before.length + 1) * width)
  for (let i = before.length - 1; i >= 0; i--) {
    for (let j = after.length - 1; j >= 0; j--) {
      common[i * width + j] =
        before[i] === after[j]
          ? common[(i + 1) * width + j + 1]! + 1
          : Math.max(common[(i + 1) * width + j]!, common[i * width + j + 1]!)
    }
  }
  const lines: Array<DiffLine> = []
  let [i, j] = [0, 0]
  while (i < before.length || j < after.length) {
    const isBoth = i < before.length && j < after.length && before[i] === after[j]
    const goes =
      j === after.length ||
      (i < before.length && common[(i + 1) * width + j]! >= common[i * width + j + 1]!)
    if (isBoth) {
      lines.push({ sign: " ", text: before[i++]! })
      j++
    } else if (goes) lines.push({ sign: "-", text: before[i++]! })
    else lines.push({ sign: "+", text: after[j++]! })
  }
  return lines
}
