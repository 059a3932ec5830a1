/** Weights on two hosts, as their programs count them. */
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { type App, httpApp } from "../fixtures/Apps.ts"
import { Load } from "../fixtures/Load.ts"
import { type Host, TestMesh } from "../fixtures/Mesh.ts"
import { stopAll, until } from "../fixtures/Processes.ts"

const services = ["fastest", "fewest", "turns"] as const
const mesh = new TestMesh()
let a: Host
let light: App
let heavy: App

beforeAll(async () => {
  light = await httpApp("light")
  heavy = await httpApp("heavy")
  a = await mesh.first("host-a", {
    policies: {
      fastest: { balance: { kind: "p2c_ewma" } },
      fewest: { balance: { kind: "least_request" } },
      turns: { balance: { kind: "round_robin" } }
    }
  })
  const offer = ({ address }: App, weight: number) => ({
    services: services.map((name) => ({ name, address, weight }))
  })
  await mesh.join("host-b", offer(light, 100))
  await mesh.join("host-c", offer(heavy, 900))
  for (const name of services) {
    await until(`host-a sees two endpoints of ${name}`, async () => {
      const all = (await a.api(`services/${name}/endpoints`)) as ReadonlyArray<{ member: string }>
      return all.filter(({ member }) => member === "alive").length === 2 ? true : undefined
    })
  }
})

afterAll(async () => {
  await mesh.stop()
  await Promise.all([light, heavy].map((app) => app.close()))
  await stopAll()
})

describe.each(services)("weights 100 and 900 under %s", (service) => {
  it.each([1, 8])("split the calls of %i callers", async (callers) => {
    const load = new Load(a.proxy, `http://${service}.mesh/`, callers)
    await until("1,000 answers", () => (load.tally.ok >= 1_000 ? true : undefined), 60)
    const { by, failures, ok } = await load.stop()
    expect([...failures]).toEqual([])
    // Within four standard deviations of 1,000 draws.
    expect(Math.abs((by.get("light") ?? 0) / ok - 0.1)).toBeLessThan(0.038)
  })
})
