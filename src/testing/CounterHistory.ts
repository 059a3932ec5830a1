/**
 * Was every increment of a counter that was acknowledged done, exactly once, and in an order that those who
 * asked could have seen? Each increment has a key, is tried any number of times, and is answered by what the
 * counter has become; each read by what it is. What was not acknowledged may have been done or not.
 */

/** One try. All times by one clock, ms. */
export interface Attempt {
  readonly counter: string
  /** Of the increment: the same in all of its tries. */
  readonly key: string
  readonly began: number
  /** Absent: no answer, or one that says nothing. */
  readonly answer?: { readonly at: number; readonly value: number }
}

export interface Read {
  readonly counter: string
  readonly began: number
  readonly at: number
  readonly value: number
}

/** All tries of one increment. */
interface Increment {
  readonly key: string
  began: number
  /** Of the first answer. */
  ended: number
  value: number | undefined
}

const incrementsOf = (
  counter: string,
  attempts: ReadonlyArray<Attempt>,
  faults: Array<string>
): ReadonlyArray<Increment> => {
  const byKey = new Map<string, Increment>()
  for (const { answer, began, key } of attempts) {
    const known = byKey.get(key)
    const increment: Increment = known ?? {
      key,
      began,
      ended: Number.POSITIVE_INFINITY,
      value: undefined
    }
    byKey.set(key, increment)
    increment.began = Math.min(increment.began, began)
    if (answer === undefined) continue
    if (increment.value !== undefined && increment.value !== answer.value) {
      faults.push(
        `${counter}: ${key} was answered ${increment.value} and ${answer.value}: done twice`
      )
    }
    increment.value ??= answer.value
    increment.ended = Math.min(increment.ended, answer.at)
  }
  return [...byKey.values()]
}

/** Something that was seen of the counter within a time. */
interface Seen {
  readonly what: string
  readonly began: number
  readonly ended: number
  /** The least that the counter must have been before, and what it was after. */
  readonly needs: number
  readonly shows: number
}

/** What ended before something else began must not show more of the counter than that. */
const inOrder = (counter: string, seen: ReadonlyArray<Seen>): ReadonlyArray<string> => {
  const ends = [...seen].sort((a, b) => a.ended - b.ended)
  let next = 0
  let most: Seen | undefined
  const faults: Array<string> = []
  for (const one of [...seen].sort((a, b) => a.began - b.began)) {
    for (; next < ends.length && ends[next]!.ended < one.began; next++) {
      if (most === undefined || ends[next]!.shows > most.shows) most = ends[next]
    }
    if (most !== undefined && most.shows > one.needs) {
      faults.push(`${counter}: ${one.what} began after ${most.what} had ended`)
    }
  }
  return faults
}

const judge = (
  counter: string,
  attempts: ReadonlyArray<Attempt>,
  reads: ReadonlyArray<Read>,
  end: number | undefined
): ReadonlyArray<string> => {
  if (end === undefined) return [`${counter}: nobody has read it at the end`]
  const faults: Array<string> = []
  const increments = incrementsOf(counter, attempts, faults)
  const seen: Array<Seen> = reads.map(({ at, began, value }) => ({
    ...{ what: `a read of ${value}`, began, ended: at, needs: value, shows: value }
  }))
  const keyOf = new Map<number, string>()
  for (const { began, ended, key, value } of increments) {
    if (value === undefined) continue
    const other = keyOf.get(value)
    if (other !== undefined) {
      faults.push(
        `${counter}: ${other} and ${key} were both answered ${value}: one of them is lost`
      )
    }
    keyOf.set(value, key)
    if (value < 1 || value > end) {
      faults.push(`${counter}: ${key} was answered ${value}, and the end is ${end}: it is lost`)
    }
    seen.push({ what: `${key}, answered ${value},`, began, ended, needs: value - 1, shows: value })
  }
  if (end > increments.length) {
    faults.push(`${counter}: ${increments.length} increments led to ${end}: some were done twice`)
  }
  return [...faults, ...inOrder(counter, seen)]
}

/** What is wrong, a line each; empty when all is well. `ends`: what each counter was when all was over. */
export const judgeCounters = (
  attempts: ReadonlyArray<Attempt>,
  reads: ReadonlyArray<Read>,
  ends: ReadonlyMap<string, number>
): ReadonlyArray<string> => {
  const byCounter = Map.groupBy(attempts, ({ counter }) => counter)
  const readsOf = Map.groupBy(reads, ({ counter }) => counter)
  return [...new Set([...byCounter.keys(), ...readsOf.keys()])].flatMap((counter) =>
    judge(counter, byCounter.get(counter) ?? [], readsOf.get(counter) ?? [], ends.get(counter))
  )
}
