import { Rpc } from "@effect/rpc"
import { describe, expect, it } from "@effect/vitest"
import { Schema } from "effect"
import { propsOf } from "./ActorProtocol.ts"
import { payloadMaker } from "./MessageCodec.ts"

const fields = { item: Schema.String, count: Schema.Int }

const makerOf = (schema: Schema.Schema.Any) => payloadMaker(schema as never)

/** What either comes to: a value, or an error's message. */
const outcome = (make: (payload: unknown) => unknown, payload: unknown): unknown => {
  try {
    return make(payload)
  } catch (error) {
    return String(error)
  }
}

describe("a payload", () => {
  const Plain = Schema.Struct(fields)

  it("of a plain struct is what its own make makes of it, or why not", () => {
    const made = makerOf(Plain)
    if (made === undefined) throw new Error("it has a make")
    const payloads = [
      { item: "book", count: 2 },
      { item: "book", count: 2, more: true },
      { item: "book", count: 2.5 },
      { item: "book" },
      "book",
      undefined,
      null
    ]
    const own = Plain.make as (payload: unknown) => unknown
    expect(payloads.map((payload) => outcome(made, payload))).toEqual(
      payloads.map((payload) => outcome(own, payload))
    )
    const given = { item: "book", count: 2, more: true }
    expect(made(given)).toEqual({ item: "book", count: 2 })
  })

  it("of any other Schema is made by its own make", () => {
    class Order extends Schema.Class<Order>("Order")(fields) {}
    class Doubled extends Schema.Struct(fields) {
      static override make = (order: typeof Plain.Type) => ({ ...order, count: order.count * 2 })
    }
    const Counted = Schema.Struct({
      item: Schema.String,
      count: Schema.Int.pipe(
        Schema.propertySignature,
        Schema.withConstructorDefault(() => 1)
      )
    })
    expect(makerOf(Order)?.({ item: "book", count: 2 })).toBeInstanceOf(Order)
    expect(makerOf(Doubled)?.({ item: "book", count: 2 })).toEqual({ item: "book", count: 4 })
    expect(makerOf(Counted)?.({ item: "book" })).toEqual({ item: "book", count: 1 })
    expect(makerOf(Schema.Struct({}))?.(undefined)).toEqual({})
    expect(makerOf(Schema.Void)).toBeUndefined()
  })

  it("of an RPC is that of its fields", () => {
    const Add = propsOf(Rpc.make("Add", { payload: fields }))
    expect(payloadMaker(Add.payloadSchema)?.({ item: "book", count: 2 })).toEqual({
      item: "book",
      count: 2
    })
  })
})
