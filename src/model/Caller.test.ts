import fc from "fast-check"
import { describe, expect, it } from "vitest"
import {
  type Caller,
  callerOfSpiffeId,
  formatCaller,
  hostCaller,
  parseCaller,
  sameCaller,
  serviceCaller,
  spiffeIdOf
} from "./Caller.ts"
import { MeshId, NodeName, ServiceName } from "./Names.ts"

const own = MeshId.make("0f".repeat(16))
const foreign = MeshId.make("a1".repeat(16))
const orders = serviceCaller(ServiceName.make("orders"))
const host = hostCaller(NodeName.make("Db_1.lan"))

const table: ReadonlyArray<readonly [Caller, string, string]> = [
  [orders, "orders", `spiffe://${own}/service/orders`],
  [host, "host/Db_1.lan", `spiffe://${own}/host/Db_1.lan`],
  [serviceCaller(ServiceName.make("host")), "host", `spiffe://${own}/service/host`],
  [
    { ...orders, mesh: foreign },
    `${foreign}//service/orders`,
    `spiffe://${foreign}/service/orders`
  ],
  [{ ...host, mesh: foreign }, `${foreign}//host/Db_1.lan`, `spiffe://${foreign}/host/Db_1.lan`]
]

describe("a caller", () => {
  it.each(table)("%j is written %s", (caller, text, id) => {
    expect(formatCaller(caller)).toBe(text)
    expect(parseCaller(text)).toEqual(caller)
    expect(spiffeIdOf(caller, own)).toBe(id)
    expect(callerOfSpiffeId(id, own)).toEqual(caller)
  })

  it.each([
    "",
    "Orders",
    "or ders",
    "host/",
    "host/a/b",
    "host/ops-*",
    "*",
    "service/orders",
    "//service/orders",
    `${foreign}//orders`,
    `${foreign}//service`,
    `${foreign}//service/Orders`,
    `${foreign}/service/orders`,
    `${foreign.toUpperCase()}//service/orders`,
    "shop//service/orders"
  ])("is not written %j", (text) => {
    expect(parseCaller(text)).toBeUndefined()
  })

  it.each([
    "",
    "spiffe://",
    `spiffe://${own}`,
    `spiffe://${own}/`,
    `spiffe://${own}/orders`,
    `spiffe://${own}/service/orders/`,
    `spiffe://${own}/service//orders`,
    `spiffe://${own}/user/orders`,
    `SPIFFE://${own}/service/orders`,
    `spiffe://${own.toUpperCase()}/service/orders`,
    "spiffe://example.org/service/orders"
  ])("has no ID %j", (id) => {
    expect(callerOfSpiffeId(id, own)).toBeUndefined()
  })

  it("names its mesh when nobody says which one is meant", () => {
    const id = spiffeIdOf(orders, own)
    expect(callerOfSpiffeId(id)).toEqual({ ...orders, mesh: own })
  })

  it("is one text, and the text is no other caller", () => {
    const names = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/).map(ServiceName.make)
    const nodes = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/).map(NodeName.make)
    const callers = fc
      .tuple(
        fc.oneof(names.map(serviceCaller), nodes.map(hostCaller)),
        fc.constantFrom(undefined, foreign)
      )
      .map(([caller, mesh]): Caller => (mesh === undefined ? caller : { ...caller, mesh }))
    fc.assert(
      fc.property(callers, callers, (a, b) => {
        expect(parseCaller(formatCaller(a))).toEqual(a)
        expect(callerOfSpiffeId(spiffeIdOf(a, own), own)).toEqual(a)
        expect(sameCaller(a, b)).toBe(formatCaller(a) === formatCaller(b))
        expect(sameCaller(a, a)).toBe(true)
      })
    )
  })
})
