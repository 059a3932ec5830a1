/** `skein members`: who is in the mesh, as this node sees it. */
import * as Command from "@effect/cli/Command"
import type { MemberStatus } from "../admin/MemberModel.ts"
import { ahead } from "./ClockCheck.ts"
import { latency, missing, shortPeer, span } from "./Figures.ts"
import { type Column, renderTable, type Tone } from "./Table.ts"
import { type Showing, showView, viewOptions } from "./View.ts"

const stateTone: Record<MemberStatus["state"], Tone> = {
  alive: "good",
  suspect: "warn",
  dead: "bad",
  left: "dim",
  refused: "bad",
  revoked: "dim"
}

const columns = (now: number): ReadonlyArray<Column<MemberStatus>> => [
  { title: "NODE", cell: ({ node, self }) => (self ? `${node} (this)` : node) },
  {
    title: "STATE",
    cell: ({ draining, state }) => (draining && state === "alive" ? "draining" : state),
    tone: ({ state }) => stateTone[state]
  },
  { title: "SINCE", cell: ({ sinceAt }) => span(Math.max(0, now - sinceAt)), align: "right" },
  {
    title: "LINK",
    cell: ({ link }) => link ?? missing,
    tone: ({ link, state }) => (link === "closed" && state === "alive" ? "bad" : undefined)
  },
  { title: "RTT", cell: ({ rttMs }) => latency(rttMs), align: "right" },
  {
    title: "CLOCK",
    cell: ({ self, clockAheadMs }) => (self ? missing : ahead(clockAheadMs)),
    tone: ({ clockAheadMs }) => (ahead(clockAheadMs).length > 2 ? "bad" : undefined)
  },
  {
    title: "SYNC",
    cell: ({ record }) => record?.sync ?? missing,
    tone: ({ record }) => (record === null || record.sync === "synced" ? undefined : "warn")
  },
  { title: "ZONE", cell: ({ zone }) => zone ?? missing },
  { title: "ADDRESS", cell: ({ addresses }) => addresses[0] ?? missing },
  { title: "PEER", cell: ({ peer }) => shortPeer(peer), tone: () => "dim" }
]

export const renderMembers = (
  members: ReadonlyArray<MemberStatus>,
  { colour, now }: Showing
): string => renderTable(columns(now), members, { colour, empty: "No members." })

export const members = Command.make("members", viewOptions, (choice) =>
  showView(choice, { fetch: (client) => client.views.members({}), render: renderMembers })
).pipe(Command.withDescription("Who is in the mesh, as this node sees it"))
