import { describe, expect, it } from "vitest"
import { makeNodeConfig } from "../config/NodeConfig.ts"
import type { LocalService } from "../model/LocalService.ts"
import { ServiceName } from "../model/Names.ts"
import type { ProgramOffer } from "../schema/ProgramOfferSchema.ts"
import { EndpointHealth, localServices, serviceEntries } from "./LocalServices.ts"
import { whyNotServed, withPrograms } from "./ProgramServices.ts"

const payments = ServiceName.make("payments")

const configured = (protocol: "http" | "tcp" = "http") =>
  localServices(
    makeNodeConfig({
      node: { name: "host-a" },
      services: [{ name: "payments", address: "127.0.0.1:1", protocol }]
    })
  )

const offer = (change: Partial<ProgramOffer> = {}): ProgramOffer => ({
  service: payments,
  id: "program",
  weight: 50,
  healthy: true,
  reason: "its program serves it",
  ...change
})

const entries = (services: ReadonlyArray<LocalService>) =>
  serviceEntries(services, new EndpointHealth()).map(({ endpoints, name, protocol }) => [
    name,
    protocol,
    endpoints.map(({ healthy, id, weight }) => `${id} ${weight} ${healthy}`)
  ])

describe("what programs serve", () => {
  it("stands beside what config says, and is as healthy as it says itself", () => {
    const ledger = offer({ service: ServiceName.make("ledger"), healthy: false })
    expect(entries(withPrograms(configured(), [offer(), ledger]))).toEqual([
      ["payments", "http", ["127.0.0.1:1 100 true", "program 50 true"]],
      ["ledger", "http", ["program 50 false"]]
    ])
  })

  it("is not offered where config says since that the service is another", () => {
    expect(withPrograms(configured("tcp"), [offer()])).toEqual(configured("tcp"))
  })

  const why = (change: Partial<Parameters<typeof whyNotServed>[0]> = {}) =>
    whyNotServed({
      ...{ service: payments, services: configured(), node: "host-a" },
      rights: { services: ["pay*"], speaks: [] },
      ...change
    })

  it("may be offered where the certificate grants it", () => {
    expect(why()).toBeUndefined()
    expect(why({ services: [] })).toBeUndefined()
    expect(why({ rights: { services: ["orders"], speaks: ["payments"] } })).toMatchObject({
      code: "not_granted",
      message: expect.stringContaining("--services payments") as unknown
    })
    const withheld = { services: ["*"], speaks: [], withheld: ["payments"] }
    expect(why({ rights: withheld })?.code).toBe("not_granted")
  })

  it("has to be HTTP, as config has it", () => {
    expect(why({ services: configured("tcp") })?.code).toBe("not_http")
  })

  it("is bounded by what a record may carry", () => {
    const [one] = configured()
    const named = (i: number) => ({ ...one!, name: ServiceName.make(`s${i}`) })
    const full = Array.from({ length: 256 }, (_, i) => named(i))
    expect(why({ services: full })?.code).toBe("too_many")
    expect(why({ services: full.slice(1) })).toBeUndefined()
    const many = Array.from({ length: 64 }, () => one!.endpoints[0]!)
    expect(why({ services: [{ ...one!, endpoints: many }] })?.code).toBe("too_many")
  })
})
