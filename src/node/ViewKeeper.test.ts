import { expect, test } from "vitest"
import { nodeEntry } from "../mesh/catalogue/RecordEntry.ts"
import type { ViewChange } from "../model/MeshView.ts"
import { NodeName, PeerKey, ServiceName } from "../model/Names.ts"
import { ViewKeeper } from "./ViewKeeper.ts"

const [own, other] = ["1", "2"].map((n) => PeerKey.make(`12D3KooWPeerPeerPeer${n}`))
const payments = ServiceName.make("payments")

const entry = (peer: PeerKey, version: number, healthy: boolean) => {
  const endpoints = [{ id: "0", healthy, draining: false, weight: 100 }]
  return nodeEntry(
    {
      ...{ peer, name: NodeName.make("host"), addresses: [], epoch: 1, version, signedAt: 1 },
      ...{
        state: "serving",
        software: "",
        services: [{ name: payments, protocol: "http", endpoints }]
      }
    },
    [],
    new Uint8Array([version])
  )
}

const begin = () => {
  let state: "alive" | "dead" = "alive"
  const turn: Array<() => void> = []
  const keeper = new ViewKeeper({
    self: own!,
    memberOf: () => state,
    later: (run) => turn.push(run)
  })
  const told: Array<ViewChange> = []
  keeper.view.subscribe((_, change) => told.push(change))
  return {
    keeper,
    told,
    say: (next: typeof state) => {
      state = next
      keeper.members([other!])
    },
    endTurn: () => {
      for (const run of turn.splice(0)) run()
    },
    seen: () => keeper.view.current.services.get(payments)?.endpoints
  }
}

test("what is said in one turn is one change, at its end", () => {
  const { endTurn, keeper, say, seen, told } = begin()
  const [first, second] = [entry(other!, 1, true), entry(other!, 2, false)]
  keeper.records([{ before: undefined, after: first }])
  keeper.records([{ before: undefined, after: entry(own!, 1, true) }])
  keeper.records([{ before: first, after: second }])
  say("dead")
  expect(seen()).toBeUndefined()
  endTurn()
  expect(told.map(({ since, version }) => [since, version])).toEqual([[0, 1]])
  expect(seen()).toMatchObject([
    { peer: own, healthy: true, member: "alive" },
    { peer: other, healthy: false, member: "dead" }
  ])
  endTurn()
  say("dead")
  endTurn()
  expect(told.length).toBe(1)
  keeper.records([{ before: second, after: undefined }])
  endTurn()
  expect(told[1]).toEqual({
    ...{ version: 2, since: 1, gone: [] },
    services: [
      { ...{ name: payments, protocol: "http", set: [] }, removed: [`${other}/payments/0`] }
    ]
  })
})

test("who cannot wait for the end of the turn has it shown at once", () => {
  const { endTurn, keeper, seen, told } = begin()
  keeper.records([{ before: undefined, after: entry(other!, 1, true) }])
  keeper.show()
  expect(seen()?.length).toBe(1)
  endTurn()
  expect(told.length).toBe(1)
})
