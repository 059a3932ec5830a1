import { describe, expect, it } from "vitest"
import { countOpen, lowLimit, readLimit, shareDescriptors } from "./Descriptors.ts"

describe("shareDescriptors", () => {
  it.each([
    // limit, open, sockets, spare
    [64, 22, 26, 2],
    [128, 22, 80, 3],
    [256, 22, 176, 7],
    [1_024, 22, 752, 31],
    [20_000, 22, 15_370, 64],
    [1_048_576, 22, 1_043_946, 64]
  ])("of %i with %i open gives programs %i, and lends %i", (limit, open, sockets, spare) => {
    expect(shareDescriptors({ limit, open })).toMatchObject({ sockets, spare })
  })

  it("never promises more than there is, however many are open", () => {
    for (let limit = 64; limit < 100_000; limit = Math.ceil(limit * 1.3)) {
      const shares = shareDescriptors({ limit, open: 24 })
      const { sockets = 0, spare = 0, mesh = 0, pending = 0, admin = 0 } = shares ?? {}
      // Health checks and files have what remains.
      expect(24 + sockets + spare + mesh + pending + admin).toBeLessThanOrEqual(limit - 4)
    }
  })

  it("leaves a client and a program when nothing is left", () => {
    expect(shareDescriptors({ limit: 32, open: 40 })?.sockets).toBe(2)
  })

  it("limits nothing where no limit is known, and assumes what is usual where the rest is not", () => {
    expect(shareDescriptors({ limit: undefined, open: 20 })).toBeUndefined()
    expect(shareDescriptors({ limit: 256, open: undefined })).toEqual(
      shareDescriptors({ limit: 256, open: 32 })
    )
  })
})

it("says what a low limit is, what it allows and how to raise it", () => {
  expect(lowLimit({ limit: 64, open: 22 }, 26)).toMatch(/64, which leaves 26 .*LimitNOFILE=/)
  expect(lowLimit({ limit: 65_536, open: 22 }, 60_000)).toBeUndefined()
  expect(lowLimit({ limit: undefined, open: 22 }, 2 ** 31)).toBeUndefined()
})

it("reads what this process has and may have", () => {
  expect(readLimit()).toBeGreaterThan(countOpen() ?? 0)
  expect(countOpen()).toBeGreaterThan(3)
})
