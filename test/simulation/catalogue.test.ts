/**
 * What the catalogue promises, on a virtual clock. The seed of a failing run is in its message;
 * SEED=<number> runs all of it with that one.
 */
import { expect, test } from "vitest"
import { lifetimes } from "../../src/mesh/catalogue/RecordEntry.ts"
import { CatalogueMesh } from "./CatalogueMesh.ts"

const seed = Number(process.env["SEED"] ?? Math.floor(Math.random() * 1e9))
const note = `seed ${seed}`
const minutes = 60_000

/** What `by` knows of the content of `about`. */
const contentAt = (mesh: CatalogueMesh, by: number, about: number): string | undefined =>
  mesh.nodes[by]!.state.catalogue.node(mesh.nodes[about]!.peer)?.record.software

test("finally: gossip alone brings a change to everybody within a second", () => {
  const mesh = new CatalogueMesh(50, seed)
  mesh.queue.advance(1_000)
  mesh.change(7, 42)
  mesh.queue.advance(1_000)
  expect(mesh.opinions(), note).toBe(1)
  expect(contentAt(mesh, 0, 7), note).toBe("42")
})

test("finally: with most gossip lost, anti-entropy brings everybody together", () => {
  const mesh = new CatalogueMesh(40, seed + 1)
  mesh.loss = 0.9
  for (let round = 0; round < 50; round++) {
    mesh.change(Math.floor(mesh.random() * 40), round)
    mesh.queue.advance(100 + mesh.random() * 1_000)
  }
  mesh.queue.advance(5 * minutes)
  expect(mesh.opinions(), note).toBe(1)
})

test("both sides of a partition go on, and agree within minutes of its end", () => {
  const mesh = new CatalogueMesh(30, seed + 2)
  mesh.queue.advance(1_000)
  mesh.reaches = (from, to) => from < 12 === to < 12
  mesh.change(3, 33)
  mesh.change(20, 44)
  mesh.change(21, 0, "left")
  mesh.queue.advance(2 * minutes)
  expect(mesh.opinions(), note).toBe(2)
  expect([contentAt(mesh, 0, 3), contentAt(mesh, 0, 20)], note).toEqual(["33", "0"])
  expect([contentAt(mesh, 29, 3), contentAt(mesh, 29, 20)], note).toEqual(["0", "44"])
  mesh.reaches = () => true
  mesh.queue.advance(4 * minutes)
  expect(mesh.opinions(), note).toBe(1)
  expect([contentAt(mesh, 29, 3), contentAt(mesh, 0, 20)], note).toEqual(["33", "44"])
})

test("always: under crashes at any moment no version is used twice; finally all agree", () => {
  const mesh = new CatalogueMesh(20, seed + 3)
  mesh.loss = 0.3
  const down: Array<number> = []
  for (let round = 0; round < 200; round++) {
    const index = Math.floor(mesh.random() * 20)
    const node = mesh.nodes[index]!
    if (mesh.random() < 0.2) {
      if (node.up) {
        mesh.crash(index)
        down.push(index)
      }
      // Clocks of restarted hosts are sometimes off, both ways.
      node.skew = Math.floor((mesh.random() - 0.5) * 5 * minutes)
    } else if (node.up) mesh.change(index, 1_000 + round)
    if (down.length > 3) mesh.start(down.shift()!)
    mesh.queue.advance(mesh.random() * 500)
  }
  for (const index of down) mesh.start(index)
  mesh.loss = 0
  const last = mesh.nodes.map(({ index }) => {
    mesh.change(index, 9_000 + index)
    return `${9_000 + index}`
  })
  mesh.queue.advance(5 * minutes)
  expect(mesh.reused, note).toEqual([])
  expect(mesh.opinions(), note).toBe(1)
  expect(
    mesh.nodes.map(({ index }) => contentAt(mesh, 0, index)),
    note
  ).toEqual(last)
})

test("finally: a node without its data directory and with a slow clock is believed again", () => {
  const mesh = new CatalogueMesh(10, seed + 4)
  mesh.queue.advance(5 * minutes)
  mesh.change(4, 1)
  mesh.queue.advance(1_000)
  mesh.crash(4)
  const node = mesh.nodes[4]!
  node.disk.epoch = undefined
  node.disk.catalogue = node.disk.catalogue.filter(() => false)
  node.skew = -8 * minutes
  mesh.start(4)
  mesh.change(4, 2)
  mesh.queue.advance(5 * minutes)
  expect(mesh.opinions(), note).toBe(1)
  expect(contentAt(mesh, 0, 4), note).toBe("2")
})

test.each([
  { clock: "30 min ahead", skew: 30 * minutes },
  { clock: "15 min ahead", skew: 15 * minutes },
  { clock: "9 min ahead", skew: 9 * minutes },
  { clock: "25 h ahead", skew: 25 * 60 * minutes },
  { clock: "2 h behind", skew: -120 * minutes },
  { clock: "25 h behind", skew: -25 * 60 * minutes }
])(
  "finally: a node with its clock $clock keeps what it knew, and heals within a minute of it",
  ({ skew }) => {
    for (const again of [true, false]) {
      const mesh = new CatalogueMesh(12, seed + 6)
      mesh.queue.advance(5 * minutes)
      mesh.crash(4)
      const node = mesh.nodes[4]!
      node.skew = skew
      mesh.start(4)
      expect(node.state.catalogue.size, note).toBe(12)
      mesh.change(4, 2)
      mesh.change(7, 3)
      mesh.queue.advance(5 * minutes)
      expect(node.state.catalogue.size, note).toBe(12)
      if (again) mesh.crash(4)
      node.skew = 0
      if (again) mesh.start(4)
      mesh.change(4, 4)
      mesh.queue.advance(1 * minutes)
      expect(contentAt(mesh, 0, 4), note).toBe("4")
      expect(contentAt(mesh, 4, 7), note).toBe("3")
      expect(mesh.opinions(), note).toBe(1)
      expect(node.state.own.epoch - node.disk.epoch!, note).toBe(0)
    }
  }
)

test("finally: a tombstone beats the record that a node cut off for long still holds", () => {
  const mesh = new CatalogueMesh(5, seed + 5, 100)
  mesh.queue.advance(10 * minutes)
  mesh.crash(4)
  mesh.change(1, 0, "left")
  mesh.queue.advance(10 * minutes)
  mesh.crash(1)
  // The other three go on until the record has nearly ended; the tombstone is still there.
  mesh.queue.advance(lifetimes.record - 60 * minutes)
  mesh.start(4)
  mesh.queue.advance(500 * minutes)
  expect(mesh.opinions(), note).toBe(1)
  const peer = mesh.nodes[1]!.peer
  expect(mesh.nodes[4]!.state.catalogue.node(peer)?.record.state, note).toBe("left")
  mesh.queue.advance(lifetimes.tombstone)
  expect(mesh.nodes[4]!.state.catalogue.node(peer), note).toBeUndefined()
})
