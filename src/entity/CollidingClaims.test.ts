/** Hosts that take the same shard for their own, since each of them sees the mesh differently. */
import { describe, expect, it } from "vitest"
import { EventQueue, seededRandom } from "../testing/simulator/EventQueue.ts"
import { OwnedShards } from "./OwnedShards.ts"
import { Placement } from "./Placement.ts"
import { noRights } from "./ShardRights.ts"

const placed = (key: string) => new Placement("Cart", [{ key, weight: 1 }])

/** Hosts that see and hear of each other, each with a placement of its own, and what is sent between them. */
class Disputed {
  readonly queue = new EventQueue()
  readonly random: () => number
  readonly shard: number
  readonly hosts = new Map<string, DisputingHost>()
  /** There were two that ran it. */
  twice = false
  readonly forced: Array<string> = []
  /** Questions of one host to another. */
  asked = 0
  /** Answers that do not arrive: the link breaks. */
  lost = 0
  /** For so long at most the actors of a shard go on that leaves, ms. */
  leaves = 300

  constructor(seed: number, shard: number) {
    this.random = seededRandom(seed)
    this.shard = shard
  }

  /** Each had it from the next one, as it sees that. */
  static circle(seed: number, shard: number, keys: ReadonlyArray<string>): Disputed {
    const world = new Disputed(seed, shard)
    for (const key of keys) world.hosts.set(key, new DisputingHost(world, key, keys))
    for (const [at, key] of keys.entries()) {
      const host = world.hosts.get(key)!
      host.see(keys[(at + 1) % keys.length]!)
      host.see(key)
    }
    return world
  }

  get running(): ReadonlyArray<string> {
    const { shard } = this
    return [...this.hosts].flatMap(([key, { shards }]) =>
      shards.open.includes(shard) || shards.leaving.has(shard) ? [key] : []
    )
  }

  after(millis: number, task: () => void): () => void {
    let isOff = false
    this.queue.after(millis, () => {
      if (isOff) return
      task()
      if (this.running.length > 1) this.twice = true
    })
    return () => {
      isOff = true
    }
  }

  /** A message, sent first to that host and then to wherever it is told. Calls back with who has handled it. */
  send(to: string, then: (by: string) => void): void {
    const way = () => 1 + this.random() * 20
    const arrive = (at: string): void =>
      this.hosts.get(at)!.shards.enter(this.shard, (why) => {
        if (why === undefined) then(at)
        else if (typeof why === "string") throw new Error(why)
        else this.after(way(), () => arrive(why.owner ?? at))
      })
    this.after(way(), () => arrive(to))
  }
}

class DisputingHost {
  readonly shards: OwnedShards & { readonly leaving: Set<number> }
  readonly #moves: Array<(before: Placement, after: Placement) => void> = []
  #owner: string | undefined

  constructor(world: Disputed, self: string, all: ReadonlyArray<string>) {
    const owner = () => this.#owner
    const placement = () => (this.#owner === undefined ? Placement.nobody : placed(this.#owner))
    const leaving = new Set<number>()
    const shards = new OwnedShards({
      hosts: {
        get placement() {
          return placement()
        },
        owner,
        onMoves: (tell) => {
          this.#moves.push(tell)
          return () => undefined
        },
        isThere: () => true,
        there: all,
        type: "Cart"
      },
      rights: noRights,
      self,
      leave: (shard, then) => {
        leaving.add(shard)
        world.after(world.random() * world.leaves, () => {
          leaving.delete(shard)
          then()
        })
      },
      release: (holder, shard, { turn }, then) => {
        const way = () => 1 + world.random() * 20
        world.asked++
        world.after(way(), () => {
          const { shards: asked } = world.hosts.get(holder)!
          const answer: Parameters<OwnedShards["release"]>[2] = (released) => {
            const isLost = world.lost > 0
            if (isLost) world.lost--
            world.after(way(), () => then(isLost ? { kind: "silent" } : released))
          }
          if (turn) asked.turn(shard, self, answer)
          else asked.release(shard, self, answer)
        })
      },
      after: (millis, then) => world.after(millis, then),
      now: () => world.queue.now,
      onForced: (_, holder) => world.forced.push(`${holder} by ${self}`)
    })
    this.shards = Object.assign(shards, { leaving })
  }

  see(owner: string): void {
    const before = this.#owner === undefined ? Placement.nobody : placed(this.#owner)
    this.#owner = owner
    for (const tell of this.#moves) tell(before, placed(owner))
  }
}

const seeds = Array.from({ length: 40 }, (_, seed) => seed)

describe("hosts that take a shard for their own", () => {
  it.each([2, 3, 5])("run it at one of them soon, of %i", (count) => {
    const keys = ["a", "b", "c", "d", "e"].slice(0, count)
    const first = new Set<string>()
    for (const seed of seeds) {
      const world = Disputed.circle(seed, seed, keys)
      const by: Array<string> = []
      for (const key of keys) {
        for (let n = 0; n < 3; n++) {
          world.after(n * world.random() * 50, () => world.send(key, (at) => by.push(at)))
        }
      }
      world.queue.advance(1_000)
      expect([world.twice, world.running.length, by.length], `seed ${seed}`).toEqual([
        ...[false, 1, 3 * count]
      ])
      expect(new Set(by), `seed ${seed}`).toEqual(new Set(world.running))
      first.add(by[0]!)
    }
    // It is not always the same one.
    expect(first.size).toBeGreaterThan(1)
  })

  it("never run it twice, though they change their minds all the time", () => {
    let handled = 0
    for (const seed of seeds) {
      const world = Disputed.circle(seed, seed, ["a", "b"])
      const any = () => (world.random() < 0.5 ? "a" : "b")
      let agree = false
      const change = (): void => {
        if (agree) return
        world.hosts.get(any())!.see(any())
        world.after(world.random() * 400, change)
      }
      change()
      const call = (): void => {
        world.send(any(), () => handled++)
        world.after(world.random() * 100, call)
      }
      call()
      world.queue.advance(20_000)
      expect([world.twice, world.forced], `seed ${seed}`).toEqual([false, []])
      agree = true
      const before = handled
      for (const host of world.hosts.values()) host.see("a")
      world.send("b", () => handled++)
      world.queue.advance(1_000)
      expect([world.running, handled > before], `seed ${seed}`).toEqual([["a"], true])
    }
    expect(handled).toBeGreaterThan(1_000)
  })

  it("leave it where it runs, for as long as those see it there", () => {
    const world = Disputed.circle(1, 7, ["a", "b"])
    const by: Array<string> = []
    world.send("a", (at) => by.push(at))
    world.queue.advance(1_000)
    const [where] = world.running
    const other = where === "a" ? "b" : "a"
    world.send(other, (at) => by.push(at))
    world.queue.advance(60_000)
    world.send(other, (at) => by.push(at))
    world.queue.advance(1_000)
    expect([by, world.running, world.forced]).toEqual([[where, where, where], [where], []])
  })

  it("wait for one at which it leaves and is to stay, and do not ask it without end", () => {
    const world = Disputed.circle(1, 7, ["a", "b"])
    world.send("a", () => undefined)
    world.queue.advance(1_000)
    const [where = "", other = ""] = world.running[0] === "a" ? ["a", "b"] : ["b", "a"]
    world.send(other, () => undefined)
    world.queue.advance(1_000)
    world.leaves = 1e9
    world.hosts.get(where)!.see(other)
    world.hosts.get(where)!.see(where)
    const before = world.asked
    world.queue.advance(10_000)
    expect([world.twice, world.asked - before < 20]).toEqual([false, true])
  })

  it("go on waiting for one that runs it though an answer of it is lost", () => {
    const world = Disputed.circle(1, 7, ["a", "b"])
    world.send("a", () => undefined)
    world.queue.advance(1_000)
    const other = world.running[0] === "a" ? "b" : "a"
    world.send(other, () => undefined)
    world.queue.advance(30_000)
    world.lost = 1
    world.queue.advance(30_000)
    expect([world.lost, world.twice, world.forced]).toEqual([0, false, []])
  })

  it("answer hosts that do not say who they are as ever", () => {
    const world = Disputed.circle(1, 7, ["a", "b"])
    const answers: Array<unknown> = []
    for (const { shards } of world.hosts.values()) {
      shards.release(7, undefined, (released) => answers.push(released))
    }
    const kept = { kind: "kept", runs: false }
    expect(answers).toEqual([kept, kept])
  })
})
