import { expect, it } from "vitest"
import { releaseHold } from "./Handover.ts"
import { noRights, OwnedShards } from "./OwnedShards.ts"
import { Placement } from "./Placement.ts"

const [here, there] = ["here", "there"]
const placed = (key: string) => new Placement("Cart", [{ key, weight: 1 }])

/** A host whose only shard in use is slow to leave, and never done. */
const host = () => {
  let owner = here
  const moves: Array<(before: Placement, after: Placement) => void> = []
  const timers = new Set<() => void>()
  const shards = new OwnedShards({
    hosts: {
      get placement() {
        return placed(owner)
      },
      owner: () => owner,
      onMoves: (tell) => {
        moves.push(tell)
        return () => undefined
      },
      isThere: () => true,
      there: [here, there]
    },
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
  for (let i = 0; i < 10_000; i++) shards.release(7, ({ kind }) => answers.push(kind))
  expect(answers).toEqual([])
  passHold()
  expect(new Set(answers)).toEqual(new Set(["leaving"]))
  expect(answers).toHaveLength(10_000)
  move(here)
  const sentAway: Array<unknown> = []
  for (let i = 0; i < 10_001; i++) shards.enter(7, (why) => sentAway.push(why))
  expect(sentAway).toEqual([{ _tag: "Moved", owner: here }])
})
