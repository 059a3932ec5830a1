import { expect, it } from "vitest"
import { hostCaller, serviceCaller } from "../model/Caller.ts"
import { MeshId, NodeName, PeerKey, ServiceName } from "../model/Names.ts"
import type { Setting } from "../model/Setting.ts"
import type { Denial } from "../request/inbound/Denials.ts"
import { deniedEvent, invitedEvent, revokedEvent, signedEvent } from "./AuditEvents.ts"

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

it("a revocation says whom or what it takes away, and other settings say nothing of the kind", () => {
  const peer = PeerKey.make("12D3KooWLoSgxnP3mxxZUWQ5LwpcQJ1KMaSyutkzZ1rXrfxqzpXB")
  const setting = (body: Setting["body"], kind = "trust"): Setting => ({
    ...{ kind, name: "x", author: "ann", node: NodeName.make("host-a"), why: "stolen" },
    ...{ signer: peer, epoch: 1, version: 0, signedAt: 1, replaces: [], past: [], body }
  })
  const node = { revoke: "node", peer, called: "host-b", stay: [] }
  const told = { event: "trust.revoked", by: "ann", from: "host-a", message: "stolen" }
  expect(revokedEvent(setting(node), true)).toEqual({
    ...{ ...told, about: "host-b", code: "node", more: { peer } }
  })
  expect(revokedEvent(setting({ revoke: "grant", peer, service: "shop-*" }), true)).toEqual({
    ...told,
    about: `${peer}/shop-*`,
    code: "grant",
    more: { peer }
  })
  const invite = "0a".repeat(16)
  expect(revokedEvent(setting({ revoke: "invite", invite }), true)).toEqual({
    ...{ ...told, about: invite, code: "invite" }
  })
  expect(revokedEvent(setting(node), false)).toBeUndefined()
  expect(revokedEvent(setting(undefined), true)).toBeUndefined()
  expect(revokedEvent(setting({ root: "added", statement: "AAAA" }), true)).toBeUndefined()
  expect(revokedEvent(setting(node, "access"), true)).toBeUndefined()
})
