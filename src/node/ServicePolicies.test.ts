import { expect, test } from "vitest"
import { makeNodeConfig, type NodeConfig } from "../config/NodeConfig.ts"
import { Catalogue } from "../mesh/catalogue/Catalogue.ts"
import type { EntryChange } from "../mesh/catalogue/CatalogueChange.ts"
import { nodeEntry } from "../mesh/catalogue/RecordEntry.ts"
import { NodeName, PeerKey, ServiceName } from "../model/Names.ts"
import type { Policy } from "../model/Policy.ts"
import type { SettingBody, SettingInForce } from "../model/Setting.ts"
import { makePolicy, type PolicyInput } from "../schema/PolicySchema.ts"
import type { KindListener } from "./MeshSettings.ts"
import { ServicePolicies } from "./ServicePolicies.ts"

const payments = ServiceName.make("payments")

/** What one node says of payments; undefined: nothing. */
const entryOf = (index: number, epoch: number, policy: PolicyInput | undefined) => {
  const record = {
    ...{ peer: PeerKey.make(`12D3KooWPeer${"A".repeat(10)}${index}`), addresses: [] },
    ...{ name: NodeName.make(`host-${index}`), software: "skein/test", state: "serving" as const },
    ...{ epoch, version: 0, signedAt: epoch },
    services: [
      {
        ...{ name: payments, protocol: "http" as const, endpoints: [] },
        ...(policy === undefined ? {} : { policy: { ...policy } })
      }
    ]
  }
  return nodeEntry(record, [], new TextEncoder().encode(JSON.stringify(record)))
}

const settingOf = (body: SettingBody): SettingInForce => ({
  ...{ kind: "policy", name: payments, body, conflict: [], author: "ann", why: undefined },
  ...{ node: NodeName.make("host-9"), signer: PeerKey.make(`12D3KooWPeer${"A".repeat(10)}9`) },
  ...{ epoch: 1, version: 0, signedAt: 1 }
})

const make = (config: NodeConfig, catalogue = Catalogue.empty) => {
  const told: Array<ReadonlyMap<ServiceName, Policy>> = []
  const turn: Array<() => void> = []
  const endTurn = () => {
    for (const run of turn.splice(0)) run()
  }
  let follow: (catalogue: Catalogue, changes: ReadonlyArray<EntryChange>) => void = () => {}
  let settings: KindListener = () => {}
  const policies = new ServicePolicies({
    ...{ config, configName: "skein.yaml" },
    settings: {
      subscribe: (_, listener) => {
        settings = listener
        listener(new Map())
        return () => {}
      }
    },
    catalogue: {
      current: () => catalogue,
      subscribe: (listener) => {
        follow = listener
        return () => {}
      }
    },
    tell: (policies) => told.push(policies),
    later: (run) => turn.push(run)
  })
  return {
    told,
    policies,
    endTurn,
    latest: () => {
      endTurn()
      return told.at(-1)?.get(payments)
    },
    set: (body: SettingBody | undefined) =>
      settings(new Map(body === undefined ? [] : [[payments, settingOf(body)]])),
    change: (...changes: ReadonlyArray<EntryChange>) => follow(catalogue, changes)
  }
}

const withPolicy = (policy: PolicyInput) => makeNodeConfig({ policies: { payments: policy } })

test("the config goes before the mesh, that before the service's own node, live", () => {
  const first = entryOf(1, 5, { timeout: { request: "9s" }, breaker: "off" })
  const world = make(withPolicy({ retry: { attempts: 2 } }), Catalogue.empty.merge(first)[0])
  expect(world.latest()).toEqual(makePolicy({ timeout: { request: "9s" }, breaker: "off" }))
  world.set({ timeout: { request: "3s" }, retry: { attempts: 7 } })
  expect(world.latest()).toEqual(makePolicy({ timeout: { request: "3s" }, breaker: "off" }))
  world.policies.follow(withPolicy({ timeout: { request: "1s" } }))
  expect(world.latest()).toEqual(
    makePolicy({ timeout: { request: "1s" }, retry: { attempts: 7 }, breaker: "off" })
  )
  world.set(undefined)
  world.change({ before: first, after: undefined })
  expect(world.latest()).toEqual(makePolicy({ timeout: { request: "1s" } }))
  world.policies.follow(makeNodeConfig({}))
  expect(world.told.at(-1)?.size).toBe(0)
})

test("request threads are told once a turn when something else holds, and only then", () => {
  const first = entryOf(1, 5, { breaker: "off" })
  const world = make(makeNodeConfig({}), Catalogue.empty.merge(first)[0])
  expect(world.told).toHaveLength(1)
  world.change({ before: first, after: entryOf(1, 6, { breaker: "off" }) })
  world.set({})
  world.endTurn()
  expect(world.told).toHaveLength(1)
  world.set({ retry: { attempts: 1 } })
  world.set({ retry: "off" })
  world.endTurn()
  expect(world.told).toHaveLength(2)
  // Who asked for another config is answered when it is in effect.
  world.policies.follow(withPolicy({ retry: { attempts: 4 } }))
  expect(world.told).toHaveLength(3)
})

test("of nodes that say different things the one that has run longest is believed", () => {
  const old = entryOf(2, 5, { timeout: { request: "5s" } })
  const young = entryOf(1, 6, { timeout: { request: "6s" } })
  const world = make(makeNodeConfig({}))
  world.change({ before: undefined, after: young })
  expect(world.latest()?.timeout.request).toBe(6_000)
  world.change({ before: undefined, after: old })
  expect(world.latest()?.timeout.request).toBe(5_000)
  // It says nothing of it any more, though it offers it.
  world.change({ before: old, after: entryOf(2, 5, undefined) })
  expect(world.latest()?.timeout.request).toBe(6_000)
  const { layers } = world.policies.explain(payments)
  expect(layers).toMatchObject([{ source: "owner", by: "host-1" }])
})

test("of a config that nobody wrote, all is said", () => {
  const { writtenPolicies: _, ...config } = withPolicy({ retry: "off" })
  const world = make(config)
  world.set({ timeout: { idle: "1m" }, retry: { attempts: 9 } })
  expect(world.latest()).toEqual(makePolicy({ retry: "off" }))
})
