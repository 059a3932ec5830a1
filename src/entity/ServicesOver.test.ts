import { describe, expect, it } from "@effect/vitest"
import { Context, Effect, Equal } from "effect"
import { servicesOver } from "./ServicesOver.ts"

class First extends Context.Tag("test/First")<First, string>() {}
class Second extends Context.Tag("test/Second")<Second, string>() {}
class Third extends Context.Tag("test/Third")<Third, string>() {}

const base = Context.make(First, "first").pipe(Context.add(Second, "second"))
const over = () => servicesOver(base as Context.Context<never>)
const contextOf = (services: Map<string, unknown>) =>
  Context.unsafeMake<First | Second | Third>(services)

describe("services over others", () => {
  it("are found, and those below them unless they stand in place of one", () => {
    const services = over().set(Second.key, "mine").set(Third.key, undefined)
    expect([First, Second, Third].map(({ key }) => services.get(key))).toEqual([
      "first",
      "mine",
      undefined
    ])
    expect([First.key, Third.key, "test/None"].map((key) => services.has(key))).toEqual([
      true,
      true,
      false
    ])
    expect(Context.get(base, Second)).toBe("second")
  })

  it("are a map of all of them to who looks at all", () => {
    const all = [
      [First.key, "first"],
      [Second.key, "mine"],
      [Third.key, "third"]
    ]
    const made = () => over().set(Second.key, "mine").set(Third.key, "third")
    expect([...made()].sort()).toEqual(all)
    expect([...made().entries()].sort()).toEqual(all)
    expect([...made().keys()].sort()).toEqual(all.map(([key]) => key))
    expect([...made().values()].sort()).toEqual(["first", "mine", "third"])
    expect(made().size).toBe(3)
    const seen: Array<unknown> = []
    made().forEach((value, key, map) => void seen.push([key, value, map.size]))
    expect(seen).toHaveLength(3)
    expect([...new Map(made())].sort()).toEqual(all)
    const fewer = made()
    expect(fewer.delete(First.key)).toBe(true)
    expect([fewer.has(First.key), fewer.size]).toEqual([false, 2])
    fewer.clear()
    expect([fewer.size, fewer.has(Second.key)]).toEqual([0, false])
  })

  it.effect("are what an effect runs with, adds to and takes from", () =>
    Effect.gen(function* () {
      const all = Effect.all([First, Second, Third])
      const services = () => contextOf(over().set(Third.key, "third"))
      expect(yield* Effect.provide(all, services())).toEqual(["first", "second", "third"])
      const added = all.pipe(Effect.provideService(First, "mine"), Effect.provide(services()))
      expect(yield* added).toEqual(["mine", "second", "third"])
      const whole = Context.add(base, Third, "third")
      expect(Equal.equals(services(), whole)).toBe(true)
      expect(Context.merge(services(), Context.make(First, "mine")).unsafeMap.size).toBe(3)
      expect(Context.omit(First)(services()).unsafeMap.has(First.key)).toBe(false)
    })
  )
})
