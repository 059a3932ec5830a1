import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber, TestClock } from "effect"
import { MeshRpcError } from "../mesh/host/MeshRpc.ts"
import type { PeerKey } from "../model/Names.ts"
import { dialLimits } from "./DialTurn.ts"
import { makePeerSurvey, type PeerPort, surveyLimits, surveyTimes } from "./PeerSurvey.ts"

const figures = { software: "1", epoch: 1, version: 1, lateMs: 3, doubt: 0, waiting: 0 }
const peer = (n: number) => `peer-${n}` as PeerKey // only passed back
const invalid = new MeshRpcError({ code: "invalid", message: "no such question" })
const gone = new MeshRpcError({ code: "unavailable", message: "gone" })

const hash = (value: number) => new Uint8Array(16).fill(value)
const buckets = (value: number) => Array.from({ length: 256 }, (_, n) => hash(n === 7 ? value : 0))

/** A mesh in which each peer's catalogue is one number. */
class Mesh {
  own = 1
  readonly held = new Map<PeerKey, () => number>()
  readonly connected = new Set<PeerKey>()
  readonly busy = new Set<PeerKey>()
  readonly looked: Array<string> = []
  /** Peers that were asked, in their order; and how many at a time at most. */
  readonly asked: Array<PeerKey> = []
  running = 0
  most = 0

  readonly ports = new Map<PeerKey, Partial<PeerPort>>()

  add(n: number, held: () => number, port: Partial<PeerPort> = {}, isConnected = true) {
    this.held.set(peer(n), held)
    this.ports.set(peer(n), port)
    if (isConnected) this.connected.add(peer(n))
  }

  get survey() {
    return makePeerSurvey({
      isConnected: (one) => this.connected.has(one),
      isBusy: (one) => this.busy.has(one),
      catalogue: () => {
        const { own } = this
        return { root: () => hash(own), bucketHashes: () => buckets(own) }
      },
      onLooked: (one, same) => this.looked.push(`${one} ${same}`),
      connect: (one) => {
        this.asked.push(one)
        const held = this.held.get(one)
        if (held === undefined) return Effect.fail(gone)
        const digest: PeerPort["digest"] = (root) =>
          Effect.sync(() => {
            const theirs = held()
            const same = root[0] === theirs
            return { same, buckets: same ? [] : buckets(theirs) }
          })
        return Effect.succeed({
          ...{ digest, figures: Effect.succeed(figures) },
          ...this.ports.get(one)
        })
      }
    })
  }

  /** All that were added, with this much time for it. */
  ask(ms: number) {
    return Effect.gen(this, function* () {
      const survey = yield* this.survey
      const asking = yield* Effect.fork(survey(Array.from(this.held.keys())))
      yield* TestClock.adjust(ms)
      return yield* Fiber.join(asking)
    })
  }
}

/** Takes this long to answer that it holds the same. */
const slow = (mesh: Mesh, ms: number): Partial<PeerPort> => ({
  digest: () =>
    Effect.gen(function* () {
      mesh.most = Math.max(mesh.most, ++mesh.running)
      yield* Effect.sleep(ms)
      mesh.running--
      return { same: true, buckets: [] }
    })
})

describe("a survey of peers", () => {
  it.effect("is over at once when all hold the same", () =>
    Effect.gen(function* () {
      const mesh = new Mesh()
      mesh.add(1, () => 1)
      mesh.add(2, () => 1)
      const answers = yield* mesh.ask(0)
      expect(answers.get(peer(1))).toEqual({ outcome: { kind: "equal" }, answerMs: 0, figures })
      expect(mesh.looked).toEqual(["peer-1 true", "peer-2 true"])
    })
  )

  it.effect("looks twice at what differs: what stays is told from what is on its way", () =>
    Effect.gen(function* () {
      const mesh = new Mesh()
      let looks = 0
      mesh.add(1, () => 9)
      mesh.add(2, () => (looks++ === 0 ? 9 : 1))
      let moving = 100
      mesh.add(3, () => moving++)
      const answers = yield* mesh.ask(surveyTimes.again)
      const outcomes = [1, 2, 3].map((n) => answers.get(peer(n))?.outcome)
      expect(outcomes).toEqual([
        { kind: "differs", standing: 1 },
        { kind: "equal" },
        { kind: "differs", standing: 0 }
      ])
      expect(mesh.asked.length).toBe(6)
    })
  )

  it.effect("takes silence for that, and what cannot be answered for what it is", () =>
    Effect.gen(function* () {
      const mesh = new Mesh()
      mesh.add(1, () => 1, { digest: () => Effect.never })
      mesh.add(2, () => 1, { digest: () => Effect.fail(gone) })
      mesh.add(3, () => 1, { digest: () => Effect.fail(invalid) })
      mesh.add(4, () => 1, { figures: Effect.fail(invalid) })
      mesh.add(5, () => 1, { figures: Effect.fail(gone) })
      const answers = yield* mesh.ask(surveyTimes.answer)
      const of = (n: number) => answers.get(peer(n))
      expect(of(1)?.outcome).toEqual({ kind: "silent", reason: "no answer within 1 s" })
      expect(of(2)?.outcome).toEqual({ kind: "silent", reason: "gone" })
      expect(of(3)?.outcome).toEqual({ kind: "puzzled", reason: "no such question" })
      expect([of(4)?.outcome.kind, of(4)?.figures]).toEqual(["equal", "older"])
      expect([of(5)?.outcome.kind, of(5)?.figures]).toEqual(["equal", undefined])
    })
  )

  it.effect("keeps the first answer of one that gives no second", () =>
    Effect.gen(function* () {
      const mesh = new Mesh()
      let looks = 0
      const digest: PeerPort["digest"] = () =>
        looks++ === 0 ? Effect.succeed({ same: false, buckets: buckets(9) }) : Effect.never
      mesh.add(1, () => 9, { digest })
      const answers = yield* mesh.ask(surveyTimes.again + surveyTimes.answer)
      expect(answers.get(peer(1))?.outcome).toEqual({ kind: "differs", standing: undefined })
    })
  )

  it.effect("asks so many at a time, over all who look, and ends in time with what it has", () =>
    Effect.gen(function* () {
      const mesh = new Mesh()
      for (let n = 0; n < 100; n++) mesh.add(n, () => 1, slow(mesh, 900))
      const survey = yield* mesh.survey
      const peers = Array.from(mesh.held.keys())
      const asking = yield* Effect.fork(
        Effect.all([survey(peers), survey(peers)], { concurrency: "unbounded" })
      )
      yield* TestClock.adjust(surveyTimes.whole)
      const [one, two] = yield* Fiber.join(asking)
      expect(mesh.most).toBe(surveyLimits.atOnce)
      // Three rounds of 900 ms each.
      expect(one.size + two.size).toBe(3 * surveyLimits.atOnce)
    })
  )

  it.effect("asks those that are connected first, and connects to others at a rate", () =>
    Effect.gen(function* () {
      const mesh = new Mesh()
      for (let n = 0; n < 200; n++) mesh.add(n, () => 1, {}, n >= 190)
      const answers = yield* mesh.ask(surveyTimes.whole)
      expect(mesh.asked.slice(0, 10)).toEqual(Array.from({ length: 10 }, (_, n) => peer(190 + n)))
      const { burst, perSecond } = dialLimits
      const most = 10 + burst + (perSecond * surveyTimes.whole) / 1_000
      expect(answers.size).toBeLessThanOrEqual(most)
      expect(answers.size).toBeGreaterThanOrEqual(most - 1)
    })
  )

  it.effect(
    "does not take it for silence that one asks for a moment, and leaves that one alone",
    () =>
      Effect.gen(function* () {
        const mesh = new Mesh()
        const refuses = Effect.suspend(() => {
          mesh.busy.add(peer(1))
          return Effect.fail(gone)
        })
        mesh.add(1, () => 1, { digest: () => refuses }, false)
        mesh.add(2, () => 1)
        mesh.busy.add(peer(2))
        for (const asked of [2, 3]) {
          const answers = yield* mesh.ask(0)
          const kinds = [1, 2].map((n) => answers.get(peer(n))?.outcome.kind)
          expect([kinds, mesh.asked.length]).toEqual([["busy", "equal"], asked])
        }
      })
  )

  it.effect("gives one that is to be connected more time", () =>
    Effect.gen(function* () {
      const mesh = new Mesh()
      mesh.add(1, () => 1, slow(mesh, surveyTimes.answer + 1))
      mesh.add(2, () => 1, slow(mesh, surveyTimes.answer + 1), false)
      const answers = yield* mesh.ask(surveyTimes.dial)
      const kinds = [1, 2].map((n) => answers.get(peer(n))?.outcome.kind)
      expect(kinds).toEqual(["silent", "equal"])
    })
  )
})
