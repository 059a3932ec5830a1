/** `skein links`: the encrypted paths to other nodes. */
import * as Command from "@effect/cli/Command"
import type { LinkStatus } from "../admin/MemberModel.ts"
import { bytes, latency, missing, shortPeer, span } from "./Figures.ts"
import { type Column, renderTable, type Tone } from "./Table.ts"
import { type Showing, showView, viewOptions } from "./View.ts"

const stateTone: Record<LinkStatus["state"], Tone> = {
  open: "good",
  draining: "warn",
  connecting: "warn",
  closed: "bad"
}

const columns = (now: number): ReadonlyArray<Column<LinkStatus>> => [
  { title: "NODE", cell: ({ node, peer }) => node ?? shortPeer(peer) },
  { title: "STATE", cell: ({ state }) => state, tone: ({ state }) => stateTone[state] },
  { title: "DIRECTION", cell: ({ direction }) => direction },
  { title: "SINCE", cell: ({ sinceAt }) => span(Math.max(0, now - sinceAt)), align: "right" },
  { title: "RTT", cell: ({ rttMs }) => latency(rttMs), align: "right" },
  { title: "EXCHANGES", cell: ({ exchanges }) => String(exchanges), align: "right" },
  { title: "IN", cell: ({ bytesIn }) => bytes(bytesIn), align: "right" },
  { title: "OUT", cell: ({ bytesOut }) => bytes(bytesOut), align: "right" },
  { title: "ADDRESS", cell: ({ address }) => address ?? missing },
  { title: "LAST ERROR", cell: ({ lastError }) => lastError ?? "", tone: () => "dim" }
]

export const renderLinks = (links: ReadonlyArray<LinkStatus>, { colour, now }: Showing): string =>
  renderTable(columns(now), links, { colour, empty: "No links: this node is alone in its mesh." })

export const links = Command.make("links", viewOptions, (choice) =>
  showView(choice, { fetch: (client) => client.views.links({}), render: renderLinks })
).pipe(Command.withDescription("The encrypted paths to other nodes"))
