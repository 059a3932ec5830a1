/** What happens to a world of actors, and a run of it: troubles for a while, then none, and what is to be then. */
import { ActorWorld, type Broken } from "./ActorWorld.ts"
import type { WorldHost } from "./WorldHost.ts"

const seconds = 1_000

const anyOf = ({ hosts, random }: ActorWorld): WorldHost =>
  hosts[Math.floor(random() * hosts.length)]!

/**
 * The longest until every actor answers again, ms: a lease that nobody renews, word of who is there, a try of who waits
 * for the lease, and a question to the store that was under way.
 */
export const bound = 15_000 + 3_000 + 2 * 1_000 + 5_000

/** Each begins something that is wrong, and returns how it ends. */
export const troubles = {
  "the mesh is in two parts": (world: ActorWorld) => {
    for (const host of world.hosts) host.side = world.random() < 0.5 ? 0 : 1
    world.changed()
    return () => {
      for (const host of world.hosts) host.side = 0
      world.changed()
    }
  },
  "a host stands still": (world: ActorWorld) => {
    const host = anyOf(world)
    host.isPaused = host.isUp
    world.changed()
    return () => {
      host.resume()
      world.changed()
    }
  },
  "clocks jump": (world: ActorWorld) => {
    anyOf(world).clockOff += (world.random() - 0.5) * 2 * 3_600_000
    return () => undefined
  },
  "a host is cut from the store": (world: ActorWorld) => {
    const host = anyOf(world)
    host.isCut = true
    return () => {
      host.isCut = false
    }
  },
  "a host is cut from the store and from the others": (world: ActorWorld) => {
    const host = anyOf(world)
    host.isCut = true
    host.side = 2
    world.changed()
    return () => {
      host.isCut = false
      host.side = 0
      world.changed()
    }
  },
  "the store is slow, or away": (world: ActorWorld) => {
    world.isStoreDown = world.random() < 0.3
    world.storeDelay = world.random() * 4_000
    return () => {
      world.isStoreDown = false
      world.storeDelay = 0
    }
  },
  "a host crashes and is started again": (world: ActorWorld) => {
    const host = anyOf(world)
    if (host.isUp) host.crash()
    world.changed()
    return () => {
      host.start()
      world.changed()
    }
  },
  "a host does not hear that another is well again": (world: ActorWorld) => {
    const [one, other] = [anyOf(world), anyOf(world)]
    const says = (healthy: boolean): void => {
      if (other.offered === undefined) return
      other.offered.health = { healthy, reason: "as the world says" }
      world.told(other)
    }
    let isOver = false
    says(false)
    // It has heard the one by then, and never hears the other.
    world.queue.after(0.3 * seconds, () => {
      if (!isOver) one.isDeaf = one !== other
      says(true)
    })
    return () => {
      isOver = true
      one.isDeaf = false
      world.changed()
    }
  },
  "many leave and come back at once": (world: ActorWorld) => {
    const leaving = world.hosts.filter(() => world.random() < 0.6).slice(1)
    for (const host of leaving) host.leave()
    return () => {
      for (const host of leaving) host.start()
      world.changed()
    }
  }
} as const
export type Trouble = keyof typeof troubles
export const allTroubles = Object.keys(troubles) as ReadonlyArray<Trouble>

export interface RunOptions {
  readonly seed: number
  readonly kinds: ReadonlyArray<Trouble>
  /** Milliseconds of calls and troubles. */
  readonly length: number
  /** The longest that one lasts, ms. */
  readonly longest?: number
  readonly broken?: Broken
}

export interface Outcome {
  readonly world: ActorWorld
  readonly faults: ReadonlyArray<string>
  readonly answered: number
  /** From the last trouble's end until every counter had answered, ms. */
  readonly recovered: number
}

export const run = async ({
  broken,
  kinds,
  length,
  longest = 25_000,
  seed
}: RunOptions): Promise<Outcome> => {
  const world = new ActorWorld({ seed, hosts: 4, counters: 16, broken })
  const { queue, random } = world
  for (const host of world.hosts) host.start()
  await world.advance(2 * seconds)
  const until = queue.now + length
  const ends = new Set<() => void>()
  const trouble = (): void => {
    if (queue.now > until) return
    // Two at a time, each of its own kind: each undoes what it has done.
    const kind = kinds[Math.floor(random() * kinds.length)]!
    if (ends.size < 2) {
      const undo = troubles[kind](world)
      const end = (): void => {
        if (ends.delete(end)) undo()
      }
      ends.add(end)
      queue.after(0.2 * seconds + random() ** 2 * longest, end)
    }
    queue.after((0.5 + random() * 6) * seconds, trouble)
  }
  if (kinds.length > 0) trouble()
  const calls = (): void => {
    if (queue.now > until) return
    world.call()
    world.look()
    queue.after(random() * 400, calls)
  }
  calls()
  await world.advance(until - queue.now)
  for (const end of [...ends]) end()
  for (const host of world.hosts) {
    host.isCut = false
    host.resume()
  }
  const healed = queue.now
  await world.advance(1)
  // Those that were on their way out come back as well.
  for (const host of world.hosts) host.start()
  world.changed()
  let recovered = 0
  let missing = world.ids.length
  for (const id of world.ids) {
    world.call(200 * seconds, id, () => {
      missing--
      recovered = queue.now - healed
    })
  }
  await world.advance(120 * seconds)
  const answered = new Set(
    world.attempts.flatMap((it) => (it.answer === undefined ? [] : [it.key]))
  )
  return {
    ...{ world, recovered, answered: answered.size },
    faults: [
      ...world.judge(),
      ...(missing > 0 ? [`${missing} counters have not answered in 120 s after all was well`] : [])
    ]
  }
}
