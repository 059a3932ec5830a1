import { expect, it } from "vitest"
import { trialOf } from "./AnnouncedCheck.ts"

it("says how long ago it was tried, and of a clock that was set back since, that it was now", () => {
  const tried = { address: "/ip4/192.0.2.1/tcp/4001", configured: true } as const
  const trial = { ...tried, by: ["host-b"], state: "reached" } as const
  expect(trialOf({ ...trial, checkedAt: 100_000 }, 220_000)).toBe("reached by host-b, 2m ago")
  expect(trialOf({ ...trial, checkedAt: 2_000_000 }, 220_000)).toBe("reached by host-b, 0ms ago")
})
