/**
 * Lists in the order of their items' keys (code units: the same on every node, whatever its locale),
 * as values. A change copies the list, which is a memory copy, and looks at no item but those it
 * searches for.
 */

/** From so many changes on, relative to the length, the list is made anew instead of searched. */
const fewer = 1 / 16

/** The index of the first item whose key is not below `key`. */
const search = <A>(list: ReadonlyArray<A>, key: string, keyOf: (item: A) => string): number => {
  let low = 0
  let high = list.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (keyOf(list[middle]!) < key) low = middle + 1
    else high = middle
  }
  return low
}

/**
 * A list with `set` in it and without `removed`; one that is in both is set. The given one stays as it
 * is, and is the answer when there is nothing to change.
 */
export const changedByKey = <A>(
  list: ReadonlyArray<A>,
  set: ReadonlyArray<A>,
  removed: ReadonlyArray<string>,
  keyOf: (item: A) => string
): ReadonlyArray<A> => {
  const count = set.length + removed.length
  if (count === 0) return list
  if (count > list.length * fewer) return rebuilt(list, set, removed, keyOf)
  const next = list.slice()
  for (const key of removed) {
    const at = search(next, key, keyOf)
    if (at < next.length && keyOf(next[at]!) === key) next.splice(at, 1)
  }
  for (const item of set) {
    const key = keyOf(item)
    const at = search(next, key, keyOf)
    if (at < next.length && keyOf(next[at]!) === key) next[at] = item
    else next.splice(at, 0, item)
  }
  return next
}

const rebuilt = <A>(
  list: ReadonlyArray<A>,
  set: ReadonlyArray<A>,
  removed: ReadonlyArray<string>,
  keyOf: (item: A) => string
): ReadonlyArray<A> => {
  const items = new Map(list.map((item) => [keyOf(item), item]))
  for (const key of removed) items.delete(key)
  for (const item of set) items.set(keyOf(item), item)
  return Array.from(items.values()).sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1))
}
