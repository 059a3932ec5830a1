import { describe, expect, it } from "vitest"
import { authorityOf, ServiceName, serviceOfAuthority } from "./Names.ts"

describe("serviceOfAuthority", () => {
  const table: ReadonlyArray<readonly [string, string | undefined]> = [
    ["payments.mesh", "payments"],
    ["payments.mesh:80", "payments"],
    ["PAYMENTS.Mesh.", "payments"],
    ["a-1.mesh", "a-1"],
    ["mesh", undefined],
    [".mesh", undefined],
    ["payments.example.com", undefined],
    ["v2.payments.mesh", undefined],
    ["-a.mesh", undefined],
    ["a_b.mesh", undefined],
    ["[::1]:80", undefined],
    ["", undefined]
  ]
  it.each(table)("%j is %j", (authority, service) => {
    expect(serviceOfAuthority(authority)).toBe(service)
  })

  it("is the reverse of authorityOf", () => {
    const service = ServiceName.make("payments")
    expect(authorityOf(service)).toBe("payments.mesh")
    expect(serviceOfAuthority(authorityOf(service))).toBe(service)
  })
})
