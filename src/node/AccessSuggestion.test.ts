import { Either, Schema } from "effect"
import { describe, expect, it } from "vitest"
import { ServiceName } from "../model/Names.ts"
import type { TrafficRow } from "../request/access/Traffic.ts"
import { AccessBody } from "../schema/AccessSchema.ts"
import { suggestRules } from "./AccessSuggestion.ts"

const service = ServiceName.make("payments")
const row = (
  caller: string,
  method: string | undefined,
  path: ReadonlyArray<string | null> | undefined,
  calls = 1
): TrafficRow => ({ caller, service, method, path, calls })

describe("rules from what was seen", () => {
  it("leave out what no rule can say, which would else allow every method", () => {
    expect(suggestRules([row("orders", "post", ["low"]), row("orders", "Q'UX", ["q"])])).toEqual([])
  })

  it("allow it, methods of one path together and the busiest first", () => {
    const rules = suggestRules([
      row("orders", "POST", ["charge"], 5),
      row("orders", "GET", ["orders", null], 2),
      row("orders", "PUT", ["orders", null], 9),
      row("orders", "GET", ["orders", null], 2),
      row("host/ops-1", undefined, undefined, 1),
      row("web", "OPTIONS", undefined, 2)
    ])
    expect(rules).toEqual([
      { rule: { from: "orders", methods: ["GET", "PUT"], path: "/orders/{id}" }, calls: 13 },
      { rule: { from: "orders", methods: ["POST"], path: "/charge" }, calls: 5 },
      { rule: { from: "web", methods: ["OPTIONS"] }, calls: 2 },
      { rule: { from: "host/ops-1", methods: ["CONNECT"] }, calls: 1 }
    ])
    const body = { service, allow: rules.map(({ rule }) => rule) }
    expect(Either.isRight(Schema.decodeUnknownEither(AccessBody)(body))).toBe(true)
  })

  it("name the gRPC method, where it was gRPC", () => {
    const grpc = (caller: string, path: ReadonlyArray<string>): TrafficRow => ({
      ...row(caller, "POST", path),
      grpc: true
    })
    const rules = suggestRules([
      ...[grpc("orders", ["shop.v1.Payments", "Charge"]), grpc("web", ["shop.v1.Payments", "Get"])],
      grpc("orders", ["shop.v1.Payments", "Charge"]),
      // Nothing that gRPC has a name for.
      grpc("orders", ["a", "b", "c"]),
      row("orders", "POST", ["shop.v1.Payments", "Charge"])
    ])
    expect(rules).toEqual([
      { rule: { from: "orders", grpc: "shop.v1.Payments/Charge" }, calls: 2 },
      { rule: { from: "orders", methods: ["POST"], path: "/a/b/c" }, calls: 1 },
      { rule: { from: "orders", methods: ["POST"], path: "/shop.v1.Payments/Charge" }, calls: 1 },
      { rule: { from: "web", grpc: "shop.v1.Payments/Get" }, calls: 1 }
    ])
    const body = { service, allow: rules.map(({ rule }) => rule) }
    expect(Either.isRight(Schema.decodeUnknownEither(AccessBody)(body))).toBe(true)
  })

  it("take what has many values in one place for an id, and nothing else", () => {
    const names = ["ann", "bob", "cat", "dan", "eve", "fay", "gus", "hal"]
    const rules = suggestRules([
      ...names.map((name) => row("web", "GET", ["users", name, "mail"])),
      ...names.slice(1).map((name) => row("orders", "GET", ["users", name])),
      row("orders", "GET", ["users"])
    ])
    expect(rules.map(({ rule }) => rule)).toEqual([
      { from: "web", methods: ["GET"], path: "/users/{id}/mail" },
      ...names
        .slice(1)
        .map((name) => ({ from: "orders", methods: ["GET"], path: `/users/${name}` })),
      { from: "orders", methods: ["GET"], path: "/users" }
    ])
  })
})
