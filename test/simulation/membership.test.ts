/**
 * What failure detection promises, on a virtual clock. The seed of a failing run is in its
 * message; SEED=<number> runs all of it with that one.
 */
import { expect, test } from "vitest"
import { MembershipMesh } from "./MembershipMesh.ts"

const seed = Number(process.env["SEED"] ?? Math.floor(Math.random() * 1e9))
const note = `seed ${seed}`

/** Whoever was believed dead by anybody, as `by→about`. */
const deathsIn = (mesh: MembershipMesh): Array<string> => {
  const deaths: Array<string> = []
  mesh.onChange.push((by, about, state) => {
    if (state === "dead") deaths.push(`${by}→${about}`)
  })
  return deaths
}

const everyBelief = (mesh: MembershipMesh) =>
  new Set(mesh.nodes.filter(({ up }) => up).flatMap(({ index }) => mesh.beliefs(index)))

test("always: on a lossy network nobody who lives is believed dead", () => {
  const mesh = new MembershipMesh(60, seed)
  mesh.network.loss = 0.05
  mesh.network.latency = [1, 80]
  const deaths = deathsIn(mesh)
  mesh.queue.advance(60_000)
  expect(deaths, note).toEqual([])
})

test("finally: a crashed node is dead everywhere within 20 s, and nobody else is", () => {
  const mesh = new MembershipMesh(100, seed + 1)
  mesh.network.loss = 0.01
  mesh.queue.advance(5_000)
  mesh.crash(17)
  mesh.queue.advance(20_000)
  expect(new Set(mesh.beliefs(17)), note).toEqual(new Set(["dead"]))
  for (const { index } of mesh.nodes) {
    if (index !== 17) expect(new Set(mesh.beliefs(index)), note).not.toContain("dead")
  }
})

test("finally: ten crashes at once are ten deaths", () => {
  const mesh = new MembershipMesh(60, seed + 2)
  mesh.queue.advance(5_000)
  for (let index = 0; index < 10; index++) mesh.crash(index)
  mesh.queue.advance(60_000)
  for (const { index, up } of mesh.nodes) {
    expect(new Set(mesh.beliefs(index)), note).toEqual(new Set([up ? "alive" : "dead"]))
  }
})

test("always: a node that stalls for seconds at a time is not believed dead by all, nor kills", () => {
  const mesh = new MembershipMesh(40, seed + 3)
  const deaths = deathsIn(mesh)
  for (let round = 0; round < 10; round++) {
    mesh.stall(7, 3_000)
    mesh.queue.advance(5_000)
    const beliefs = mesh.beliefs(7)
    expect(beliefs.filter((state) => state === "dead").length, note).toBeLessThan(beliefs.length)
  }
  expect(
    deaths.filter((death) => !death.endsWith("→7")),
    note
  ).toEqual([])
  mesh.queue.advance(30_000)
  expect(new Set(mesh.beliefs(7)), note).toEqual(new Set(["alive"]))
})

test("always: a link broken between two nodes only kills neither", () => {
  for (const size of [3, 12, 40]) {
    const mesh = new MembershipMesh(size, seed + 4)
    const deaths = deathsIn(mesh)
    mesh.network.reaches = (from, to) => from + to !== 1
    mesh.hint(0, "LinkDown", 1)
    mesh.hint(1, "LinkDown", 0)
    mesh.queue.advance(60_000)
    expect(deaths, `${note}, ${size} nodes`).toEqual([])
  }
})

test("finally: after a partition heals everybody believes everybody alive", () => {
  const mesh = new MembershipMesh(50, seed + 5)
  mesh.queue.advance(5_000)
  const isLeft = (index: number) => index < 20
  mesh.network.reaches = (from, to) => isLeft(from) === isLeft(to)
  mesh.queue.advance(90_000)
  for (const by of mesh.nodes) {
    for (const about of mesh.nodes) {
      if (by === about) continue
      const expected = isLeft(by.index) === isLeft(about.index) ? "alive" : "dead"
      expect(mesh.belief(by.index, about.index), note).toBe(expected)
    }
  }
  mesh.network.reaches = () => true
  // Links come back one after the other, as the link pool's back-off has it.
  for (let round = 0; round < 10; round++) {
    for (let n = 0; n < 10; n++) {
      const [a, b] = [Math.floor(mesh.random() * 20), 20 + Math.floor(mesh.random() * 30)]
      mesh.hint(a, "LinkUp", b)
      mesh.hint(b, "LinkUp", a)
    }
    mesh.queue.advance(1_000)
  }
  mesh.queue.advance(120_000)
  expect(everyBelief(mesh), note).toEqual(new Set(["alive"]))
})

test("finally: a node that starts again is alive everywhere", () => {
  const mesh = new MembershipMesh(30, seed + 6)
  mesh.queue.advance(5_000)
  mesh.crash(3)
  mesh.queue.advance(60_000)
  expect(new Set(mesh.beliefs(3)), note).toEqual(new Set(["dead"]))
  mesh.start(3)
  mesh.queue.advance(5_000)
  expect(everyBelief(mesh), note).toEqual(new Set(["alive"]))
})

test("finally: a newcomer learns from the others who is dead", () => {
  const mesh = new MembershipMesh(31, seed + 7, 30)
  mesh.queue.advance(5_000)
  mesh.crash(3)
  mesh.queue.advance(60_000)
  mesh.start(30)
  mesh.queue.advance(60_000)
  expect(mesh.belief(30, 3), note).toBe("dead")
  expect(new Set(mesh.beliefs(30)), note).toEqual(new Set(["alive"]))
})

test("finally: of two members one decides alone", () => {
  const mesh = new MembershipMesh(2, seed + 8)
  mesh.queue.advance(5_000)
  mesh.crash(1)
  mesh.queue.advance(10_000)
  expect(mesh.belief(0, 1), note).toBe("dead")
})

test("always: of three, one cut off from both takes its time", () => {
  const mesh = new MembershipMesh(3, seed + 9)
  mesh.queue.advance(5_000)
  mesh.network.reaches = (from, to) => (from === 0) === (to === 0)
  mesh.queue.advance(12_000)
  // The two agree about the one; the one alone has to wait the longest.
  expect(mesh.belief(1, 0), note).toBe("dead")
  expect(mesh.belief(2, 0), note).toBe("dead")
  expect(mesh.belief(0, 1), note).toBe("suspect")
  expect(mesh.belief(0, 2), note).toBe("suspect")
})
