import { expect, test } from "vitest"
import { Simulation } from "./Simulation.ts"

/** What happened, in numbers that nothing can happen without changing. */
const account = (seed: number) => {
  const sim = new Simulation({ nodes: 40, seed, network: { loss: 0.02 } })
  sim.advance(3_000)
  sim.node(3).crash()
  sim.node(7).pause(4_000)
  sim.node(9).catalogue.change({ software: "2" })
  sim.advance(10_000)
  sim.node(3).start()
  sim.advance(10_000)
  return { ran: sim.queue.ran, bytes: sim.bytes, work: sim.work, handshakes: sim.handshakes }
}

test("a seed gives one run, and another seed another one", () => {
  const first = account(7)
  expect(account(7)).toEqual(first)
  expect(account(8)).not.toEqual(first)
})

test("a settled mesh is whole, and stays so without handshakes", () => {
  const sim = new Simulation({ nodes: 60, seed: 1 })
  expect(sim.isWhole()).toBe(true)
  sim.advance(60_000)
  expect(sim.isWhole()).toBe(true)
  expect(sim.handshakes).toBe(0)
  expect(sim.lateness()).toBeLessThan(20)
})

test("nodes that come to know the same in different order hold one catalogue and one ring", () => {
  const sim = new Simulation({ nodes: 40, seed: 2 })
  for (const index of [1, 2, 3]) sim.node(index).catalogue.change({ software: "2" })
  for (const index of [4, 5]) sim.node(index).crash()
  sim.advance(30_000)
  const { up } = sim
  expect(new Set(up.map(({ catalogue }) => catalogue.state.catalogue)).size).toBe(1)
  expect(new Set(up.map(({ membership }) => membership.state.ring)).size).toBe(1)
  expect(up[0]!.membership.state.ring.size).toBe(38)
})

test("work that is more than a host has makes its nodes late", () => {
  const sim = new Simulation({ nodes: 12, seed: 3, nodesPerHost: 12, cores: 1 })
  sim.advance(5_000)
  expect(sim.lateness()).toBeLessThan(50)
  for (let n = 0; n < 100; n++) sim.node(0).loop.run(10, () => {})
  sim.advance(500)
  expect(sim.node(0).loop.behind).toBeGreaterThan(400)
  sim.advance(2_000)
  expect(sim.lateness()).toBeGreaterThan(400)
  expect(sim.node(0).loop.behind).toBe(0)
})

test("a stopped node hears nothing until it goes on, and then all of it", () => {
  const sim = new Simulation({ nodes: 12, seed: 4 })
  sim.advance(1_000)
  sim.node(0).pause(5_000)
  sim.node(1).catalogue.change({ software: "2" })
  const held = () => sim.node(0).catalogue.state.catalogue.node(sim.node(1).peer)?.record.software
  sim.advance(4_900)
  expect(held()).toBe("0")
  sim.advance(1_000)
  expect(held()).toBe("2")
})

test("what a cut holds back comes after it, as TCP tries again", () => {
  const sim = new Simulation({ nodes: 3, seed: 5 })
  sim.advance(1_000)
  const heal = sim.partition((index) => (index === 0 ? 0 : 1))
  sim.node(1).catalogue.change({ software: "2" })
  // Not for so long that the others take it for dead and give the connection up.
  sim.advance(3_000)
  expect(sim.opinions()).toBe(2)
  heal()
  sim.advance(4_000)
  expect(sim.opinions()).toBe(1)
  expect(sim.handshakes).toBe(0)
})
