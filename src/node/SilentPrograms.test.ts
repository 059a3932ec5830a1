/** What a node says of a program that does not answer it. */
import { describe, expect, it } from "vitest"
import { hostCaller } from "../model/Caller.ts"
import { NodeName, ServiceName } from "../model/Names.ts"
import { HandTicker } from "../testing/InboundFixture.ts"
import type { Attached } from "./AttachedPrograms.ts"
import { SilentPrograms } from "./SilentPrograms.ts"

const offer = { id: "program", weight: 100, healthy: true, reason: "" }
const shop: Attached = {
  ...{ id: "p", pass: "secret", name: "shop.ts", pid: 7, software: "1", address: "unix:/p" },
  ...{ identity: hostCaller(NodeName.make("host-a")), since: 0 },
  offers: [{ ...offer, service: ServiceName.make("cart") }]
}

const make = () => {
  const ticker = new HandTicker()
  const lines: Array<string> = []
  const programs = new SilentPrograms({
    ticker,
    log: (level, text) => lines.push(`${level}: ${text}`)
  })
  return { ticker, lines, programs }
}

describe("a program that does not answer", () => {
  it("is told, and that it does again", () => {
    const { lines, programs, ticker } = make()
    programs.changed(shop, true)
    ticker.advance(2_000)
    expect(lines).toEqual([
      expect.stringMatching(
        /^warning: the program shop\.ts does not answer.* \(cart\) is not called/
      )
    ])
    programs.changed(shop, false)
    expect(lines[1]).toMatch(/^info: the program shop\.ts answers again, after 2\d\d\d ms/)
    ticker.advance(5_000)
    expect(lines).toHaveLength(2)
  })

  it("is told when it was short, and not when it has ended", () => {
    const { lines, programs, ticker } = make()
    programs.changed(shop, true)
    ticker.advance(500)
    programs.changed(shop, false)
    ticker.advance(5_000)
    expect(lines).toEqual([expect.stringMatching(/^info: .* answers again/)])
    programs.changed(shop, true)
    programs.gone(shop.id)
    ticker.advance(5_000)
    expect(lines).toHaveLength(1)
  })

  it("is forgotten once it has ended, though it was told", () => {
    const { lines, programs, ticker } = make()
    programs.changed(shop, true)
    ticker.advance(2_000)
    expect([lines.length, programs.count]).toEqual([1, 1])
    programs.gone(shop.id)
    expect([programs.count, ticker.timers]).toEqual([0, 0])
    programs.changed(shop, false)
    expect(lines).toHaveLength(1)
  })
})
