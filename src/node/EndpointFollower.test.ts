import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { NodeDirectory } from "../api/NodeDirectory.ts"
import { type EndpointView, MeshViewSource } from "../model/MeshView.ts"
import { ServiceName } from "../model/Names.ts"
import { type EndpointNews, newsEndpoints } from "../schema/ProgramTalkSchema.ts"
import { endpointView, ManualTicker } from "../testing/OutboundFixture.ts"
import { EndpointFollower } from "./EndpointFollower.ts"

const cart = ServiceName.make("actor-cart")
const other = ServiceName.make("other")

/** A node's view, its word to a program, and the directory there. */
class World {
  readonly view = new MeshViewSource()
  readonly ticker = new ManualTicker()
  readonly lines: Array<Omit<EndpointNews, "type" | "id">> = []
  ready = true
  followed = 0
  follower: EndpointFollower | undefined
  readonly #held = new NodeDirectory({
    zone: () => undefined,
    say: (service) => this.say(service),
    cancel: () => this.follower?.stop(),
    onDefect: (error) => {
      throw error
    }
  })
  readonly directory = this.#held.api

  say(service: ServiceName): number {
    const id = ++this.followed
    const { ticker, view } = this
    const sink = {
      ready: () => this.ready,
      tell: (news: Omit<EndpointNews, "type" | "id">) => {
        this.lines.push(news)
        // It comes by a socket.
        ticker.after(0, () => this.#held.heard({ ...news, id }))
      }
    }
    this.follower = new EndpointFollower({ service, view, ticker, sink })
    return id
  }

  /** Another node, which is asked anew. */
  renew(): void {
    this.follower?.stop()
    this.#held.renew()
  }

  set(endpoints: ReadonlyArray<EndpointView>, service = cart): void {
    const services = new Map(this.view.current.services)
    services.set(service, { name: service, protocol: "http", endpoints })
    this.view.set(services)
  }
}

const many = (count: number): ReadonlyArray<EndpointView> =>
  Array.from({ length: count }, (_, i) =>
    endpointView("a", { key: `a/${String(i).padStart(6, "0")}` })
  )

describe("a service that an attached program follows", () => {
  it("is told as a whole, and then what changes, at a bounded pace", () => {
    const world = new World()
    const [a, b, c] = [endpointView("a"), endpointView("b"), endpointView("c")]
    let heard = 0
    world.set([a])
    world.directory.subscribe(cart, () => heard++)
    world.ticker.advance(10)
    expect(world.directory.endpoints(cart)).toEqual([a])
    world.set([a, b])
    world.set([b, c])
    world.set([c], other)
    expect(heard).toBe(1)
    world.ticker.advance(60)
    expect(heard).toBe(2)
    expect(world.directory.endpoints(cart)).toEqual([b, c])
    world.ticker.advance(60)
    // After a pause it is told at once.
    world.set([{ ...b, draining: true }, c])
    world.ticker.advance(10)
    expect(world.directory.endpoints(cart)).toEqual([{ ...b, draining: true }, c])
    expect(world.lines.map(({ removed, set, whole }) => [whole, set.length, removed])).toEqual([
      [true, 1, []],
      [false, 2, [a.key]],
      [false, 1, []]
    ])
  })

  it("that nobody offers is told as such", () => {
    const world = new World()
    world.directory.subscribe(cart, () => undefined)
    expect(world.lines).toEqual([{ whole: true, set: [], removed: [], more: false }])
  })

  it("with many endpoints is heard of once, however many lines it takes", () => {
    const world = new World()
    const endpoints = many(2 * newsEndpoints + 1)
    let heard = 0
    world.set(endpoints)
    world.directory.subscribe(cart, () => heard++)
    world.ticker.advance(10)
    expect([world.lines.length, heard]).toEqual([3, 1])
    expect(world.directory.endpoints(cart)).toEqual(endpoints)
    world.ticker.advance(60)
    world.set([])
    world.ticker.advance(10)
    expect([world.lines.length, heard]).toEqual([6, 2])
    expect(world.directory.endpoints(cart)).toEqual([])
  })

  it("waits for a program that does not read, which hears the end of it then", () => {
    const world = new World()
    world.ready = false
    world.directory.subscribe(cart, () => undefined)
    world.set(many(3))
    world.ticker.advance(200)
    expect(world.lines).toEqual([])
    world.ready = true
    world.ticker.advance(60)
    expect(world.directory.endpoints(cart)).toEqual(many(3))
    expect(world.lines).toHaveLength(1)
  })

  it("is asked for once, until the last who wanted it stops", () => {
    const world = new World()
    const stops = [1, 2].map(() => world.directory.subscribe(cart, () => undefined))
    expect(world.followed).toBe(1)
    stops[0]?.()
    world.ticker.advance(60)
    world.set(many(1))
    world.ticker.advance(10)
    expect(world.directory.endpoints(cart)).toHaveLength(1)
    stops[1]?.()
    expect(world.directory.endpoints(cart)).toEqual([])
    world.ticker.advance(60)
    world.set(many(2))
    expect(world.lines).toHaveLength(2)
  })

  it("is known as it is, whatever came in between, another node as well", () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.record({
            letters: fc.subarray(["a", "b", "c", "d"]),
            draining: fc.boolean(),
            ready: fc.boolean(),
            another: fc.boolean(),
            wait: fc.integer({ min: 0, max: 120 })
          })
        ),
        (steps) => {
          const world = new World()
          world.directory.subscribe(cart, () => undefined)
          for (const { another, draining, letters, ready, wait } of steps) {
            world.ready = ready
            if (another) world.renew()
            world.set(letters.map((letter) => endpointView(letter, { draining })))
            world.ticker.advance(wait)
          }
          world.ready = true
          world.ticker.advance(200)
          const known = world.view.current.services.get(cart)?.endpoints ?? []
          expect(world.directory.endpoints(cart)).toEqual(known)
        }
      )
    )
  })
})
