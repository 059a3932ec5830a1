import { describe, expect, it } from "vitest"
import { hostCaller, serviceCaller } from "../../model/Caller.ts"
import { NodeName, ServiceName } from "../../model/Names.ts"
import { PathReading } from "../../model/PathReading.ts"
import { httpCall, tcpCall } from "../../testing/InboundFixture.ts"
import { looksLikeId, templateOf } from "./PathTemplate.ts"
import { maxTraffic, Traffic } from "./Traffic.ts"

const orders = serviceCaller(ServiceName.make("orders"))

describe("Traffic", () => {
  it("counts who called what, with ids in paths as any id", () => {
    const traffic = new Traffic(new PathReading())
    for (const id of ["1", "22", "9b2d7c0e-1b7a-4a63-8f2f-0a1b2c3d4e5f"]) {
      traffic.note(httpCall({ target: `/orders/${id}/lines?all=1` }, { identity: orders }))
    }
    traffic.note(httpCall({ method: "POST", target: "/caf%C3%A9" }, { identity: orders }))
    traffic.note(tcpCall({ identity: hostCaller(NodeName.make("ops-1")) }))
    traffic.note(httpCall({ method: "OPTIONS", target: "*" }, { identity: orders }))
    traffic.note(httpCall({ target: "/a//b" }, { identity: orders }))
    traffic.note(httpCall({ target: "/a".repeat(17) }, { identity: orders }))
    const service = "payments"
    expect(traffic.seen()).toEqual({
      left: 2,
      rows: [
        {
          ...{ caller: "orders", service, method: "GET", calls: 3 },
          path: ["orders", null, "lines"]
        },
        { caller: "orders", service, method: "POST", path: ["café"], calls: 1 },
        { caller: "host/ops-1", service, method: undefined, path: undefined, calls: 1 },
        { caller: "orders", service, method: "OPTIONS", path: undefined, calls: 1 }
      ]
    })
  })

  it("knows gRPC, whose methods are no ids", () => {
    const traffic = new Traffic(new PathReading())
    const fields = ["content-type", "application/grpc+proto"]
    const target = "/shop.v1.Payments/ChargeV2WithReceipts"
    traffic.note(httpCall({ method: "POST", target, fields }, { identity: orders }))
    traffic.note(httpCall({ method: "POST", target: "/17", fields: [] }, { identity: orders }))
    expect(traffic.seen().rows.map(({ grpc, path }) => [grpc, path])).toEqual([
      [true, ["shop.v1.Payments", "ChargeV2WithReceipts"]],
      [undefined, [null]]
    ])
  })

  it("has a bound, and counts what is beyond it", () => {
    const traffic = new Traffic(new PathReading())
    const word = (index: number) =>
      index.toString(26).replace(/\d/g, (digit) => `x${"ghijklmnop"[+digit]}`)
    for (let i = 0; i < maxTraffic + 5; i++) traffic.note(httpCall({ target: `/${word(i)}` }))
    expect(traffic.seen().rows).toHaveLength(maxTraffic)
    expect(traffic.seen().left).toBe(5)
    traffic.keep((service) => service !== "payments")
    expect(traffic.seen().rows).toEqual([])
  })
})

describe("what looks like an id", () => {
  it.each([
    "1",
    "00017",
    "deadbeef0",
    "9b2d7c0e-1b7a-4a63-8f2f-0a1b2c3d4e5f",
    "cus_9Xk2LmPq8RtYv3Zw"
  ])("%s does", (segment) => expect(looksLikeId(segment)).toBe(true))
  it.each(["", "orders", "v1", "charge-2", "deadbeef", "facade", "a1b2", "CreateChargeRequests"])(
    "%j does not",
    (segment) => expect(looksLikeId(segment)).toBe(false)
  )
  it("is any segment", () => {
    expect(templateOf("/v1/orders/17/lines/")).toEqual(["v1", "orders", null, "lines", ""])
  })
})
