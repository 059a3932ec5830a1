import { expect, it } from "vitest"
import type { PeerKey } from "../model/Names.ts"
import { BusyPeers, maxBusy } from "./BusyPeers.ts"

const peer = (n: number) => `peer-${n}` as PeerKey // only passed back

it("a peer is busy for as long as it has asked for, by its last word", () => {
  let now = 1_000
  const peers = new BusyPeers(() => now)
  expect(peers.isBusy(peer(1))).toBe(false)
  peers.told(peer(1), 500)
  now = 1_499
  expect([peers.isBusy(peer(1)), peers.isBusy(peer(2))]).toEqual([true, false])
  peers.told(peer(1), 300)
  now = 1_798
  expect(peers.isBusy(peer(1))).toBe(true)
  now = 1_799
  expect(peers.isBusy(peer(1))).toBe(false)
})

it("of more than are remembered the first is forgotten", () => {
  const peers = new BusyPeers(() => 0)
  for (let n = 0; n <= maxBusy; n++) peers.told(peer(n), 10)
  expect([peers.isBusy(peer(0)), peers.isBusy(peer(1)), peers.isBusy(peer(maxBusy))]).toEqual([
    ...[false, true, true]
  ])
})
