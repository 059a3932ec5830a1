/** What it costs a mesh that one of its nodes stops for a while, on a virtual clock. */
import { expect, test } from "vitest"
import { Simulation } from "../../src/testing/simulator/mod.ts"

const seed = Number(process.env["SEED"] ?? Math.floor(Math.random() * 1e9))

test("who doubts a node that stops asks few that it has no connection to", () => {
  const nodes = 60
  const stalls = 6
  const sim = new Simulation({ nodes, seed })
  const doubted = new Set<number>()
  sim.beliefs.add((by, about, state) => {
    if (state === "suspect") doubted.add(by.index)
    if (state === "dead") throw new Error(`node ${by.index} takes node ${about.index} for dead`)
  })
  sim.advance(5_000)
  const before = sim.handshakes
  for (let n = 0; n < stalls; n++) {
    sim.node(Math.floor(sim.random() * nodes)).pause(4_000)
    sim.advance(8_000)
  }
  expect(doubted.size, `seed ${seed}`).toBe(nodes)
  // Nineteen when each of its eight observers asks three others, and again with each ping.
  expect((sim.handshakes - before) / stalls, `seed ${seed}`).toBeLessThanOrEqual(14)
})
