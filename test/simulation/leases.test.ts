/**
 * Leases and fencing, in a world where everything happens that happens to hosts and databases. What must
 * hold whatever happens: two owners never both save, and no acknowledged save is lost. What must hold unless
 * the store's clock jumps: nobody begins anything while another may, and no read is from the past.
 */
import { describe, expect, it } from "vitest"
import { defaultLeaseTimes } from "../../src/entity/store/LeaseStep.ts"
import type { LeaseHost } from "./LeaseHost.ts"
import { LeaseMesh } from "./LeaseMesh.ts"

const times = defaultLeaseTimes
const seconds = 1_000

/** Each begins something that is wrong, and returns how it ends. */
const troubles = {
  "a host is cut from the store": (mesh: LeaseMesh) => {
    const host = anyOf(mesh)
    host.isCut = true
    return () => {
      host.isCut = false
    }
  },
  "a host is cut from the store and from the others": (mesh: LeaseMesh) => {
    const host = anyOf(mesh)
    host.isCut = true
    host.isAlone = true
    mesh.changed()
    return () => {
      host.isCut = false
      host.isAlone = false
      mesh.changed()
    }
  },
  "a host is cut from the others": (mesh: LeaseMesh) => {
    const host = anyOf(mesh)
    host.isAlone = true
    mesh.changed()
    return () => {
      host.isAlone = false
      mesh.changed()
    }
  },
  "a host stands still": (mesh: LeaseMesh) => {
    const host = anyOf(mesh)
    host.isPaused = true
    mesh.changed()
    return () => {
      host.resume()
      mesh.changed()
    }
  },
  "a host crashes and is started again": (mesh: LeaseMesh) => {
    const host = anyOf(mesh)
    host.crash()
    mesh.changed()
    return () => {
      host.start()
      mesh.changed()
    }
  },
  "half of the hosts leave and come back": (mesh: LeaseMesh) => {
    const leaving = mesh.hosts.filter(() => mesh.random() < 0.5)
    for (const host of leaving) host.want([])
    mesh.changed()
    return () => mesh.changed()
  },
  "the store is away": (mesh: LeaseMesh) => {
    mesh.isStoreDown = true
    return () => {
      mesh.isStoreDown = false
    }
  },
  "the store is slow": (mesh: LeaseMesh) => {
    mesh.storeDelay = 100 + mesh.random() * 4_000
    return () => {
      mesh.storeDelay = 0
    }
  },
  "the store's clock jumps": (mesh: LeaseMesh) => {
    mesh.clockOff += (mesh.random() - 0.5) * 2 * 60_000
    return () => undefined
  }
} as const
type Trouble = keyof typeof troubles

const anyOf = ({ hosts, random }: LeaseMesh): LeaseHost =>
  hosts[Math.floor(random() * hosts.length)]!

interface Outcome {
  readonly mesh: LeaseMesh
  readonly faults: ReadonlyArray<string>
  readonly answered: number
  /** From the last trouble's end until every shard was served, ms. */
  readonly recovered: number
}

/** Two minutes of calls, and of troubles that overlap; then all is well, and is to become so. */
const run = (seed: number, kinds: ReadonlyArray<Trouble>): Outcome => {
  const mesh = new LeaseMesh({ seed, hosts: 4, shards: 8, times })
  mesh.mayOverlap = kinds.includes("the store's clock jumps")
  mesh.queue.advance(5 * seconds)
  const until = 125 * seconds
  let current = 0
  const trouble = (): void => {
    if (mesh.queue.now > until - 40 * seconds) return
    const kind = kinds[Math.floor(mesh.random() * kinds.length)]!
    // One at a time for what is of one host or of the store: each undoes only its own.
    if (current < 2) {
      current++
      const end = troubles[kind](mesh)
      mesh.queue.after((0.2 + mesh.random() ** 2 * 30) * seconds, () => {
        current--
        end()
      })
    }
    mesh.queue.after((0.5 + mesh.random() * 8) * seconds, trouble)
  }
  if (kinds.length > 0) trouble()
  const calls = (): void => {
    if (mesh.queue.now > until) return
    mesh.call()
    mesh.look()
    mesh.queue.after(mesh.random() * 300, calls)
  }
  calls()
  mesh.queue.advance(until - mesh.queue.now - 10 * seconds)
  for (const host of mesh.hosts) {
    host.isCut = false
    host.isAlone = false
    if (!host.isUp) host.start()
    host.resume()
  }
  mesh.isStoreDown = false
  mesh.storeDelay = 0
  mesh.changed()
  let recovered = 0
  while (!mesh.isServed && recovered < 300 * seconds) {
    mesh.queue.advance(100)
    recovered += 100
  }
  mesh.queue.advance(200 * seconds)
  return {
    ...{ mesh, faults: mesh.judge(), recovered },
    answered: new Set(
      mesh.attempts.flatMap(({ answer, key }) => (answer === undefined ? [] : [key]))
    ).size
  }
}

const seeds = Array.from({ length: 5 }, (_, index) => index + 1)

describe("actors under leases", () => {
  it("are all served, and every call is answered, when nothing is wrong", () => {
    const { answered, faults, mesh, recovered } = run(1, [])
    expect(faults).toEqual([])
    expect(recovered).toBe(0)
    expect(answered).toBe(new Set(mesh.attempts.map(({ key }) => key)).size)
    expect(answered).toBeGreaterThan(600)
  })

  // A lease that nobody renews any more, a try of who waits for it, and word of who is there.
  const bound = times.ttl + 2 * times.retry + 7 * seconds

  it.each(Object.keys(troubles) as ReadonlyArray<Trouble>)("keep to it while %s", (kind) => {
    for (const seed of seeds) {
      const { answered, faults, recovered } = run(seed, [kind])
      expect(faults, `seed ${seed}`).toEqual([])
      // A clock that was set back by a minute makes leases longer by so much.
      const jump = kind === "the store's clock jumps" ? 60 * seconds : 0
      expect(recovered, `seed ${seed}`).toBeLessThanOrEqual(bound + jump)
      expect(answered, `seed ${seed}`).toBeGreaterThan(250)
    }
  })

  it("keep to it while all of it happens", () => {
    for (const seed of seeds) {
      const { faults } = run(seed, Object.keys(troubles) as ReadonlyArray<Trouble>)
      expect(faults, `seed ${seed}`).toEqual([])
    }
  })

  it("are saved by one owner alone where two run the same, because the store's clock jumped", () => {
    let overlaps = 0
    for (const seed of seeds) {
      const clock = "the store's clock jumps"
      const { faults, mesh } = run(seed, ["a host is cut from the others", clock, clock])
      expect(faults, `seed ${seed}`).toEqual([])
      overlaps += mesh.overlaps
    }
    // Leases cannot help there: it is the fencing that held.
    expect(overlaps).toBeGreaterThan(10)
  })
})
