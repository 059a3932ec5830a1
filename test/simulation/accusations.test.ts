/**
 * What a member with a will of its own achieves by accusing another, on a virtual clock. The seed of
 * a failing run is in its message; SEED=<number> runs all of it with that one.
 */
import { expect, test } from "vitest"
import { ObserverRing } from "../../src/mesh/membership/ObserverRing.ts"
import { MembershipMesh, peerOf } from "./MembershipMesh.ts"

const seed = Number(process.env["SEED"] ?? Math.floor(Math.random() * 1e9))
const note = `seed ${seed}`
const size = 18
const victim = 0

const ring = ObserverRing.of(Array.from({ length: size }, (_, index) => peerOf(index)))
const others = Array.from({ length: size - 1 }, (_, index) => index + 1)
const observers = new Set(ring.observersOf(peerOf(victim)))
const observer = others.find((index) => observers.has(peerOf(index)))!
const outsider = others.find((index) => !ring.isNear(peerOf(index), peerOf(victim)))!

const incarnationOf = (mesh: MembershipMesh) => mesh.nodes[victim]!.state.incarnation

/** Milliseconds in which somebody other than the accuser held the victim for less than alive. */
const timeInDoubt = (mesh: MembershipMesh, accuser: number) => {
  const since = new Map<number, number>()
  let total = 0
  mesh.onChange.push((by, about, state) => {
    if (about !== victim || by === accuser) return
    if (state !== "alive") since.set(by, since.get(by) ?? mesh.queue.now)
    else {
      total += mesh.queue.now - (since.get(by) ?? mesh.queue.now)
      since.delete(by)
    }
  })
  return () => total + [...since.values()].reduce((sum, at) => sum + mesh.queue.now - at, 0)
}

interface Flood {
  readonly by: number
  /** Above what the victim last said. */
  readonly ahead: number
  readonly seconds: number
}

/** To its face all the time, and at the rate of 10,000/s for one second in every hundred. */
const flood = (mesh: MembershipMesh, { by, ahead, seconds }: Flood) => {
  for (let second = 0; second < seconds; second++) {
    const inOneStep = second % 100 === 0 ? 2_500 : 5
    for (let step = 0; step < 4; step++) {
      for (let n = 0; n < inOneStep; n++) {
        mesh.accuseToItsFace(by, victim, incarnationOf(mesh) + ahead)
      }
      mesh.accusePublicly(by, victim, incarnationOf(mesh) + ahead)
      mesh.queue.advance(250)
    }
  }
}

test.each<{ what: string; denials: number } & Flood>([
  { what: "an observer", by: observer, ahead: 0, seconds: 3_600, denials: 3_600 },
  { what: "an observer, ahead,", by: observer, ahead: 3, seconds: 300, denials: 0 },
  { what: "somebody else", by: outsider, ahead: 0, seconds: 600, denials: 60 },
  { what: "somebody else, ahead,", by: outsider, ahead: 3, seconds: 300, denials: 0 }
])(
  "always: whom $what accuses without end lives on, and denies at most $denials times",
  (how) => {
    const mesh = new MembershipMesh(size, seed)
    mesh.queue.advance(5_000)
    const before = incarnationOf(mesh)
    const deaths: Array<string> = []
    mesh.onChange.push((by, about, state) => {
      if (state === "dead") deaths.push(`${by}→${about}`)
    })
    const doubt = timeInDoubt(mesh, how.by)
    flood(mesh, how)
    expect(deaths, note).toEqual([])
    expect(incarnationOf(mesh) - before, note).toBeLessThanOrEqual(how.denials + 1)
    expect(mesh.nodes[victim]!.said, note).toBeLessThanOrEqual(how.denials + 1)
    for (const { index, said } of mesh.nodes) {
      // Nobody else has anything to say to it.
      if (index !== how.by && index !== victim) expect(said, note).toBeLessThanOrEqual(10)
    }
    // The first accusation of an observer is believed until it is denied; those that follow are not.
    expect(doubt() / size, note).toBeLessThan(1_000)
  },
  120_000
)

test("finally: one that is accused without end and then really dies is found dead as soon as ever", () => {
  const mesh = new MembershipMesh(size, seed + 1)
  mesh.queue.advance(5_000)
  const accuse = () => mesh.accusePublicly(observer, victim, incarnationOf(mesh))
  for (let second = 0; second < 60; second++) {
    accuse()
    mesh.queue.advance(1_000)
  }
  mesh.crash(victim)
  mesh.queue.advance(20_000)
  expect(new Set(mesh.beliefs(victim)), note).toEqual(new Set(["dead"]))
})

test("finally: one that answers nobody, and denies for long, is found dead within a minute of its end", () => {
  const mesh = new MembershipMesh(size, seed + 3)
  const deaths: Array<string> = []
  mesh.onChange.push((by, about, state) => {
    if (state === "dead") deaths.push(`${by}→${about}`)
  })
  mesh.queue.advance(5_000)
  mesh.mute(victim)
  mesh.queue.advance(600_000)
  const { said } = mesh.nodes[victim]!
  mesh.queue.advance(120_000)
  expect(deaths, note).toEqual([])
  // Three that agree, each half minute.
  expect(mesh.nodes[victim]!.said - said, note).toBeLessThanOrEqual(12)
  // It dies when it has just denied: nobody says anything against it for as long as ever.
  const before = incarnationOf(mesh)
  while (incarnationOf(mesh) === before) mesh.queue.advance(100)
  mesh.crash(victim)
  mesh.queue.advance(60_000)
  expect(new Set(mesh.beliefs(victim)), note).toEqual(new Set(["dead"]))
})

test("finally: one that all its observers accused wrongly is found dead as soon as ever", () => {
  const mesh = new MembershipMesh(size, seed + 2)
  mesh.queue.advance(5_000)
  for (const by of others) {
    if (observers.has(peerOf(by))) mesh.accusePublicly(by, victim, incarnationOf(mesh))
  }
  mesh.queue.advance(3_000)
  expect(new Set(mesh.beliefs(victim)), note).toEqual(new Set(["alive"]))
  mesh.crash(victim)
  mesh.queue.advance(20_000)
  expect(new Set(mesh.beliefs(victim)), note).toEqual(new Set(["dead"]))
})
