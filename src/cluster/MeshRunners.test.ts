import { Runner } from "@effect/cluster/Runner"
import { describe, expect, it } from "vitest"
import type { EndpointView } from "../model/MeshView.ts"
import { ServiceName } from "../model/Names.ts"
import { endpointView } from "../testing/OutboundFixture.ts"
import { addressOf, type Known, keyOf, MeshRunners } from "./MeshRunners.ts"

const service = ServiceName.make("checkout")
const endpoint = (name: string, view: Partial<EndpointView> = {}): EndpointView => ({
  ...endpointView("A"),
  key: `peer/checkout/${name}`,
  ...view
})

const knowing = (own: string | undefined, ...endpoints: ReadonlyArray<EndpointView>) =>
  new MeshRunners(
    { endpoints: (of) => (of === service ? endpoints : []), subscribe: () => () => undefined },
    service,
    own === undefined ? undefined : `peer/checkout/${own}`
  )
const address = (name: string) => addressOf(`peer/checkout/${name}`)

const stored = (...runners: ReadonlyArray<readonly [name: string, healthy: boolean]>) =>
  runners.map(
    ([name, healthy]): Known => [
      new Runner({ address: address(name), groups: ["default"], weight: 1 }),
      healthy
    ]
  )
const said = (known: ReadonlyArray<Known>) =>
  known.map(([{ address: of }, healthy]) => `${keyOf(of).split("/")[2]} ${healthy}`)

describe("MeshRunners", () => {
  it("an address is the key of an endpoint, and fits into what the storage keeps of it", () => {
    const longest = `${"1".repeat(128)}/${"s".repeat(63)}/program-${"f".repeat(12)}`
    expect(keyOf(addressOf(longest))).toBe(longest)
    expect(`${longest}:0`.length).toBeLessThanOrEqual(255)
  })

  it("a runner is alive while its program serves and its node is there and stays", () => {
    const runners = knowing(
      "self",
      endpoint("well"),
      endpoint("suspect", { member: "suspect" }),
      endpoint("ended", { healthy: false }),
      endpoint("leaving", { draining: true }),
      endpoint("lost", { member: "dead" })
    )
    const alive = (name: string) => runners.isAlive(address(name))
    expect(["well", "suspect"].map(alive)).toEqual([true, true])
    expect(["ended", "leaving", "lost", "unknown"].map(alive)).toEqual([false, false, false, false])
  })

  it("takes itself for alive, whatever is said of it, until its node leaves", () => {
    expect(knowing("self").isAlive(address("self"))).toBe(true)
    const ill = endpoint("self", { healthy: false, member: "dead" })
    expect(knowing("self", ill).isAlive(address("self"))).toBe(true)
    const leaving = endpoint("self", { draining: true })
    expect(knowing("self", leaving).isAlive(address("self"))).toBe(false)
  })

  it("has the mesh's word in place of the storage's", () => {
    const runners = knowing(
      "self",
      endpoint("self"),
      endpoint("b"),
      endpoint("c", { healthy: false })
    )
    expect(said(runners.judge(stored(["self", true], ["b", false], ["c", true])))).toEqual([
      "self true",
      "b true",
      "c false"
    ])
  })

  it("believes the storage where the mesh would leave nobody", () => {
    const all = stored(["b", true], ["c", false])
    expect(said(knowing(undefined).judge(all))).toEqual(["b true", "c false"])
    const leaving = knowing("self", endpoint("self", { draining: true }))
    expect(said(leaving.judge(stored(["self", true])))).toEqual(["self true"])
  })

  it("is told when its own endpoint is known, and at once where it has none", () => {
    expect(knowing("self").isTold).toBe(false)
    expect(knowing("self", endpoint("b")).isTold).toBe(false)
    expect(knowing("self", endpoint("self")).isTold).toBe(true)
    expect(knowing(undefined).isTold).toBe(true)
  })
})
