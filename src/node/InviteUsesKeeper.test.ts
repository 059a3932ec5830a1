import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber, TestClock } from "effect"
import { NodeName, PeerKey } from "../model/Names.ts"
import { type SettingInForce, settingLimits } from "../model/Setting.ts"
import { InviteId } from "../schema/TrustSchema.ts"
import type { InviteUse } from "../schema/UsesSchema.ts"
import { InviteUsesKeeper } from "./InviteUsesKeeper.ts"
import type { KindListener } from "./MeshSettings.ts"
import { SettingNotWritten } from "./SettingNotWritten.ts"

const use = (host: string, invite = "a", limit = 1): InviteUse => ({
  ...{ invite: InviteId.make(invite.repeat(32)), limit, until: 1, at: host.charCodeAt(0) },
  ...{ peer: PeerKey.make(host.repeat(24)), name: NodeName.make(`host-${host}`) }
})

/** Settings that say what they are told to, at a node that held `held` when it started. */
const keeper = (held: ReadonlyArray<ReadonlyArray<InviteUse>>) => {
  const found: Array<string> = []
  let listener: KindListener = () => undefined
  const say = (all: typeof held) => {
    const inForce = all.map((uses, n): [string, SettingInForce] => [
      `signer-${n}.a`,
      {
        ...{ body: { uses }, author: "host", node: NodeName.make("host-0"), why: undefined },
        ...{ kind: "uses", name: `signer-${n}.a`, signedAt: 1 },
        ...{ signer: PeerKey.make("1".repeat(24)), epoch: 1, version: n, conflict: [] }
      }
    ])
    listener(new Map(inForce))
  }
  const made = new InviteUsesKeeper({
    settings: {
      subscribe: (_kind, tell) => {
        listener = tell
        say(held)
        return () => undefined
      },
      view: () => new Map(),
      write: () => Effect.die("nothing is written here")
    },
    self: PeerKey.make("1".repeat(24)),
    author: "host-0",
    onOverused: ({ invite, limit, nodes }) =>
      found.push(`${invite.slice(0, 1)} ${limit}: ${nodes.join(", ")}`)
  })
  return { found, say, made }
}

/** Settings that hold what this node writes, unless they are full. */
const writer = () => {
  const world = { isFull: false, tries: 0 }
  const held = new Map<string, SettingInForce>()
  let listener: KindListener = () => undefined
  const made = new InviteUsesKeeper({
    settings: {
      subscribe: (_kind, tell) => {
        listener = tell
        return () => undefined
      },
      view: () => new Map([["uses", held]]),
      write: ({ body, kind, name }) =>
        Effect.suspend(() => {
          world.tries++
          if (world.isFull) return Effect.fail(full)
          expect(JSON.stringify(body).length).toBeLessThan(settingLimits.body)
          const written: SettingInForce = {
            ...{ kind, name, body: body ?? {}, author: "host-0", why: undefined, conflict: [] },
            ...{ node: NodeName.make("host-0"), signedAt: 1, epoch: 1, version: held.size },
            signer: PeerKey.make("1".repeat(24))
          }
          held.set(name, written)
          listener(new Map(held))
          return Effect.succeed(written)
        })
    },
    self: PeerKey.make("1".repeat(24)),
    author: "host-0",
    onOverused: () => undefined
  })
  const { uses } = made
  const come = (use: InviteUse) =>
    Effect.suspend(() => {
      expect(uses.use(use)).toBe(true)
      return made.tell(use)
    })
  return { held, uses, come, world }
}

const full = new SettingNotWritten({ code: "full", message: "there is no room", hint: "" })

/** The longest that there can be. */
const nth = (n: number, more: Partial<InviteUse>): InviteUse => ({
  ...{ invite: InviteId.make("a".repeat(32)), limit: 300, until: Number.MAX_SAFE_INTEGER, at: n },
  peer: PeerKey.make(`12D3KooW${String(n).padStart(44, "A").replaceAll("0", "Z")}`),
  ...{ name: NodeName.make(`h${n}`.padEnd(128, "x")), ...more }
})
const late = PeerKey.make(`12D3KooW${"L".repeat(44)}`)

describe("uses that were told", () => {
  it.effect("are all counted, however many a token may have", () =>
    Effect.gen(function* () {
      const { come, held, uses } = writer()
      const limit = 300
      for (let n = 0; n < limit; n++) {
        expect(uses.mayUse("a".repeat(32), limit, late)).toBe(true)
        yield* come(nth(n, {}))
      }
      expect(uses.mayUse("a".repeat(32), limit, late)).toBe(false)
      expect(held.size).toBeLessThan(32)
    })
  )

  it.effect("are not forgotten for those of other tokens that came later", () =>
    Effect.gen(function* () {
      const { come, held, uses } = writer()
      const invite = InviteId.make("a".repeat(32))
      yield* come(nth(0, { invite, limit: 1 }))
      for (let n = 1; n <= 300; n++) {
        const other = InviteId.make(`a${String(n).padStart(31, "0")}`)
        yield* come(nth(n, { invite: other, limit: 1 }))
      }
      expect(uses.mayUse(invite, 1, late)).toBe(false)
      expect(held.size).toBeGreaterThan(1)
    })
  )

  it.effect("make room a day after their token has ended", () =>
    Effect.gen(function* () {
      const { come, held } = writer()
      yield* TestClock.setTime(100 * 86_400_000)
      const ended = 98 * 86_400_000
      for (let n = 0; n < 300; n++) yield* come(nth(n, { until: ended }))
      expect(held.size).toBe(1)
    })
  )
})

describe("uses that could not be told", () => {
  it.effect("are told when there is room, and hold up no token for longer", () =>
    Effect.gen(function* () {
      const { come, held, uses, world } = writer()
      const other = "b".repeat(32)
      world.isFull = true
      const telling = yield* Effect.forEach(
        Array.from({ length: 1_024 }, (_, n) => nth(n, { limit: 1_000 })),
        (use, n) =>
          Effect.fork(come({ ...use, invite: InviteId.make(`${n % 16}`.at(-1)?.repeat(32) ?? "") }))
      )
      yield* TestClock.adjust("10 minutes")
      // Who is not counted by others is let in by nobody here.
      expect(uses.mayUse(other, 1, late)).toBe(false)
      world.isFull = false
      world.tries = 0
      yield* TestClock.adjust("1 minute")
      expect(uses.mayUse(other, 1, late)).toBe(true)
      yield* Effect.forEach(telling, Fiber.join)
      const told = [...held.values()].flatMap(({ body }) => (body as { uses: [] }).uses)
      expect(told).toHaveLength(1_024)
      // Many at a time: each setting is signed, and goes to every node.
      expect(world.tries).toBeLessThan(64)
    })
  )

  it.effect("are over a day after their token has ended", () =>
    Effect.gen(function* () {
      const { come, held, uses, world } = writer()
      world.isFull = true
      yield* TestClock.setTime(86_400_000)
      const telling = yield* Effect.fork(come(nth(0, { limit: 1, until: 60_000 })))
      yield* TestClock.adjust("50 seconds")
      expect(uses.mayUse("a".repeat(32), 1, late)).toBe(false)
      yield* TestClock.adjust("50 seconds")
      expect(uses.pending).toEqual([])
      yield* Fiber.join(telling)
      expect(held.size).toBe(0)
    })
  )
})

describe("a token that let in too many", () => {
  it("is told once when it is found, and again when there are more of them", () => {
    const { found, say } = keeper([[use("a")]])
    say([[use("a")], [use("b")]])
    say([[use("a")], [use("b"), use("x", "c")]])
    expect(found).toEqual(["a 1: host-a, host-b"])
    say([[use("a"), use("d")], [use("b")]])
    expect(found.slice(1)).toEqual(["a 1: host-a, host-b, host-d"])
    // One that came twice is one.
    say([
      [use("a"), use("d")],
      [use("b"), use("d")]
    ])
    expect(found).toHaveLength(2)
  })

  it("is not told again by a node that starts and has it on its disk", () => {
    const { found, made, say } = keeper([[use("a")], [use("b")]])
    say([[use("a")], [use("b")]])
    expect(found).toEqual([])
    expect(made.uses.overused()).toHaveLength(1)
  })
})
