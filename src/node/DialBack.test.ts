import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber, Logger } from "effect"
import type { MeshHostShape, PeerConnection } from "../mesh/host/MeshHost.ts"
import type { PeerKey } from "../model/Names.ts"
import { type DialBackOptions, makeDialBack } from "./DialBack.ts"
import { dialBackLimits } from "./DialBackLimits.ts"

const asker = "12D3KooWGRUVh8NLfSAbc52sBVRLFBqGZxCHsVPVHzQV5FCuaJ8M" as PeerKey
const elsewhere: PeerConnection = { direction: "inbound", address: "/ip4/10.0.0.7/tcp/50000" }
const here: PeerConnection = { direction: "inbound", address: "/ip4/127.0.0.1/tcp/50000" }

interface Scene {
  readonly announced?: ReadonlyArray<string>
  readonly connections?: ReadonlyArray<PeerConnection>
  readonly knock?: MeshHostShape["knock"]
  /** Where the node that is asked answers itself. */
  readonly own?: string
}

const scene = ({ announced = [], connections = [elsewhere], knock, own }: Scene) => {
  const tried: Array<string> = []
  const clock = { now: 0 }
  const options: DialBackOptions = {
    host: {
      connections: () => connections,
      answersAt: (at) => at === own,
      knock: (peer, address, asked) => {
        tried.push(address)
        return knock === undefined ? Promise.resolve() : knock(peer, address, asked)
      }
    },
    announced: () => announced,
    now: () => clock.now
  }
  return { tried, clock, dialBack: makeDialBack(options) }
}
const address = "/ip4/10.0.0.7/tcp/4001"
const quiet = Effect.provide(Logger.remove(Logger.defaultLogger))

describe("dialling back", () => {
  it.effect("says whether the member answers, and not why it does not", () =>
    Effect.gen(function* () {
      const good = scene({ announced: [address] })
      expect(yield* good.dialBack(asker, address)).toEqual({ reached: true })
      for (const why of ["ECONNREFUSED", "the wrong peer", "HTTP/1.1 200 OK"]) {
        const bad = scene({ announced: [address], knock: () => Promise.reject(new Error(why)) })
        expect(yield* bad.dialBack(asker, address)).toEqual({ reached: false })
      }
    }).pipe(quiet)
  )

  it.effect("only dials what the member's own record announces", () =>
    Effect.gen(function* () {
      const { dialBack, tried } = scene({ announced: [address] })
      for (const other of ["/ip4/10.0.0.8/tcp/4001", "/ip4/10.0.0.7/tcp/22", `${address}/`, ""]) {
        expect(yield* Effect.flip(dialBack(asker, other))).toMatchObject({ code: "refused" })
      }
      const unknown = scene({})
      expect(yield* Effect.flip(unknown.dialBack(asker, address))).toMatchObject({
        code: "refused"
      })
      expect([...tried, ...unknown.tried]).toEqual([])
    })
  )

  it.effect("never dials what means this host, or its link, for a node elsewhere", () =>
    Effect.gen(function* () {
      const announced = [
        "/ip4/127.0.0.1/tcp/5432",
        "/ip6/::1/tcp/5432",
        "/ip6/::ffff:127.0.0.1/tcp/5432",
        "/ip4/0.0.0.0/tcp/5432",
        "/ip4/169.254.169.254/tcp/80",
        "/ip4/10.0.0.7/udp/4001/quic-v1",
        "/unix/run/docker.sock"
      ]
      const { dialBack, tried } = scene({ announced })
      for (const one of announced) {
        expect(yield* dialBack(asker, one)).toEqual({ reached: false })
      }
      expect(tried).toEqual([])
      const local = scene({ announced, connections: [elsewhere, here] })
      for (const one of announced) yield* local.dialBack(asker, one)
      expect(local.tried).toEqual(announced.slice(0, 3))
    })
  )

  it.effect("does not knock at its own door, where another host has an address like its own", () =>
    Effect.gen(function* () {
      const bridge = "/ip4/172.17.0.1/tcp/4001"
      const { dialBack, tried } = scene({ announced: [bridge, address], own: bridge })
      expect(yield* dialBack(asker, bridge)).toEqual({ reached: false })
      expect(yield* dialBack(asker, address)).toEqual({ reached: true })
      expect(tried).toEqual([address])
    })
  )

  it.effect("has what a name stands for judged when it is known", () =>
    Effect.gen(function* () {
      const named = "/dns4/rebound.example/tcp/4001"
      const judged: Array<boolean | undefined> = []
      const { dialBack } = scene({
        announced: [named],
        knock: async (_, __, { allows }) => {
          for (const ip of ["127.0.0.1", "169.254.169.254", "10.0.0.7"]) judged.push(allows?.(ip))
        }
      })
      yield* dialBack(asker, named)
      expect(judged).toEqual([false, false, true])
    })
  )

  it.effect("is one at a time for a member, ends when it goes, and is limited", () =>
    Effect.gen(function* () {
      let aborted = false
      const stuck = scene({
        announced: [address],
        knock: (_, __, { signal }) =>
          new Promise((_resolve, reject) => {
            signal.addEventListener("abort", () => {
              aborted = true
              reject(new Error("gone"))
            })
          })
      })
      const fiber = yield* Effect.fork(stuck.dialBack(asker, address))
      yield* Effect.yieldNow()
      expect(yield* Effect.flip(stuck.dialBack(asker, address))).toMatchObject({
        code: "unavailable"
      })
      yield* Fiber.interrupt(fiber)
      expect(aborted).toBe(true)

      const busy = scene({ announced: [address] })
      for (let n = 0; n < dialBackLimits.burst; n++) yield* busy.dialBack(asker, address)
      expect(yield* Effect.flip(busy.dialBack(asker, address))).toMatchObject({
        code: "unavailable",
        message: expect.stringMatching(/too often/)
      })
      busy.clock.now = dialBackLimits.every
      expect(yield* busy.dialBack(asker, address)).toEqual({ reached: true })
      expect(busy.tried).toHaveLength(dialBackLimits.burst + 1)
    }).pipe(quiet)
  )

  it.live("waits so long and no longer", () =>
    Effect.gen(function* () {
      const dialBack = makeDialBack({
        host: {
          connections: () => [],
          answersAt: () => false,
          knock: (_, __, { signal }) =>
            new Promise((_resolve, reject) => {
              signal.addEventListener("abort", () => reject(new Error("late")))
            })
        },
        announced: () => [address],
        now: () => 0,
        timeout: 20
      })
      expect(yield* dialBack(asker, address)).toEqual({ reached: false })
    }).pipe(quiet)
  )
})
