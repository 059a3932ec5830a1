/**
 * Members whose clocks are wrong, on a virtual clock. The seed of a failing run is in its message;
 * SEED=<number> runs all of it with that one.
 */
import { expect, test } from "vitest"
import { maxIncarnationAhead } from "../../src/mesh/membership/Incarnation.ts"
import { MembershipMesh } from "./MembershipMesh.ts"

const seed = Number(process.env["SEED"] ?? Math.floor(Math.random() * 1e9))
const note = `seed ${seed}`
const minutes = 60_000
const hours = 60 * minutes
const wallStart = 1_800_000_000_000

const everyBelief = (mesh: MembershipMesh) =>
  new Set(mesh.nodes.flatMap(({ index }) => mesh.beliefs(index)))

/** The highest incarnation that those with right clocks hold of the one whose clock is wrong. */
const heldOf = (mesh: MembershipMesh, wrong: number) =>
  Math.max(
    ...mesh.nodes
      .filter(({ index }) => index !== wrong)
      .flatMap(({ state }) =>
        state.members
          .values()
          .filter(({ peer }) => peer === mesh.nodes[wrong]!.peer)
          .map(({ incarnation }) => incarnation)
      )
  )

test.each([
  { clock: "30 min ahead", skew: 30 * minutes },
  { clock: "9 min ahead", skew: 9 * minutes },
  { clock: "15 min ahead", skew: 15 * minutes },
  { clock: "25 h ahead", skew: 25 * hours },
  { clock: "2 h behind", skew: -2 * hours },
  { clock: "25 h behind", skew: -25 * hours }
])(
  "finally: after a start with its clock $clock a mended node is believed within a minute",
  ({ skew }) => {
    for (const again of [true, false]) {
      const mesh = new MembershipMesh(12, seed)
      mesh.queue.advance(5_000)
      mesh.crash(3)
      mesh.queue.advance(60_000)
      expect(new Set(mesh.beliefs(3)), note).toEqual(new Set(["dead"]))
      mesh.nodes[3]!.skew = skew
      mesh.start(3)
      // It is accused, too: what it then denies is at an incarnation of its clock.
      for (let n = 0; n < 300; n++) {
        if (n === 150) mesh.network.reaches = (from, to) => from !== 3 && to !== 3
        if (n === 250) mesh.network.reaches = () => true
        mesh.queue.advance(1_000)
        const bound = wallStart + mesh.queue.now + maxIncarnationAhead
        expect(heldOf(mesh, 3), note).toBeLessThanOrEqual(bound)
      }
      if (again) {
        mesh.crash(3)
        mesh.nodes[3]!.skew = 0
        mesh.queue.advance(1_000)
        mesh.start(3)
      } else mesh.setClock(3, 0)
      // Whoever was cut off is met again as links come up.
      for (const { index } of mesh.nodes) {
        if (index !== 3) {
          mesh.hint(index, "LinkUp", 3)
          mesh.hint(3, "LinkUp", index)
        }
      }
      mesh.queue.advance(1 * minutes)
      expect(everyBelief(mesh), `${note}, ${again ? "started again" : "set right"}`).toEqual(
        new Set(["alive"])
      )
      // And what it denies from now on counts.
      mesh.accusePublicly(4, 3, mesh.nodes[3]!.state.incarnation)
      mesh.queue.advance(2_000)
      expect(everyBelief(mesh), note).toEqual(new Set(["alive"]))
    }
  }
)
