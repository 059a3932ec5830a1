/** `skein peers`: is each node in step with this one, and how does it fare? */
import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import type { PeerStatus } from "../admin/PeerModel.ts"
import { latency, missing, span } from "./Figures.ts"
import { type Column, renderTable, type Tone } from "./Table.ts"
import { type Showing, showView, viewOptions } from "./View.ts"

const syncTone: Record<PeerStatus["sync"], Tone> = {
  synced: "good",
  syncing: "warn",
  stale: "bad",
  unreachable: "bad",
  unknown: "dim"
}

const columns = (now: number): ReadonlyArray<Column<PeerStatus>> => [
  { title: "NODE", cell: ({ node, self }) => (self ? `${node} (this)` : node) },
  {
    title: "SYNC",
    cell: ({ sync }) => sync.toUpperCase(),
    tone: ({ sync }) => syncTone[sync]
  },
  {
    title: "STATE",
    cell: ({ draining, state }) => (draining && state === "alive" ? "draining" : state)
  },
  {
    title: "LOAD",
    cell: ({ load }) => load ?? missing,
    tone: ({ load }) => (load === null || load === "ok" ? undefined : "warn")
  },
  { title: "LATE", cell: ({ lateMs }) => latency(lateMs), align: "right" },
  { title: "ANSWER", cell: ({ answerMs }) => latency(answerMs), align: "right" },
  { title: "RTT", cell: ({ rttMs }) => latency(rttMs), align: "right" },
  {
    title: "EQUAL",
    cell: ({ equalMs, self }) => (self ? missing : span(equalMs)),
    align: "right"
  },
  {
    title: "RECORD",
    cell: ({ record }) => (record === null ? missing : `${record.epoch}.${record.version}`)
  },
  {
    title: "AGE",
    cell: ({ record }) => span(record === null ? null : Math.max(0, now - record.signedAt)),
    align: "right"
  },
  { title: "SOFTWARE", cell: ({ software }) => software ?? missing },
  {
    title: "DETAIL",
    cell: ({ detail, newer }) =>
      [
        ...(detail === null ? [] : [detail]),
        ...(newer === null ? [] : [`it has record ${newer.epoch}.${newer.version}`])
      ].join("; "),
    tone: () => "dim"
  }
]

export const renderPeers = (peers: ReadonlyArray<PeerStatus>, { colour, now }: Showing): string =>
  renderTable(columns(now), peers, { colour, empty: "No peers." })

const allOption = Options.boolean("all").pipe(
  Options.withAlias("a"),
  Options.withDescription("Ask every member, not only those this node has a connection to")
)

export const peers = Command.make("peers", { ...viewOptions, all: allOption }, (choice) =>
  showView(choice, {
    fetch: (client) => client.views.peers({ urlParams: { all: choice.all } }),
    render: renderPeers
  })
).pipe(Command.withDescription("Is each node in step with this one, and how does it fare"))
