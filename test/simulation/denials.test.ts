/** What becomes of a node that gossip leaves out, on a virtual clock. */
import { expect, test } from "vitest"
import { memberOf } from "../../src/mesh/membership/MemberTable.ts"
import { Simulation } from "../../src/testing/simulator/mod.ts"

test("who missed a denial hears of it from others, before it buries who lives", () => {
  const sim = new Simulation({ nodes: 40, seed: 5 })
  const accused = sim.node(7)
  const { ring } = sim.node(0).membership.state
  const one = sim.nodes.find(
    ({ peer }) => peer !== accused.peer && !ring.isNear(peer, accused.peer)
  )!
  const { membership } = one
  const accusers = () => memberOf(membership.state, accused.peer)?.suspicion?.accusers.size ?? 0
  accused.pause(3_000)
  while (accusers() < 3) sim.advance(10)
  const suspecting = membership.state
  while (one.belief(accused) !== "alive") sim.advance(10)
  // As if gossip had left this one out.
  membership.state = suspecting
  const beliefs: Array<string | undefined> = []
  sim.beliefs.add((by, about, state) => {
    if (by === one && about === accused) beliefs.push(state)
  })
  sim.advance(20_000)
  expect(beliefs).toEqual(["alive"])
})
