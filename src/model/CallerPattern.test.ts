import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { type Caller, hostCaller, parseCaller, serviceCaller } from "./Caller.ts"
import {
  atHome,
  coversCallers,
  formatCallerPattern,
  meetsCaller,
  parseCallerPattern
} from "./CallerPattern.ts"
import { MeshId, NodeName, ServiceName } from "./Names.ts"

const own = MeshId.make("0f".repeat(16))
const foreign = MeshId.make("a1".repeat(16))

const read = (text: string) => {
  const pattern = parseCallerPattern(text)
  if (pattern === undefined) throw new Error(`${text} names nobody`)
  return pattern
}

describe("a pattern of callers", () => {
  it.each([
    ["orders", ["orders"], ["orders2", "host/orders", `${foreign}//service/orders`]],
    ["shop-*", ["shop-", "shop-a"].slice(1), ["shop", "host/shop-a"]],
    ["service/*", ["orders", "a"], ["host/a"]],
    ["host/db-1", ["host/db-1"], ["host/db-10", "db-1"]],
    ["host/ops-*", ["host/ops-1", "host/ops-x.lan"], ["host/Ops-1", "ops-1"]],
    ["host/*", ["host/a"], ["a"]],
    ["*", ["orders", "host/a"], [`${foreign}//service/orders`]],
    [`${foreign}//*`, [`${foreign}//service/orders`, `${foreign}//host/a`], ["orders"]],
    [`${foreign}//service/shop-*`, [`${foreign}//service/shop-a`], ["shop-a"]]
  ])("%s", (text, met, others) => {
    const pattern = read(text)
    expect(formatCallerPattern(pattern)).toBe(text)
    const meets = (caller: string) => meetsCaller(pattern, parseCaller(caller)!)
    expect(met.filter(meets)).toEqual(met)
    expect(others.filter(meets)).toEqual([])
  })

  it.each([
    [`spiffe://${foreign}/service/orders`, `${foreign}//service/orders`],
    [`spiffe://${foreign}/*`, `${foreign}//*`],
    ["service/orders", "orders"]
  ])("%s is written %s", (text, written) => {
    expect(formatCallerPattern(read(text))).toBe(written)
  })

  it.each(["", "Orders", "sh*p", "**", "host/", "host/a/b", "host", "shop//*", `${foreign}//`])(
    "%j is %s",
    (text) => {
      // `host` alone is a service's name.
      expect(parseCallerPattern(text) === undefined).toBe(text !== "host")
    }
  )

  it("of our own mesh is the same without its id", () => {
    expect(atHome(read(`${own}//service/orders`), own)).toEqual(read("orders"))
    expect(atHome(read(`${foreign}//*`), own)).toEqual(read(`${foreign}//*`))
  })

  it("covers another when it meets whom that meets", () => {
    const names = fc.constantFrom("a", "ab", "ab-c", "b")
    const patterns = fc
      .tuple(
        fc.constantFrom("", "host/", `${foreign}//service/`),
        names,
        fc.constantFrom("", "*"),
        fc.constantFrom(undefined, "*", "service/*", "host/*", `${foreign}//*`)
      )
      .map(([kind, name, open, other]) => read(other ?? `${kind}${name}${open}`))
    const callers: ReadonlyArray<Caller> = ["a", "ab", "ab-c", "ab-d", "b", "c"].flatMap((name) => [
      serviceCaller(ServiceName.make(name)),
      hostCaller(NodeName.make(name)),
      { ...serviceCaller(ServiceName.make(name)), mesh: foreign },
      { ...hostCaller(NodeName.make(name)), mesh: foreign }
    ])
    fc.assert(
      fc.property(patterns, patterns, (outer, inner) => {
        if (!coversCallers(outer, inner)) return
        for (const caller of callers) {
          if (meetsCaller(inner, caller)) expect(meetsCaller(outer, caller)).toBe(true)
        }
      })
    )
    expect(coversCallers(read("*"), read("host/a"))).toBe(true)
    expect(coversCallers(read("shop-*"), read("shop-a*"))).toBe(true)
    expect(coversCallers(read("shop-a"), read("shop-*"))).toBe(false)
  })
})
