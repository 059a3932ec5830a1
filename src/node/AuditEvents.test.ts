import { expect, it } from "vitest"
import { hostCaller, serviceCaller } from "../model/Caller.ts"
import { MeshId, NodeName, PeerKey, ServiceName } from "../model/Names.ts"
import type { Denial } from "../request/inbound/Denials.ts"
import { deniedEvent, invitedEvent, signedEvent } from "./AuditEvents.ts"

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

it("who was granted rights to speak for services, by a token or a certificate, can be seen", () => {
  const grant = { services: ["payments"], capabilities: ["admit"], speaks: ["orders", "shop-*"] }
  const notAfter = Date.UTC(2026, 10, 30)
  const until = "2026-11-30T00:00:00.000Z"
  const by = NodeName.make("host-a")
  const limits = { names: undefined, uses: 2 }
  expect(invitedEvent({ by, grant, limits, id: "0a", expiresAt: notAfter })).toEqual({
    ...{ event: "key.invite", by, about: "0a" },
    more: { ...grant, uses: 2, names: "any", expires: until }
  })
  const peer = PeerKey.make("12D3KooWLoSgxnP3mxxZUWQ5LwpcQJ1KMaSyutkzZ1rXrfxqzpXB")
  expect(signedEvent({ ...grant, name: by, peer, notAfter }, "0a")).toEqual({
    ...{ event: "door.joined", about: by, from: peer },
    more: { ...grant, until, invite: "0a" }
  })
})
