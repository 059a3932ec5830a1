import { stripVTControlCharacters } from "node:util"
import { describe, expect, it } from "vitest"
import {
  sampleEndpoints,
  sampleLinks,
  sampleMembers,
  sampleNow,
  sampleServices
} from "../admin/SampleSource.ts"
import { renderEndpoints } from "./endpoints.ts"
import { renderLinks } from "./links.ts"
import { renderMembers } from "./members.ts"
import { renderServices } from "./services.ts"
import { type Column, renderPairs, renderTable } from "./Table.ts"

const plain = { colour: false, now: sampleNow }
const coloured = { colour: true, now: sampleNow }

/** A table as people see it, without the blanks at line ends that nobody sees. */
const lines = (text: string) => text.split("\n").map((line) => line.trimEnd())

describe("tables", () => {
  it("aligns columns, numbers to the right, and says when there are no rows", () => {
    const columns: ReadonlyArray<Column<{ name: string; n: number }>> = [
      { title: "NAME", cell: ({ name }) => name },
      { title: "N", cell: ({ n }) => String(n), align: "right" }
    ]
    const rows = [
      { name: "a", n: 1 },
      { name: "longer", n: 234 }
    ]
    expect(renderTable(columns, rows, { colour: false, empty: "none" })).toBe(
      "NAME      N\na         1\nlonger  234\n"
    )
    expect(renderTable(columns, [], { colour: false, empty: "none" })).toBe("none\n")
  })

  it("aligns the values of pairs", () => {
    const pairs = [["a", "1"] as const, ["long", "2"] as const]
    expect(renderPairs(pairs, { colour: false })).toBe("a     1\nlong  2\n")
  })

  it("members", () => {
    expect(lines(renderMembers(sampleMembers, plain))).toEqual([
      "NODE           STATE  SINCE  LINK     RTT  CLOCK  SYNC    ZONE        ADDRESS                  PEER",
      "host-a (this)  alive   1d2h  -          -  -      synced  eu-west/1a  /ip4/192.0.2.1/tcp/4001  12D3KooW…aaaaaa",
      "host-b         alive  1m30s  open  0.42ms  ok     synced  -           /ip4/192.0.2.2/tcp/4001  12D3KooW…bbbbbb",
      ""
    ])
  })

  it("services", () => {
    expect(lines(renderServices(sampleServices, plain))).toEqual([
      "NAME       PROTOCOL  HEALTHY  SUCCESS    RPS    P50     P95    P99  NODES",
      "ledger-db  tcp           0/1        -      0      -       -      -  host-b",
      "payments   http          2/2   99.87%  123.4  1.2ms  12.3ms  1.23s  host-a, host-b",
      ""
    ])
    expect(renderServices([], plain)).toContain("No services")
  })

  it("endpoints: the first reason why traffic does not go there", () => {
    const [good] = sampleEndpoints
    if (good === undefined) throw new Error("the sample has no endpoints")
    const states = [
      good,
      { ...good, breaker: "half_open" as const },
      { ...good, ejectedUntilAt: sampleNow + 30_000, breaker: "open" as const },
      { ...good, ejectedUntilAt: sampleNow - 1 },
      { ...good, draining: true, ejectedUntilAt: sampleNow + 30_000 },
      { ...good, healthy: false, draining: true },
      { ...good, member: "suspect" as const, healthy: false }
    ].map((endpoint) => lines(renderEndpoints([endpoint], plain))[1]?.split(/\s{2,}/)[2])
    expect(states).toEqual([
      "healthy",
      "breaker half_open",
      "ejected 30s",
      "healthy",
      "draining",
      "unhealthy",
      "node suspect"
    ])
  })

  it("links", () => {
    expect(lines(renderLinks(sampleLinks, plain))[1]).toBe(
      "host-b  open   outbound   1m30s  0.42ms          2  1.5KiB  10MiB  /ip4/192.0.2.2/tcp/4001"
    )
  })

  it("colour adds colour and nothing else", () => {
    for (const render of [
      (showing: typeof plain) => renderMembers(sampleMembers, showing),
      (showing: typeof plain) => renderServices(sampleServices, showing),
      (showing: typeof plain) => renderEndpoints(sampleEndpoints, showing)
    ]) {
      expect(render(coloured)).toContain("\u001b[")
      expect(stripVTControlCharacters(render(coloured))).toBe(render(plain))
    }
  })
})
