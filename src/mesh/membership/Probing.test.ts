import { expect, test } from "vitest"
import { NodeName, PeerKey } from "../../model/Names.ts"
import { seededRandom } from "../../testing/simulator/EventQueue.ts"
import { applyRecords } from "./MemberRecords.ts"
import { defaultMembershipOptions as options } from "./MembershipOptions.ts"
import { makeMembershipState } from "./MembershipState.ts"
import { land, launch, withSubjects } from "./Probing.ts"

const peers = ["1", "2", "3", "4", "5", "6", "7", "8", "9"].map((n) =>
  PeerKey.make(`12D3KooWPeerPeerPeer${n}`)
)

/** When which peer was probed in so many ms, each answering at once. */
const probesOf = (members: number, duration: number) => {
  const random = seededRandom(members)
  const records = peers
    .slice(0, members)
    .map((peer) => ({ peer, name: NodeName.make("host"), epoch: 1, left: false }))
  const empty = makeMembershipState(peers[0]!)
  let state = { ...empty, ...applyRecords(empty, records, 0) }
  const times: Array<{ readonly peer: PeerKey; readonly at: number }> = []
  for (let now = 0; now < duration; now += 5) {
    const moment = { now, wall: now, random }
    state = withSubjects(options, state, moment)
    for (const [peer, { nextAt }] of state.probes) {
      if (nextAt > now) continue
      times.push({ peer, at: now })
      state = launch(options, state, peer, false, now)[0]
      state = land(options, state, peer, undefined, moment, true)
    }
  }
  return times
}

test.each([
  { members: 3, interval: 1_000 },
  { members: 4, interval: 1_000 },
  { members: 5, interval: 4_000 / 3 },
  { members: 9, interval: 8_000 / 3 }
])("of $members members each other one is probed every $interval ms, ± 10 %", (of) => {
  const times = probesOf(of.members, 60_000)
  for (const other of peers.slice(1, of.members)) {
    const own = times.filter(({ peer }) => peer === other).map(({ at }) => at)
    for (const [index, at] of own.slice(1).entries()) {
      expect(at - own[index]!).toBeGreaterThanOrEqual(0.9 * of.interval)
      expect(at - own[index]!).toBeLessThanOrEqual(1.1 * of.interval + 5)
    }
  }
})

test("probes of different members come at even distances after a while", () => {
  const times = probesOf(9, 60_000).filter(({ at }) => at > 20_000)
  const gaps = times.slice(1).map(({ at }, index) => at - times[index]!.at)
  // Three a second. By chance the longest of so many would be around half of the interval.
  expect(Math.max(...gaps)).toBeLessThan(467)
})
