/** The smallest input that still shows a finding: pieces are taken out as long as it does. */

const without = (bytes: Buffer, from: number, length: number): Buffer =>
  Buffer.concat([bytes.subarray(0, from), bytes.subarray(from + length)])

export const minimise = (bytes: Buffer, fails: (bytes: Buffer) => boolean): Buffer => {
  let least = bytes
  let size = bytes.length >> 1
  while (size >= 1) {
    let shrunk = false
    for (let from = 0; from + size <= least.length; ) {
      const candidate = without(least, from, size)
      if (fails(candidate)) {
        least = candidate
        shrunk = true
      } else from += size
    }
    // At single bytes: once more while that helps, since what was needed may not be any longer.
    if (!shrunk || size > 1) size >>= 1
  }
  return least
}
