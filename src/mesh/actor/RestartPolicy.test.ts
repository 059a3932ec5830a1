import { expect, test } from "vitest"
import { decideRestart, defaultRestartPolicy, noRestarts } from "./RestartPolicy.ts"

const policy = { ...defaultRestartPolicy, base: 100, max: 1_000, restarts: 3, window: 10_000 }

const crashes = (times: ReadonlyArray<{ readonly started: number; readonly at: number }>) => {
  let history = noRestarts
  return times.map(({ started, at }) => {
    const decision = decideRestart(policy, history, started, at, 0)
    history = decision.history
    return `${decision.kind} ${decision.delay}`
  })
}

test("waits twice as long each time, up to the longest wait", () => {
  const far = [0, 20_000, 40_000, 60_000, 80_000].map((at) => ({ started: at - 10, at }))
  expect(crashes(far)).toEqual([
    "restart 100",
    "restart 200",
    "restart 400",
    "restart 800",
    "restart 1000"
  ])
})

test("hands upwards what crashes too often within the window, then starts to count anew", () => {
  const close = [0, 1_000, 2_000, 3_000, 4_000].map((at) => ({ started: at - 10, at }))
  expect(crashes(close)).toEqual([
    "restart 100",
    "restart 200",
    "restart 400",
    "escalate 800",
    "restart 100"
  ])
})

test("forgives after a quiet time", () => {
  expect(
    crashes([
      { started: 0, at: 10 },
      { started: 20, at: 20_030 },
      { started: 20_100, at: 20_100 + policy.quiet }
    ])
  ).toEqual(["restart 100", "restart 200", "restart 100"])
})

test("leaves half of the wait to chance", () => {
  const delays = [0, 0.5, 0.999].map((r) => decideRestart(policy, noRestarts, 0, 1, r).delay)
  expect(delays[0]).toBe(100)
  expect(delays[1]).toBe(75)
  expect(delays.every(Number.isInteger)).toBe(true)
  expect(delays[2]).toBeGreaterThanOrEqual(50)
})

test("remembers no more crashes than it needs, also in a long series", () => {
  let history = noRestarts
  for (let at = 0; at < 100; at++) {
    history = decideRestart({ ...policy, restarts: 5 }, history, at, at, 0).history
    expect(history.recent.length).toBeLessThanOrEqual(5)
  }
})
