/** Rules to ask, and what is asked of them: each a thousand that a mesh may well have. */
import { Schema } from "effect"
import type { AccessSetting } from "../../src/model/Access.ts"
import { AccessBody, type AccessBodyInput, accessSetting } from "../../src/schema/AccessSchema.ts"

export interface Asked {
  readonly caller: string
  readonly method: string
  readonly target: string
}

export interface AccessVariant {
  readonly settings: () => ReadonlyArray<AccessSetting>
  /** In turn; some are let through and some are not. */
  readonly asked: ReadonlyArray<Asked>
}

type Rule = NonNullable<AccessBodyInput["allow"]>[number]

const decode = Schema.decodeSync(AccessBody)
const many = <A>(count: number, make: (index: number) => A): ReadonlyArray<A> =>
  Array.from({ length: count }, (_, index) => make(index))

/** In settings of a hundred rules. */
const settingsOf =
  (list: "allow" | "deny", rules: ReadonlyArray<Rule>) => (): ReadonlyArray<AccessSetting> =>
    many(Math.ceil(rules.length / 100), (index) =>
      accessSetting(
        `rules-${String(index).padStart(3, "0")}`,
        decode({ service: "payments", [list]: rules.slice(index * 100, index * 100 + 100) })
      )
    )

/** A hundred callers with so many rules each, of exact paths, templates and all under one. */
const mixed = (count: number): ReadonlyArray<Rule> =>
  many(count, (index): Rule => {
    const resource = `/api/v1/resource-${Math.floor(index / 100)}`
    const from = `caller-${index % 100}`
    if (index % 3 === 0) return { from, methods: ["GET"], path: resource }
    if (index % 3 === 1)
      return { from, methods: ["GET", "PUT"], path: `${resource}/{id}/lines/{line}` }
    return { from, path: `${resource}/*` }
  })

const calls: ReadonlyArray<Asked> = many(32, (index) => ({
  caller: `caller-${(index * 7) % 10}`,
  method: index % 5 === 0 ? "POST" : "GET",
  target: `/api/v1/resource-${index % 2 === 0 ? 0 : index % 10}${["", "/7/lines/12", "/x/y/z?limit=10", "/7"][index % 4]}`
}))

export const variants = {
  none: { settings: () => [], asked: calls },
  "rules-10": { settings: settingsOf("allow", mixed(10)), asked: calls },
  "rules-1000": { settings: settingsOf("allow", mixed(1_000)), asked: calls },
  "one-caller": {
    settings: settingsOf(
      "allow",
      mixed(1_000).map((rule, index) => ({ ...rule, from: "caller-0", path: `/r-${index}/{id}` }))
    ),
    asked: many(32, (index) => ({
      caller: "caller-0",
      method: "GET",
      target: `/r-${index * 31}/${index}`
    }))
  },
  callers: {
    settings: settingsOf(
      "allow",
      many(1_000, (index): Rule => ({ from: `caller-${index}`, methods: ["GET"], path: "/charge" }))
    ),
    asked: many(32, (index) => ({
      caller: `caller-${index * 31}`,
      method: "GET",
      target: "/charge"
    }))
  },
  denies: {
    settings: () => [
      accessSetting("all", decode({ service: "payments", allow: [{ from: "*" }] })),
      ...settingsOf("deny", mixed(1_000))()
    ],
    asked: calls
  },
  escapes: {
    settings: settingsOf("allow", mixed(1_000)),
    asked: calls.map((call) => ({ ...call, target: `${call.target.split("?")[0]}/caf%C3%A9%20x` }))
  }
} as const satisfies Record<string, AccessVariant>

export type VariantName = keyof typeof variants
export const isVariant = (name: string): name is VariantName => Object.hasOwn(variants, name)
