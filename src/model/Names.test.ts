import { describe, expect, it } from "vitest"
import { authorityOf, MeshId, NodeName, PeerKey, ServiceName, serviceOfAuthority } from "./Names.ts"

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

describe("make", () => {
  it("gives back what is a name", () => {
    expect(ServiceName.make("payments")).toBe("payments")
    expect(NodeName.make("Host_a.1")).toBe("Host_a.1")
    expect(PeerKey.make("1".repeat(20))).toBe("1".repeat(20))
    expect(MeshId.make("0f".repeat(16))).toBe("0f".repeat(16))
  })

  it.each([
    [
      () => ServiceName.make("Payments"),
      "\"Payments\" cannot be used: a service name is 1–63 of a–z, 0–9 and '-', not starting or ending with '-'"
    ],
    [
      () => NodeName.make(""),
      "\"\" cannot be used: a node name is 1–128 of A–Z, a–z, 0–9, '.', '_' and '-'"
    ],
    [() => PeerKey.make("12D3"), '"12D3" cannot be used: not a peer id'],
    [() => MeshId.make("0f"), '"0f" cannot be used: a mesh id is 32 hex digits']
  ])("tells what is none: %#", (make, message) => {
    expect(make).toThrow(new Error(message))
  })
})
