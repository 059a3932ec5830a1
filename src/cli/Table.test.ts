import { stripVTControlCharacters } from "node:util"
import { describe, expect, it } from "vitest"
import {
  sampleEndpoints,
  sampleLinks,
  sampleMembers,
  sampleNow,
  sampleServices
} from "../testing/SampleSource.ts"
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
      "NAME       PROTOCOL  HEALTHY  IN USE  SUCCESS    RPS    P50     P95    P99  NODES",
      "ledger-db  tcp           0/1       0        -      0      -       -      -  host-b",
      "payments   http          2/2       1   99.87%  123.4  1.2ms  12.3ms  1.23s  host-a, host-b",
      ""
    ])
    expect(renderServices([], plain)).toContain("No services")
    const leftOut = [{ node: "host-c", protocol: "tcp" }] as never
    const torn = { ...sampleServices[1]!, leftOut }
    expect(renderServices([torn], plain)).toContain("payments  http (host-c: tcp)  ")
    const panicking = { ...sampleServices[1]!, panic: true }
    expect(renderServices([panicking], plain)).toContain("  1 (panic)  ")
  })

  it("endpoints: what is in force, for how long, and what is disregarded", () => {
    const [good] = sampleEndpoints
    if (good === undefined) throw new Error("the sample has no endpoints")
    const until = { stateUntilAt: sampleNow + 30_000, inUse: false }
    const states = [
      good,
      { ...good, ...until, state: "ejected" as const },
      { ...good, ...until, state: "ejected" as const, inUse: true, inUseDespite: "panic" as const },
      { ...good, ...until, state: "unwell" as const, inUse: true },
      { ...good, ...until, state: "circuit_open" as const },
      { ...good, state: "probing" as const, breaker: "half_open" as const },
      { ...good, state: "link_down" as const, inUse: false },
      { ...good, state: "dead" as const, inUseDespite: "no_other" as const },
      { ...good, state: "suspect" as const, stateUntilAt: sampleNow - 1 },
      { ...good, state: "left_out" as const, inUse: false, protocol: "tcp" as const }
    ].map((endpoint) => lines(renderEndpoints([endpoint], plain))[1]?.split(/\s{2,}/)[2])
    expect(states).toEqual([
      "healthy",
      "ejected 30s",
      "ejected 30s (in use: panic)",
      "unwell 30s",
      "circuit open 30s",
      "circuit on probe",
      "link down",
      "node dead (in use: no other)",
      "node suspect",
      "left out: says tcp"
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
