/** The members of the mesh as this node sees them, for people: its records, judged and measured. */
import type { MemberStatus } from "../admin/MemberModel.ts"
import { NodeName, type PeerKey } from "../model/Names.ts"
import { byText } from "../model/TextOrder.ts"
import type { PeerLinkStatus } from "../request/link/LinkPool.ts"
import type { MeshPlane } from "./MeshPlane.ts"
import { linkStates } from "./NodeMetrics.ts"

export interface MemberSources
  extends Pick<
    MeshPlane,
    | "catalogue"
    | "clockReport"
    | "clocks"
    | "convergence"
    | "membership"
    | "revocations"
    | "stranded"
  > {
  readonly links: ReadonlyArray<PeerLinkStatus>
}

const rounded = (value: number | undefined): number | null =>
  value === undefined ? null : Math.round(value)

export const memberRows = (sources: MemberSources, self: PeerKey): ReadonlyArray<MemberStatus> => {
  const { catalogue, clockReport, clocks, convergence, links } = sources
  const { membership, revocations, stranded } = sources
  const byPeer = new Map(links.map((link) => [link.peer, link]))
  const judged = new Map(membership.members().map((member) => [member.peer, member]))
  const rows = Array.from(catalogue.current().entries(), ({ record }): MemberStatus => {
    const member = judged.get(record.peer)
    const link = byPeer.get(record.peer)
    const isSelf = record.peer === self
    const state = record.state === "left" ? "left" : isSelf ? "alive" : (member?.state ?? "alive")
    // To most of a large mesh there is no link of our own: then membership knows.
    const isReached = link?.wanted === true ? link.state === "up" : state === "alive"
    const equalAt = convergence.book.of(record.peer)?.equalAt
    const draining = record.state === "draining"
    return {
      node: record.name,
      peer: record.peer,
      self: isSelf,
      state,
      draining,
      incarnation: member?.incarnation ?? 0,
      zone: record.zone ?? null,
      addresses: record.addresses,
      sinceAt: member?.since ?? record.signedAt,
      // It ends every link that somebody tries.
      link: isSelf ? null : draining ? "draining" : linkStates[link?.state ?? "down"],
      rttMs: link?.rtt ?? null,
      clockAheadMs: isSelf ? null : rounded(clocks.aheadOf(record.peer)),
      software: record.software,
      record: {
        epoch: record.epoch,
        version: record.version,
        signedAt: record.signedAt,
        sync: isReached ? "synced" : "unreachable",
        checkedMs: equalAt === undefined ? null : Math.round(clocks.now() - equalAt)
      }
    }
  })
  const held = new Set(rows.map(({ peer }) => peer))
  // Here all the same, and its operator looks for it.
  for (const { peer, node, sinceAt } of clockReport.status().refused) {
    if (held.has(peer)) continue
    held.add(peer)
    const link = byPeer.get(peer)
    rows.push({
      node: NodeName.make(node),
      peer,
      self: false,
      state: "refused",
      draining: false,
      incarnation: 0,
      zone: null,
      addresses: [],
      sinceAt,
      link: linkStates[link?.state ?? "down"],
      rttMs: link?.rtt ?? null,
      clockAheadMs: rounded(clocks.aheadOf(peer)),
      software: null,
      record: null
    })
  }
  for (const { record, since } of stranded()) {
    const { addresses, name, peer, software, zone } = record
    if (held.has(peer)) continue
    held.add(peer)
    rows.push({
      ...{ node: name, peer, self: false, state: "dead", draining: false, incarnation: 0 },
      ...{ zone: zone ?? null, addresses, sinceAt: since, link: null, rttMs: null },
      ...{ clockAheadMs: null, software, record: null }
    })
  }
  for (const { at, body } of revocations.current.all) {
    if (body.revoke !== "node" || held.has(body.peer)) continue
    rows.push({
      ...{
        node: body.called ?? NodeName.make(body.peer),
        peer: body.peer,
        self: body.peer === self
      },
      ...{ state: "revoked", draining: false, incarnation: 0, zone: null, addresses: [] },
      ...{ sinceAt: at, link: null, rttMs: null, clockAheadMs: null, software: null, record: null }
    })
  }
  return rows.sort((a, b) => Number(b.self) - Number(a.self) || byText(a.node, b.node))
}
