/** Ejection among few endpoints and many, as callers notice it. */
import { describe, expect, it } from "vitest"
import type { PolicyInput } from "../../schema/PolicySchema.ts"
import { endpointView, Fixture, payments } from "../../testing/OutboundFixture.ts"

const letters = "abcdefghij"
const inTurn: PolicyInput = { balance: { kind: "round_robin" }, retry: "off", breaker: "off" }
const make = (count: number, change: PolicyInput = {}) =>
  new Fixture(
    { ...inTurn, ...change },
    [...letters.slice(0, count)].map((letter) => endpointView(letter))
  )

/** One call after the other, a tenth of a second each. Gives how many failed. */
const calls = (mesh: Fixture, count: number, failing: string): number => {
  let failed = 0
  for (let i = 0; i < count; i++) {
    const { receiver } = mesh.request()
    mesh.last.respond(failing.includes(mesh.last.peer[0] ?? "") ? 500 : 200)
    if (receiver.head?.status === 500) failed++
    mesh.ticker.advance(100)
  }
  return failed
}

const ejected = (mesh: Fixture): string =>
  mesh.outbound
    .endpoints(payments)
    .flatMap(({ ejectedUntil, node }) => (ejectedUntil === undefined ? [] : [node.at(-1)]))
    .join("")
const panics = (mesh: Fixture) => mesh.outbound.services()[0]?.panic

describe("ejection", () => {
  it("of the only endpoint keeps nobody from it, and is over when it has proved well", () => {
    const mesh = make(1)
    calls(mesh, 5, "a")
    expect(ejected(mesh)).toBe("a")
    expect(panics(mesh)).toBe(true)
    expect(calls(mesh, 4, "")).toBe(0)
    expect(ejected(mesh)).toBe("a")
    calls(mesh, 1, "")
    expect(ejected(mesh)).toBe("")
    expect(panics(mesh)).toBe(false)
  })

  it("of one of two gives way when the other fails: the well one is used", () => {
    const mesh = make(2)
    calls(mesh, 10, "a")
    expect(ejected(mesh)).toBe("a")
    // a is well again, b is not: five failures until that shows, then every other call until a
    // has proved it, then five until b is out in its place.
    expect(calls(mesh, 40, "b")).toBeLessThanOrEqual(5 + 5 + 5)
    expect(ejected(mesh)).toBe("b")
    expect(calls(mesh, 40, "b")).toBe(0)
    expect(panics(mesh)).toBe(false)
  })

  it("of one of two, when both fail for good, leaves both in use", () => {
    const mesh = make(2)
    calls(mesh, 60, "ab")
    expect(panics(mesh)).toBe(true)
    const before = mesh.trail.length
    calls(mesh, 20, "ab")
    expect(mesh.trail.slice(before)).toMatch(/^((ab){10}|(ba){10})$/)
  })

  it("is no reason to use the ejected one again while others in use are well", () => {
    const mesh = make(3)
    calls(mesh, 15, "a")
    expect(ejected(mesh)).toBe("a")
    // Of b and c, which are in use, only b fails, and may not be ejected besides a.
    calls(mesh, 30, "ab")
    expect(panics(mesh)).toBe(false)
    expect(mesh.trail.slice(-10)).not.toContain("a")
    // Now all in use fail.
    calls(mesh, 12, "bc")
    expect(panics(mesh)).toBe(true)
    calls(mesh, 15, "bc")
    expect(ejected(mesh)).not.toContain("a")
  })

  it("forgets that an endpoint deserved it, once it has proved well", () => {
    const mesh = make(3)
    calls(mesh, 15, "a")
    calls(mesh, 12, "abc")
    expect(panics(mesh)).toBe(true)
    calls(mesh, 15, "a")
    expect(panics(mesh)).toBe(false)
    expect(ejected(mesh)).toBe("a")
  })

  it("forgets it after the time it would have been out", () => {
    const mesh = make(2, { ejection: { base: "2s" } })
    calls(mesh, 10, "ab")
    expect(panics(mesh)).toBe(true)
    mesh.ticker.advance(2_000)
    expect(panics(mesh)).toBe(false)
    expect(ejected(mesh)).toBe("")
  })

  it("forgets it when its owner says that it is well again", () => {
    const mesh = make(2)
    calls(mesh, 10, "ab")
    expect(panics(mesh)).toBe(true)
    mesh.show([endpointView("a", { healthy: false }), endpointView("b", { healthy: false })])
    mesh.show([endpointView("a"), endpointView("b")])
    expect(panics(mesh)).toBe(false)
    expect(ejected(mesh)).toBe("")
  })

  it.each([
    { failing: "a", panic: false },
    { failing: "abcde", panic: false },
    { failing: "abcdef", panic: true },
    { failing: "abcdefghij", panic: true }
  ])("of one of ten, when $failing fail: panic $panic", ({ failing, panic }) => {
    const mesh = make(10)
    calls(mesh, 100, failing)
    expect(ejected(mesh)).toHaveLength(1)
    expect(panics(mesh)).toBe(panic)
    // Whoever is out although it is well comes back, since it is used in panic.
    calls(mesh, 100, failing)
    for (const letter of ejected(mesh)) expect(failing).toContain(letter)
  })

  it("is not ended by answers to requests from before", () => {
    const mesh = make(2)
    const early = Array.from({ length: 20 }, () => {
      mesh.request()
      return mesh.last
    })
    mesh.ticker.advance(10)
    calls(mesh, 10, "a")
    expect(ejected(mesh)).toBe("a")
    for (const sent of early) sent.respond(200)
    expect(ejected(mesh)).toBe("a")
  })
})
