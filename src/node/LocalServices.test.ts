import { describe, expect, it } from "vitest"
import { makeNodeConfig } from "../config/NodeConfig.ts"
import { ServiceName } from "../model/Names.ts"
import { EndpointHealth, localServices, serviceEntries } from "./LocalServices.ts"

const config = (services: ReadonlyArray<object>) =>
  makeNodeConfig({
    node: { name: "host-a" },
    services: services.map((service) => ({
      name: "payments",
      address: "127.0.0.1:8081",
      ...service
    }))
  })

const payments = ServiceName.make("payments")

describe("localServices", () => {
  it("names endpoints after their addresses, whatever their order", () => {
    const ids = (addresses: ReadonlyArray<string>) =>
      localServices(config([{ address: undefined, addresses }]))
        .flatMap(({ endpoints }) => endpoints)
        .map(({ id, host, port }) => [id, host, port])
    expect(ids(["[::1]:1", "127.0.0.1:2"])).toEqual([
      ["[::1]:1", "::1", 1],
      ["127.0.0.1:2", "127.0.0.1", 2]
    ])
    expect(ids(["127.0.0.1:2", "[::1]:1"])).toEqual(ids(["[::1]:1", "127.0.0.1:2"]).reverse())
  })

  it("gives long addresses that differ only at the start ids that differ and fit", () => {
    const rest = "payments-headless.a-namespace-with-a-long-name.svc.cluster.local:8080"
    const addresses = [`pod-0.${rest}`, `pod-1.${rest}`]
    const [one, two] = localServices(config([{ address: undefined, addresses }]))[0]!.endpoints
    expect(one!.id).not.toBe(two!.id)
    expect([one!.id.length, two!.id.length]).toEqual([64, 64])
    expect(one!.host).toBe(addresses[0]!.slice(0, -5))
  })

  it("knows the three kinds of check", () => {
    const kinds = [undefined, { http: { path: "/up" } }, { tcp: {} }].map(
      (health) =>
        localServices(config([health === undefined ? {} : { health }]))[0]!.endpoints[0]!.health
    )
    expect(kinds).toEqual([
      { kind: "none" },
      { kind: "http", path: "/up", interval: 2_000, timeout: 1_000 },
      { kind: "tcp", interval: 2_000, timeout: 1_000 }
    ])
  })
})

describe("EndpointHealth", () => {
  const unchecked = localServices(config([{}]))
  const checked = localServices(config([{ health: { tcp: {} } }]))
  const healthOf = (health: EndpointHealth, services = checked) =>
    serviceEntries(services, health)[0]!.endpoints[0]!.healthy

  it("takes an endpoint without a check for well, and one with a check when it was found so", () => {
    const health = new EndpointHealth()
    expect(healthOf(health, unchecked)).toBe(true)
    expect(healthOf(health)).toBe(false)
    health.set(payments, "127.0.0.1:8081", true)
    expect(healthOf(health)).toBe(true)
    health.set(payments, "127.0.0.1:8081", false)
    expect(healthOf(health)).toBe(false)
  })

  it("forgets what a check found when the check is taken away", () => {
    const health = new EndpointHealth()
    health.set(payments, "127.0.0.1:8081", false)
    expect(healthOf(health, unchecked)).toBe(true)
    health.set(payments, "127.0.0.1:8081", true)
    health.keep(unchecked)
    expect(healthOf(health)).toBe(false)
  })

  it("forgets endpoints that are gone and keeps the others", () => {
    const health = new EndpointHealth()
    health.set(payments, "127.0.0.1:8081", true)
    health.keep(checked)
    expect(healthOf(health)).toBe(true)
    health.keep([])
    expect(healthOf(health)).toBe(false)
  })
})
