import { expect, it } from "vitest"
import { type Released, releaseHold, unanswered } from "./Handover.ts"
import { OwnedShards } from "./OwnedShards.ts"
import { Placement } from "./Placement.ts"
import { noRights, type ShardRights } from "./ShardRights.ts"

const [here, there] = ["here", "there"]
const placed = (key: string) => new Placement("Cart", [{ key, weight: 1 }])

/** Where the type's shards are, by the one host that all of them are at. */
const hostsAt = (owner: () => string, known: ReadonlyArray<string>) => {
  const moves: Array<(before: Placement, after: Placement) => void> = []
  const hosts = {
    get placement() {
      return placed(owner())
    },
    owner,
    onMoves: (tell: (before: Placement, after: Placement) => void) => {
      moves.push(tell)
      return () => undefined
    },
    isThere: () => true,
    there: known,
    type: "Cart"
  }
  return { hosts, moves }
}

/** A host whose only shard in use is slow to leave, and never done. */
const host = () => {
  let owner = here
  const { hosts, moves } = hostsAt(() => owner, [here, there])
  const timers = new Set<() => void>()
  const shards = new OwnedShards({
    hosts,
    rights: noRights,
    self: here,
    leave: () => undefined,
    release: (_holder, _shard, _options, then) => then({ kind: "released", others: [] }),
    after: (millis, then) => {
      if (millis !== releaseHold) return () => undefined
      timers.add(then)
      return () => timers.delete(then)
    },
    now: () => 0,
    onForced: () => undefined
  })
  return {
    shards,
    move: (to: string) => {
      const before = placed(owner)
      owner = to
      for (const tell of moves) tell(before, placed(to))
    },
    /** Nobody is left waiting any longer than that. */
    passHold: () => {
      for (const then of [...timers]) then()
    }
  }
}

it("keeps nothing of questions that were answered, and takes messages as if there had been none", () => {
  const { move, passHold, shards } = host()
  shards.enter(7, () => undefined)
  expect(shards.open).toEqual([7])
  move(there)
  const answers: Array<string> = []
  for (let i = 0; i < 10_000; i++) shards.release(7, undefined, ({ kind }) => answers.push(kind))
  expect(answers).toEqual([])
  passHold()
  expect(new Set(answers)).toEqual(new Set(["leaving"]))
  expect(answers).toHaveLength(10_000)
  move(here)
  const sentAway: Array<unknown> = []
  for (let i = 0; i < 10_001; i++) shards.enter(7, (why) => sentAway.push(why))
  expect(sentAway).toEqual([{ _tag: "Moved", owner: here }])
})

/** A host that has just come, and asks the one that was there before. */
const newcomer = (rights?: ShardRights) => {
  const answers: Array<(released: Released) => void> = []
  const timers = new Map<() => void, number>()
  let owner = there
  const { hosts, moves } = hostsAt(() => owner, [there])
  const shards = new OwnedShards({
    hosts,
    rights: rights ?? noRights,
    self: here,
    leave: () => undefined,
    release: (_holder, _shard, _options, then) => void answers.push(then),
    after: (millis, then) => {
      timers.set(then, millis)
      return () => timers.delete(then)
    },
    now: () => 0,
    onForced: () => undefined
  })
  owner = here
  for (const tell of moves) tell(placed(there), placed(here))
  const entered: Array<unknown> = []
  return {
    shards,
    entered,
    enter: () => shards.enter(7, (why) => entered.push(why)),
    asked: () => answers.length,
    answer: (released: Released) => answers.shift()?.(released),
    /** Those timers run out. */
    pass: (millis: number) => {
      for (const [then, after] of [...timers]) {
        if (after !== millis) continue
        timers.delete(then)
        then()
      }
    }
  }
}

const leased = () => {
  const taken: Array<() => void> = []
  const rights: ShardRights = {
    take: (_, then) => void taken.push(then),
    may: () => true,
    give: (_, then) => then()
  }
  return { rights, taken }
}

it("runs a shard whose right it has got, though its last host does not answer", () => {
  const { rights, taken } = leased()
  const { answer, asked, enter, entered, pass, shards } = newcomer(rights)
  enter()
  expect([asked(), taken.length]).toEqual([1, 0])
  pass(unanswered)
  answer({ kind: "silent" })
  // Once: from then on the store is asked as for any lease.
  expect([entered.length, taken.length]).toEqual([0, 1])
  pass(50)
  answer({ kind: "silent" })
  expect(taken).toHaveLength(1)
  taken[0]?.()
  expect([entered, shards.open]).toEqual([[undefined], [7]])
  // What was asked is answered in the end.
  pass(50)
  answer({ kind: "released", others: [] })
  expect([asked(), taken.length, shards.open]).toEqual([0, 1, [7]])
})

it("takes no right while its last host says that it runs the shard", () => {
  const { rights, taken } = leased()
  const { answer, enter, entered, pass } = newcomer(rights)
  enter()
  answer({ kind: "queued" })
  pass(unanswered)
  expect(taken).toEqual([])
  expect(entered).toEqual([{ _tag: "Moved", owner: there }])
})

it("sends messages to its last host while that has not heard of this one", () => {
  const { answer, asked, enter, entered, pass, shards } = newcomer()
  enter()
  answer({ kind: "kept", runs: false })
  enter()
  expect(entered).toEqual([
    { _tag: "Moved", owner: there },
    { _tag: "Moved", owner: there }
  ])
  pass(50)
  expect(asked()).toBe(1)
  answer({ kind: "released", others: [] })
  enter()
  expect([entered.at(-1), shards.open]).toEqual([undefined, [7]])
})

it("waits for news of a shard that its last host runs, for as long as that takes", () => {
  const { answer, asked, enter, entered, pass, shards } = newcomer()
  enter()
  for (let i = 0; i < 3; i++) {
    answer({ kind: "kept", runs: true })
    expect(asked()).toBe(1)
  }
  answer({ kind: "queued" })
  answer({ kind: "released", others: [] })
  // It has answered more than four times at once, as a host of an older release does.
  expect(asked()).toBe(0)
  pass(50)
  // Its turn has passed, and now it is asked whether it has let go.
  answer({ kind: "released", others: [] })
  enter()
  expect([entered.at(-1), shards.open]).toEqual([undefined, [7]])
})

it("answers who wants a shard that it runs when it hears that it is that one's, and not before", () => {
  const { move, passHold, shards } = host()
  shards.enter(7, () => undefined)
  const answers: Array<unknown> = []
  const ask = () => shards.turn(7, there, (released) => answers.push(released))
  shards.release(7, there, (released) => answers.push(released))
  ask()
  expect(answers).toEqual([{ kind: "kept", runs: true }])
  passHold()
  expect(answers).toEqual([
    { kind: "kept", runs: true },
    { kind: "kept", runs: true }
  ])
  ask()
  move(there)
  // It leaves at once, and is not done with that.
  expect(answers).toHaveLength(2)
  passHold()
  expect(answers[2]).toEqual({ kind: "leaving" })
})
