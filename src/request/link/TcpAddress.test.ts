import { describe, expect, it } from "@effect/vitest"
import { parseTcpAddress, tcpAddressOf } from "./TcpAddress.ts"

const peer = "12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp"

describe("a TCP address", () => {
  it("is a multiaddr of an IP address or a name, with or without the peer", () => {
    const parts = (text: string) => {
      const { host, port, family } = parseTcpAddress(text)!
      return [host, port, family]
    }
    expect(parts("/ip4/10.0.0.1/tcp/4001")).toEqual(["10.0.0.1", 4001, 4])
    expect(parts(`/ip6/fd00::1/tcp/4001/p2p/${peer}`)).toEqual(["fd00::1", 4001, 6])
    expect(parts("/dns/node.example/tcp/1")).toEqual(["node.example", 1, 0])
    expect(parts("/dns4/node.example/tcp/1")).toEqual(["node.example", 1, 4])
    expect(parts("/dns6/node.example/tcp/1")).toEqual(["node.example", 1, 6])
  })

  it("is nothing else", () => {
    const others = [
      "/ip4/10.0.0.1/udp/4001",
      "/ip4/10.0.0.1/tcp/65536",
      "/ip4/10.0.0.256/tcp/1",
      "/ip6/10.0.0.1/tcp/1",
      "/ip4/10.0.0.1/tcp/1/ws",
      `/ip4/10.0.0.1/tcp/1/p2p/${peer}/p2p-circuit`,
      "10.0.0.1:4001"
    ]
    for (const text of others) expect(parseTcpAddress(text), text).toBeUndefined()
  })

  it("is written as it is read", () => {
    for (const text of ["/ip4/127.0.0.1/tcp/80", "/ip6/::1/tcp/80"]) {
      const { host, port } = parseTcpAddress(text)!
      expect(tcpAddressOf(host, port)).toBe(text)
    }
  })
})
