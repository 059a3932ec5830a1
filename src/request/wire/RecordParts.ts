/** Parts in their order, as lists of at most so many bytes: what one record takes. */
export const ofAtMost = (
  most: number,
  parts: ReadonlyArray<Uint8Array>
): ReadonlyArray<ReadonlyArray<Uint8Array>> => {
  const lists: Array<Array<Uint8Array>> = []
  let list: Array<Uint8Array> = []
  let room = most
  for (const part of parts) {
    for (let at = 0; at < part.length; ) {
      const piece = at === 0 && part.length <= room ? part : part.subarray(at, at + room)
      list.push(piece)
      at += piece.length
      room -= piece.length
      if (room > 0) continue
      lists.push(list)
      list = []
      room = most
    }
  }
  if (list.length > 0) lists.push(list)
  return lists
}
