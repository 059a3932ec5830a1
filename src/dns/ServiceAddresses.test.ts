import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { type AddressRange, parseAddressRange } from "../model/AddressRange.ts"
import { ServiceName } from "../model/Names.ts"
import { ServiceAddresses } from "./ServiceAddresses.ts"

const range = (text: string): AddressRange => {
  const parsed = parseAddressRange(text)
  if (typeof parsed === "string") throw new Error(parsed)
  return parsed
}

const names = (count: number) =>
  Array.from({ length: count }, (_, index) => ServiceName.make(`service-${index}`))

const placesOf = (addresses: ServiceAddresses, all: ReadonlyArray<ServiceName>) =>
  Object.fromEntries(all.map((name) => [name, addresses.addressOf(name)]))

describe("addresses of services", () => {
  it("are the same on every host, and nobody else's", () => {
    const addresses = new ServiceAddresses(range("127.80.0.0/12"))
    const payments = ServiceName.make("payments")
    expect(addresses.addressOf(payments)).toBeUndefined()
    addresses.add(payments)
    addresses.add(payments)
    expect(addresses.addressOf(payments)).toBe("127.91.189.103")
    expect(addresses.nameAt("127.91.189.103")).toBe(payments)
    expect(addresses.nameAt("127.91.189.104")).toBeUndefined()
    expect([addresses.holds("127.95.255.255"), addresses.holds("127.96.0.0")]).toEqual([
      true,
      false
    ])
    addresses.remove(payments)
    expect(addresses.addressOf(payments)).toBeUndefined()
    expect(addresses.nameAt("127.91.189.103")).toBeUndefined()
  })

  it("do not depend on the order in which names came, nor on those that are gone again", () => {
    const small = range("127.80.1.0/24")
    const all = names(150)
    const straight = new ServiceAddresses(small)
    for (const name of all) straight.add(name)
    const expected = placesOf(straight, all)
    // In so small a block many are displaced.
    expect(new Set(Object.values(expected)).size).toBe(150)
    const steps = fc.record({
      order: fc.shuffledSubarray(all, { minLength: all.length, maxLength: all.length }),
      passing: fc.uniqueArray(fc.integer({ min: 0, max: 80 }), { maxLength: 40 }),
      at: fc.integer({ min: 0, max: all.length })
    })
    fc.assert(
      fc.property(steps, ({ at, order, passing }) => {
        const addresses = new ServiceAddresses(small)
        const guests = passing.map((index) => ServiceName.make(`guest-${index}`))
        for (const name of order.slice(0, at)) addresses.add(name)
        for (const name of guests) addresses.add(name)
        for (const name of order.slice(at)) addresses.add(name)
        for (const name of guests) addresses.remove(name)
        expect(placesOf(addresses, all)).toEqual(expected)
        for (const name of all) {
          const address = addresses.addressOf(name)
          expect(address === undefined ? undefined : addresses.nameAt(address)).toBe(name)
        }
      }),
      { numRuns: 50 }
    )
  })

  it("are for no more names than there are, and who finds none gets one when it is free", () => {
    const addresses = new ServiceAddresses(range("127.80.1.0/24"))
    const all = names(400)
    for (const name of all) addresses.add(name)
    const without = all.filter((name) => addresses.addressOf(name) === undefined)
    expect(without.length).toBeGreaterThanOrEqual(400 - 255)
    for (const name of all.filter((name) => !without.includes(name)).slice(0, 200)) {
      addresses.remove(name)
    }
    expect(without.every((name) => addresses.addressOf(name) !== undefined)).toBe(true)
  })
})

describe("a block of addresses", () => {
  it.each([
    ["127.80.0.0", "is not a block of addresses, like 127.80.0.0/12"],
    ["127.80.0.300/24", "is not a block of addresses, like 127.80.0.0/12"],
    ["10.0.0.0/12", "is not of loopback (127.0.0.0/8), so other hosts could be meant by it"],
    ["127.80.0.0/25", "has /25; write one from /8 to /24"],
    ["127.81.0.0/12", "does not begin at a block; that is 127.80.0.0/12"]
  ])("%s: %s", (text, problem) => {
    expect(parseAddressRange(text)).toBe(problem)
  })
})
