import { describe, expect, it } from "vitest"
import { PeerKey } from "../../model/Names.ts"
import { alice, bob } from "../../testing/LinkTestPair.ts"
import { cutOffFor, type Offence, offences, PeerConduct } from "./PeerConduct.ts"

const make = () => {
  const clock = { now: 1_000 }
  const cutOff: Array<string> = []
  const sut = new PeerConduct({
    now: () => clock.now,
    onCutOff: (peer, what) => cutOff.push(`${peer === alice ? "alice" : "bob"}: ${what}`)
  })
  const times = (count: number, peer: PeerKey, what: Offence) => {
    for (let n = 0; n < count; n++) sut.note(peer, what)
  }
  return { clock, cutOff, sut, times }
}

describe("a member that does what no honest one does", () => {
  it("is cut off for a while when it has done enough of it, once, and nobody else is", () => {
    const { clock, cutOff, sut, times } = make()
    times(offences.forged - 1, alice, "forged")
    expect([cutOff, sut.cutOffFor(alice)]).toEqual([[], undefined])
    sut.note(alice, "forged")
    expect([cutOff, sut.cutOffFor(alice)]).toEqual([["alice: forged"], cutOffFor])
    times(100, alice, "forged")
    expect(cutOff).toHaveLength(1)
    expect(sut.cutOffFor(bob)).toBeUndefined()
    clock.now += cutOffFor
    expect(sut.cutOffFor(alice)).toBeUndefined()
  })

  it("is forgiven with time", () => {
    const { clock, cutOff, sut, times } = make()
    for (let minute = 0; minute < 100; minute++) {
      times(offences.equivocated / 2 - 1, alice, "equivocated")
      clock.now += 60_000
    }
    expect(cutOff).toEqual([])
    clock.now += 10 * 60_000
    expect(sut.offenders()).toEqual([])
  })

  it("is shown with what it did, the worst first", () => {
    const { sut, times } = make()
    times(3, bob, "garbage")
    times(5, alice, "forged")
    times(1, alice, "equivocated")
    expect(
      sut
        .offenders()
        .map(({ counts, isCutOff, peer }) => [peer, isCutOff, Object.fromEntries(counts)])
    ).toEqual([
      [alice, false, { forged: 5, equivocated: 1 }],
      [bob, false, { garbage: 3 }]
    ])
  })
})

describe("a member that wants more than its share", () => {
  it("gets that and no more, and whoever goes on is cut off", () => {
    const { clock, cutOff, sut } = make()
    const taken = (count: number) =>
      Array.from({ length: count }, () => sut.allows(alice, "asked")).filter(Boolean).length
    expect(taken(1_500)).toBe(1_000)
    clock.now += 1_000
    expect(taken(1_500)).toBe(100)
    expect(cutOff).toEqual([])
    taken(300)
    expect(cutOff).toEqual(["alice: flooded"])
    // Others, and other things, have shares of their own.
    expect([sut.allows(bob, "asked"), sut.allows(alice, "said")]).toEqual([true, true])
  })
})

it("remembers who is cut off longer than who is not, and never more than it has room for", () => {
  const { sut, times } = make()
  times(10, alice, "forged")
  for (let n = 0; n < 10_000; n++) {
    sut.note(PeerKey.make(`1${String(n).replaceAll("0", "z").padStart(24, "2")}`), "equivocated")
  }
  expect(sut.cutOffFor(alice)).toBeDefined()
  sut.note(bob, "garbage")
  times(9, bob, "garbage")
  expect(sut.cutOffFor(bob)).toBeDefined()
})
