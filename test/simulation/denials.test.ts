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
  const until = (what: string, holds: () => boolean): void => {
    for (let waited = 0; !holds(); waited += 10) {
      if (waited > 20_000) throw new Error(`it has not come to it that ${what}`)
      sim.advance(10)
    }
  }
  // Longer than its observers take to look at it, each every 2.7 s.
  accused.pause(4_000)
  until("three have accused it", () => accusers() >= 3)
  const suspecting = membership.state
  until("its denial has come", () => one.belief(accused) === "alive")
  // As if gossip had left this one out.
  membership.state = suspecting
  const beliefs: Array<string | undefined> = []
  sim.beliefs.add((by, about, state) => {
    if (by === one && about === accused) beliefs.push(state)
  })
  sim.advance(20_000)
  expect(beliefs).toEqual(["alive"])
})
