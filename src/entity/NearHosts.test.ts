import { describe, expect, it } from "@effect/vitest"
import { isWithin, nearestCircle, type PlacedBy } from "./NearHosts.ts"

const host = (name: string, zone: string | undefined, local = false) => ({ name, zone, local })

const hosts = [host("a", "eu"), host("b", "eu", true), host("c", "us"), host("d", undefined)]

const names = (placed: PlacedBy, zone: string | undefined, all = hosts) =>
  all
    .filter((one) => isWithin(nearestCircle(placed, all, zone), one, zone))
    .map(({ name }) => name)
    .join("")

describe("the hosts among which a type is placed", () => {
  it("are all of them, wherever one asks from", () => {
    for (const zone of ["eu", "us", undefined]) expect(names("mesh", zone)).toBe("abcd")
  })

  it("are those of the caller's zone, or all where that has none", () => {
    expect(names("zone", "eu")).toBe("ab")
    expect(names("zone", "us")).toBe("c")
    expect(names("zone", "asia")).toBe("abcd")
    // In no zone is no zone of its own.
    expect(names("zone", undefined)).toBe("abcd")
  })

  it("is the caller's own, or else those of its zone, or else all", () => {
    expect(names("local", "eu")).toBe("b")
    expect(names("local", "us")).toBe("b")
    const others = hosts.filter(({ local }) => !local)
    expect(names("local", "eu", others)).toBe("a")
    expect(names("local", "asia", others)).toBe("acd")
  })
})
