import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { Catalogue } from "../mesh/catalogue/Catalogue.ts"
import { lifetimes, nodeEntry } from "../mesh/catalogue/RecordEntry.ts"
import type { MemberState } from "../mesh/membership/MemberTable.ts"
import { NodeName, PeerKey } from "../model/Names.ts"
import type { NodeRecord } from "../model/NodeRecord.ts"
import { forgetEphemeral, sayAgain } from "./EphemeralNodes.ts"
import { ForgottenNodes } from "./ForgottenNodes.ts"
import { OwnAbsence } from "./OwnAbsence.ts"

const start = 1_800_000_000_000
const self = PeerKey.make(`12D3KooW${"S".repeat(44)}`)
const job = PeerKey.make(`12D3KooW${"J".repeat(44)}`)

const recordOf = (more: Partial<NodeRecord>): NodeRecord => ({
  ...{ peer: job, name: NodeName.make("job"), epoch: start, version: 3, signedAt: start },
  ...{ addresses: [], services: [], state: "serving", software: "skein/test", ...more }
})

/** A node that holds one record, of a member that it has found in this state. */
const make = (record: NodeRecord, isEphemeral = false) => {
  const world = { now: 0, state: "alive" as MemberState, since: start, signed: 0, saved: 0 }
  const clock = { now: () => world.now, wall: () => start + world.now, random: () => 0 }
  const forgotten = new ForgottenNodes({ now: clock.now, isUp: () => false })
  const [catalogue] = Catalogue.empty.merge(nodeEntry(record, [], new Uint8Array(8)))
  const member = { incarnation: 0, observers: [] }
  const options = {
    ...{ forgotten, isEphemeral, ticker: clock, isUp: () => false },
    file: { save: Effect.sync(() => void world.saved++) },
    elsewhere: { isGone: () => false },
    catalogue: {
      current: () => catalogue,
      rejudge: () => Effect.void,
      resign: Effect.sync(() => void world.signed++)
    },
    membership: {
      members: () => [
        {
          ...member,
          peer: self,
          name: NodeName.make("host-a"),
          state: "alive" as const,
          since: start
        },
        { ...member, peer: job, name: record.name, state: world.state, since: world.since }
      ]
    }
  }
  const die = () => {
    world.state = "dead"
    world.since = clock.wall()
  }
  return { world, forgotten, options, die, isOut: () => forgotten.why(record) !== undefined }
}

it.effect("one that is dead for half a minute is forgotten until nobody can hold its record", () =>
  Effect.gen(function* () {
    const { die, isOut, options, world } = make(
      recordOf({ ephemeral: true, lifetime: lifetimes.ephemeral })
    )
    yield* forgetEphemeral(options)
    world.now = 100_000
    die()
    world.now = 129_999
    yield* forgetEphemeral(options)
    expect(isOut()).toBe(false)
    world.now = 130_000
    yield* forgetEphemeral(options)
    expect([isOut(), world.saved]).toEqual([true, 3])
    // By then it is over at every door, whoever was away and still has it.
    world.now = lifetimes.ephemeral
    expect(isOut()).toBe(true)
    world.now += 60_000
    expect(isOut()).toBe(false)
  })
)

it.effect("where none is ephemeral nobody is looked at", () =>
  Effect.gen(function* () {
    const { die, isOut, options, world } = make(recordOf({}))
    die()
    world.now = 100_000
    let asked = 0
    const membership = {
      members: () => {
        asked++
        return options.membership.members()
      }
    }
    yield* forgetEphemeral({ ...options, membership })
    expect([isOut(), world.saved, asked]).toEqual([false, 1, 0])
  })
)

it.effect("one of an older version, which signs seldom, for five minutes", () =>
  Effect.gen(function* () {
    const { die, isOut, options, world } = make(recordOf({ ephemeral: true }))
    die()
    world.now = 30_000
    yield* forgetEphemeral(options)
    world.now = 329_999
    expect(isOut()).toBe(true)
    world.now = 330_000
    expect(isOut()).toBe(false)
  })
)

it.effect("no other is forgotten, however long it is dead", () =>
  Effect.gen(function* () {
    const { die, isOut, options, world } = make(recordOf({}))
    die()
    world.now = 3_600_000
    yield* forgetEphemeral(options)
    expect(isOut()).toBe(false)
  })
)

it.effect("an ephemeral one says that it is there when one that was dead to it is back", () =>
  Effect.gen(function* () {
    for (const [isEphemeral, signed] of [
      [true, 1],
      [false, 0]
    ] as const) {
      const { die, options, world } = make(recordOf({}), isEphemeral)
      const absence = new OwnAbsence()
      die()
      yield* sayAgain(options, absence)
      world.state = "alive"
      world.now = 5_000
      yield* sayAgain(options, absence)
      expect(world.signed).toBe(signed)
    }
  })
)
