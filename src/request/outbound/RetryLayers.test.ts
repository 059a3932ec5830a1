/**
 * Retries on top of retries: programs that call programs that call a program, each through its own
 * node with its own retries, and what of it arrives at the last one.
 */
import { describe, expect, it } from "vitest"
import type { PolicyInput } from "../../schema/PolicySchema.ts"
import { endpointView, Fixture, ManualTicker } from "../../testing/OutboundFixture.ts"
import type { RecordingReceiver, SentCall } from "../../testing/OutboundRecorders.ts"
import { seededRandom } from "../../testing/simulator/EventQueue.ts"

const seed = 20_260_501
const retrying: PolicyInput = { retry: { on: ["5xx"] }, breaker: "off", ejection: "off" }
const endpoints = ["a", "b"].map((letter) => endpointView(letter))

interface Passing {
  readonly from: SentCall
  readonly to: RecordingReceiver
}

/** So many layers in a row; the last program answers as it is told, after 5 to 15 ms. */
class Layers {
  readonly ticker = new ManualTicker(seededRandom(seed))
  readonly layers: ReadonlyArray<Fixture>
  readonly #travels: boolean
  readonly #passed: Array<number>
  readonly #passing: Array<Passing> = []

  /** `travels`: programs say with their own calls which attempt they were called with. */
  constructor(depth: number, travels: boolean, policy = retrying) {
    this.layers = Array.from({ length: depth }, () => {
      return new Fixture(policy, endpoints, { ticker: this.ticker })
    })
    this.#passed = this.layers.map(() => 0)
    this.#travels = travels
  }

  get calls(): number {
    return this.layers[0]?.observer.all.length ?? 0
  }

  /** Requests that have reached the last program. */
  get arrived(): number {
    return this.layers.at(-1)?.sent.length ?? 0
  }

  run(perSecond: number, seconds: number, status: () => number): this {
    const every = 1_000 / perSecond
    const end = this.ticker.now() + seconds * 1_000
    for (let next = this.ticker.now(); this.ticker.now() < end; this.ticker.advance(5)) {
      for (; next <= this.ticker.now(); next += every) this.layers[0]?.request()
      this.pass(status)
    }
    return this
  }

  /** Hands on what was sent and answered since the last time. */
  pass(status: () => number): void {
    this.layers.forEach((layer, depth) => {
      const below = this.layers[depth + 1]
      for (let at = this.#passed[depth]!; at < layer.sent.length; at++) {
        const from = layer.sent[at]!
        if (below === undefined) this.ticker.after(5, () => from.respond(status()))
        else {
          const attempt = this.#travels ? from.call.attempt : 0
          this.#passing.push({ from, to: below.request("GET", { attempt }).receiver })
        }
      }
      this.#passed[depth] = layer.sent.length
    })
    const waiting = this.#passing.splice(0)
    for (const one of waiting) {
      if (one.to.done) one.from.respond(one.to.head?.status ?? 500)
      else this.#passing.push(one)
    }
  }
}

describe("three layers of retries", () => {
  it.each([
    { rate: 200, most: 1.15 },
    { rate: 20, most: 1.5 },
    // Of few requests it is more, but no more than three a second and layer.
    { rate: 2, most: 5 }
  ])("under a dead service make at most $most of its load at $rate/s", ({ most, rate }) => {
    const layers = new Layers(3, true).run(rate, 60, () => 503)
    expect(layers.arrived / layers.calls).toBeLessThanOrEqual(most)
    expect(layers.arrived).toBeGreaterThan(layers.calls)
  })

  it("are kept in check by each one's own budget even where programs do not say the attempt", () => {
    const layers = new Layers(3, false).run(20, 60, () => 503)
    expect(layers.arrived / layers.calls).toBeLessThanOrEqual(1.7)
  })

  it("and a call that is a retry further up is one all the way down", () => {
    const layers = new Layers(3, true)
    layers.run(20, 2, () => 503)
    const attempts = layers.layers.at(-1)?.sent.map(({ call }) => call.attempt) ?? []
    expect(Math.max(...attempts)).toBeGreaterThan(1)
  })

  it("lose no call to one bad attempt in twenty", () => {
    const random = seededRandom(seed)
    const layers = new Layers(3, true)
    layers.run(20, 60, () => (random() < 0.05 ? 503 : 200)).run(1, 2, () => 200)
    const failed = layers.layers[0]?.observer.all.filter(({ status }) => status !== 200) ?? []
    expect(failed).toEqual([])
    expect(layers.arrived / layers.calls).toBeLessThan(1.1)
  })
})

describe("one layer of retries", () => {
  /** How many of the calls were tried three times. */
  const triedThrice = (mesh: Fixture): number =>
    mesh.observer.all.filter(({ endpoints: tried }) => tried.length === 3).length

  it("gives each of a few failing calls its two, as long as it takes", () => {
    const layers = new Layers(1, true).run(1, 120, () => 503).run(0.001, 1, () => 503)
    expect(triedThrice(layers.layers[0]!)).toBeGreaterThanOrEqual(120)
  })

  it("gives ten calls that fail at once their two", () => {
    const layers = new Layers(1, true)
    for (let i = 0; i < 10; i++) layers.layers[0]?.request()
    layers.run(0.001, 2, () => 503)
    expect(triedThrice(layers.layers[0]!)).toBeGreaterThanOrEqual(10)
  })

  it("grants a service with one bad endpoint of two all of the budget", () => {
    const policy: PolicyInput = { ...retrying, balance: { kind: "round_robin" } }
    const mesh = new Fixture(policy, endpoints, { random: seededRandom(seed) })
    let answered = 0
    /** `perSecond` for so long; b always fails, and a too if `dead`. */
    const load = (perSecond: number, seconds: number, dead: boolean) => {
      for (let tick = 0; tick < seconds * perSecond; tick++) {
        mesh.request()
        mesh.ticker.advance(1_000 / perSecond)
        for (; answered < mesh.sent.length; answered++) {
          const sent = mesh.sent[answered]!
          sent.respond(dead || sent.peer === endpoints[1]!.peer ? 503 : 200)
        }
      }
    }
    load(20, 30, false)
    const failures = () => mesh.observer.all.filter(({ status }) => status === 503).length
    expect(failures()).toBe(0)
    load(20, 60, true)
    // Well again: after a window what did not help is forgotten.
    load(20, 12, false)
    const before = failures()
    load(20, 30, false)
    expect(failures()).toBe(before)
  })
})

describe("a call that is a retry further up", () => {
  const request = (mesh: Fixture, attempt: number) => {
    mesh.request("GET", { attempt })
    for (let i = 0; i < 3; i++) {
      mesh.last.respond(503)
      mesh.ticker.advance(300)
    }
  }
  const make = (ratio: number, minPerSecond: number) =>
    new Fixture({ ...retrying, retry: { on: ["5xx"], budget: { ratio, minPerSecond } } }, endpoints)

  it("is granted nothing of minPerSecond", () => {
    const mesh = make(0, 10)
    request(mesh, 1)
    expect(mesh.sent).toHaveLength(1)
    request(mesh, 0)
    expect(mesh.sent).toHaveLength(4)
  })

  it("earns nothing", () => {
    const mesh = make(1, 0)
    for (let i = 0; i < 10; i++) request(mesh, 1)
    expect(mesh.sent).toHaveLength(10)
  })

  it("nor does one that comes too late to be sent", () => {
    const mesh = make(1, 0)
    for (let i = 0; i < 10; i++) mesh.request("GET", { deadline: 0 })
    expect(mesh.sent).toHaveLength(0)
    request(mesh, 0)
    // The one it has earned itself.
    expect(mesh.sent).toHaveLength(2)
  })

  it("may take of what others earned", () => {
    const mesh = make(1, 0)
    mesh.request()
    mesh.last.respond(200)
    request(mesh, 1)
    expect(mesh.sent).toHaveLength(3)
  })

  it("tells the next node so", () => {
    const mesh = make(1, 10)
    mesh.request("GET", { attempt: 2 })
    expect(mesh.last.call.attempt).toBe(2)
    const fresh = make(1, 10)
    request(fresh, 0)
    expect(fresh.sent.map(({ call }) => call.attempt)).toEqual([0, 1, 2])
  })
})
