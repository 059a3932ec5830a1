import { expect, it } from "vitest"
import { hostCaller, serviceCaller } from "../model/Caller.ts"
import { MeshId, NodeName, ServiceName } from "../model/Names.ts"
import type { Denial } from "../request/inbound/Denials.ts"
import { deniedEvent } from "./AuditEvents.ts"

const own = MeshId.make("0f".repeat(16))
const foreign = MeshId.make("a1".repeat(16))
const denial: Denial = {
  caller: serviceCaller(ServiceName.make("web")),
  ...{ host: "host-a", service: "payments", rule: "unmatched", message: "no", count: 2 }
}

it("a denial names its caller as people do, and as other systems do", () => {
  expect(deniedEvent(denial, own)).toEqual({
    ...{ event: "access.denied", by: "service/web", from: "host-a", about: "payments" },
    ...{ code: "unmatched", message: "no", count: 2 },
    more: { id: `spiffe://${own}/service/web` }
  })
  const named = (caller: Denial["caller"]) => {
    const { by, more } = deniedEvent({ ...denial, caller }, own)
    return [by, more?.["id"]]
  }
  expect(named(hostCaller(NodeName.make("db-1")))).toEqual([
    "host/db-1",
    `spiffe://${own}/host/db-1`
  ])
  expect(named({ ...serviceCaller(ServiceName.make("web")), mesh: foreign })).toEqual([
    `${foreign}//service/web`,
    `spiffe://${foreign}/service/web`
  ])
  expect(named(undefined)).toEqual([undefined, undefined])
})
