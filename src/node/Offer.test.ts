import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { makeNodeConfig } from "../config/NodeConfig.ts"
import type { CatalogueShape } from "../mesh/catalogue/CatalogueService.ts"
import { RecordRefused } from "../mesh/catalogue/RecordRefused.ts"
import type { HealthCheckerOptions } from "../mesh/health/HealthChecker.ts"
import type { LocalService } from "../model/LocalService.ts"
import { ServiceName } from "../model/Names.ts"
import { makeOffer } from "./Offer.ts"

type Change = Parameters<CatalogueShape["updateOwn"]>[0]

const config = (...services: ReadonlyArray<readonly [name: string, ...ports: Array<number>]>) =>
  makeNodeConfig({
    node: { name: "host-a" },
    services: services.map(([name, ...ports]) => ({
      name,
      addresses: ports.map((port) => `127.0.0.1:${port}`),
      health: { tcp: {} }
    }))
  })

const shown = (services: ReadonlyArray<LocalService>): string =>
  services.map(({ name, endpoints }) => `${name} ${endpoints.map(({ port }) => port)}`).join(", ")

const told = ({ services = [] }: Change): string =>
  services
    .map(
      ({ name, endpoints }) =>
        `${name} ${endpoints.map(({ id, healthy }) => `${id.slice(10)}${healthy ? "+" : "-"}`)}`
    )
    .join(", ")

const make = Effect.gen(function* () {
  const events: Array<string> = []
  const changes: Array<Change> = []
  const refused = new RecordRefused({ code: "too_large", message: "too much" })
  const checker: { onChange: HealthCheckerOptions["onChange"] } = { onChange: () => {} }
  const offer = yield* makeOffer({
    addresses: () => ["/ip4/10.0.0.1/tcp/1"],
    inbound: {
      setServices: (services) => void events.push(`serve ${shown(services)}`),
      setHealth: (_, id, healthy) => void events.push(`health ${id.slice(10)} ${healthy}`)
    },
    catalogue: {
      updateOwn: (change) =>
        Effect.suspend(() => {
          changes.push(change)
          events.push(`tell ${told(change)}`)
          // Whatever the catalogue answers, the offer goes on.
          return Effect.fail(refused)
        })
    },
    makeHealthChecker: (options) =>
      Effect.sync(() => {
        checker.onChange = options.onChange
        return {
          setServices: (services) => Effect.sync(() => void events.push(`check ${shown(services)}`))
        }
      })
  })
  return { offer, events, changes, checker }
})

const payments = ServiceName.make("payments")

describe("Offer", () => {
  it.scoped("serves new endpoints before they are told, and old ones until it was told", () =>
    Effect.gen(function* () {
      const { offer, events } = yield* make
      yield* offer.follow(config(["payments", 1, 2], ["orders", 3]))
      events.length = 0
      yield* offer.follow(config(["payments", 2, 4], ["ledger", 5]))
      expect(events).toEqual([
        "serve payments 2,4,1, ledger 5, orders 3",
        "check payments 2,4, ledger 5",
        "tell payments 2-,4-, ledger 5-",
        "serve payments 2,4, ledger 5"
      ])
    })
  )

  it.scoped("tells addresses and services in one record", () =>
    Effect.gen(function* () {
      const { offer, changes } = yield* make
      yield* offer.follow(config(["payments", 1]))
      expect(changes.length).toBe(1)
      expect(changes[0]?.addresses).toEqual(["/ip4/10.0.0.1/tcp/1"])
      expect(changes[0]?.services?.[0]?.name).toBe("payments")
    })
  )

  it.scoped("tells what the checks find, here and to the mesh", () =>
    Effect.gen(function* () {
      const { offer, events, checker } = yield* make
      yield* offer.follow(config(["payments", 1, 2]))
      events.length = 0
      checker.onChange(payments, "127.0.0.1:2", true, "accepts connections")
      yield* Effect.yieldNow()
      expect(events).toEqual(["health 2 true", "tell payments 1-,2+"])
      checker.onChange(payments, "127.0.0.1:2", false, "refused")
      yield* Effect.yieldNow()
      expect(events.slice(2)).toEqual(["health 2 false", "tell payments 1-,2-"])
    })
  )

  it.scoped("tells what programs serve beside what config says, once there is a config", () =>
    Effect.gen(function* () {
      const { offer, events } = yield* make
      const one = { service: payments, id: "127.0.0.1:7", weight: 100, reason: "ok" }
      yield* offer.serve([{ ...one, healthy: false }])
      expect(events).toEqual([])
      yield* offer.follow(config(["payments", 1]))
      expect(events.filter((event) => event.startsWith("tell"))).toEqual(["tell payments 1-,7-"])
      events.length = 0
      yield* offer.serve([{ ...one, healthy: true }])
      yield* offer.serve([])
      expect(events).toEqual([
        "serve payments 1,0",
        "check payments 1,0",
        "tell payments 1-,7+",
        "serve payments 1,0",
        "serve payments 1,0",
        "check payments 1",
        "tell payments 1-",
        "serve payments 1"
      ])
    })
  )

  it.scoped("keeps what was found of endpoints that stay", () =>
    Effect.gen(function* () {
      const { offer, events, checker } = yield* make
      yield* offer.follow(config(["payments", 1, 2]))
      checker.onChange(payments, "127.0.0.1:1", true, "accepts connections")
      checker.onChange(payments, "127.0.0.1:2", true, "accepts connections")
      yield* offer.follow(config(["payments", 2]))
      yield* offer.follow(config(["payments", 2, 1]))
      expect(events.findLast((event) => event.startsWith("tell"))).toBe("tell payments 2+,1-")
    })
  )
})
