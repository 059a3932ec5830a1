import { isIPv6 } from "node:net"
import fc from "fast-check"
import { expect, test } from "vitest"
import { isUniqueLocal, uniqueLocalOf, whyNoUniqueLocal } from "./UniqueLocal.ts"

test("a block is a /64 of unique local addresses", () => {
  for (const text of ["fd00::/64", "fd5c:6e1a:77::/64", "fd5c:6e1a:77:1::/64"]) {
    expect(whyNoUniqueLocal(text)).toBeUndefined()
  }
  for (const text of ["2001:db8::/64", "fc00::/64", "::1/64", "127.0.0.0/8", ""]) {
    expect(whyNoUniqueLocal(text)).toContain("fd00::/8")
  }
  for (const text of ["fd00::/48", "fd00::1/64", "FD00::/64", "fd00:1:2:3:4::/64", "fd0::/64"]) {
    expect(whyNoUniqueLocal(text)).toContain("/64")
  }
})

test("names have addresses of the block, each its own, and the same again", () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.string(), { minLength: 2, maxLength: 50 }), (names) => {
      const addresses = names.map((name) => uniqueLocalOf("fd5c:6e1a::/64", name))
      expect(new Set(addresses).size).toBe(names.length)
      expect(names.map((name) => uniqueLocalOf("fd5c:6e1a::/64", name))).toEqual(addresses)
      for (const address of addresses) {
        expect(isIPv6(address)).toBe(true)
        expect(address).toMatch(/^fd5c:6e1a:0:0:/)
        expect(isUniqueLocal("fd5c:6e1a::/64", address)).toBe(true)
        expect(isUniqueLocal("fd5c:6e1a:0:1::/64", address)).toBe(false)
      }
    })
  )
})
