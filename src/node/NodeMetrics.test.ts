import { describe, expect, it } from "vitest"
import { RecordRefused } from "../mesh/catalogue/RecordRefused.ts"
import { PeerKey } from "../model/Names.ts"
import { MetricRegistry } from "../request/cells/Metrics.ts"
import { prometheusText } from "../telemetry/PrometheusText.ts"
import { maxPeersTold, type NodeFacts, observeNode } from "./NodeMetrics.ts"

type Link = NodeFacts["links"][number]

const peer = (n: number) => PeerKey.make(`12D3KooWPeerPeerPeer${String(n).replaceAll("0", "x")}`)

const link = (n: number, change: Partial<Link> = {}): Link => ({
  peer: peer(n),
  state: "up",
  rtt: 1.5,
  exchanges: 0,
  serving: 0,
  bytesIn: 0,
  bytesOut: 0,
  addresses: [],
  since: 0,
  wanted: true,
  reason: undefined,
  ...change
})

const start: NodeFacts = {
  now: 1_800_000_000_000,
  ready: true,
  members: [
    { state: "alive", signedAt: 1_800_000_000_000 - 5_000 },
    { state: "alive", signedAt: 1_800_000_000_000 - 90_000 },
    { state: "dead", signedAt: 1_800_000_000_000 - 900_000 }
  ],
  links: [
    link(1),
    link(2, { state: "draining", rtt: 2 }),
    link(3, { state: "down", rtt: undefined }),
    link(4, { state: "down", rtt: undefined, wanted: false })
  ],
  nameOf: (key) => `host-${key.at(-1)}`,
  certificate: {
    expiresAt: 1_800_000_086_400_500,
    renewalFails: false,
    admitsUntil: 1_830_000_000_000
  },
  announced: [{ state: "reached" }, { state: "unreached" }],
  catalogue: {
    records: 3,
    bytes: 1_234,
    further: { records: 0, refusedFull: 0 },
    settings: { records: 0, bytes: 0, refusedFull: 0 },
    refusedFull: 2,
    contested: 1,
    epoch: 1,
    version: 1
  },
  refused: new Map([
    ["forged", { count: 5, at: 0, last: new RecordRefused({ code: "forged", message: "" }) }]
  ]),
  findings: [
    { kind: "protocol_conflict", service: undefined, nodes: [], message: "", hint: "" },
    { kind: "protocol_conflict", service: undefined, nodes: [], message: "", hint: "" }
  ],
  actors: [{ name: "x", state: "failed", restarts: 9, mailbox: 4, dropped: 3, lastError: "boom" }],
  threads: [
    { index: 0, state: "running", restarts: 0, since: 1, lastError: undefined },
    { index: 1, state: "restarting", restarts: 2, since: 2, lastError: "out of memory" }
  ]
}

const scraped = () => {
  const registry = new MetricRegistry()
  const facts = { current: start }
  observeNode(registry, () => facts.current)
  return {
    lines: (change: Partial<NodeFacts> = {}) => {
      facts.current = { ...start, ...change }
      return prometheusText(registry)
        .split("\n")
        .filter((line) => line !== "" && !line.startsWith("#"))
    }
  }
}

describe("what a node knows of itself and the mesh", () => {
  it("says nothing of an end that the right to admit does not have", () => {
    const certificate = { ...start.certificate, admitsUntil: undefined }
    const lines = scraped().lines({ certificate })
    expect(lines.filter((line) => line.startsWith("skein_admit"))).toEqual([])
  })

  it("is told as it is at the scrape", () => {
    expect(scraped().lines()).toEqual([
      "skein_ready 1",
      'skein_members{state="alive"} 2',
      'skein_members{state="suspect"} 0',
      'skein_members{state="dead"} 1',
      'skein_members{state="left"} 0',
      'skein_members{state="refused"} 0',
      'skein_members{state="revoked"} 0',
      'skein_links{state="open",wanted="true"} 1',
      'skein_links{state="draining",wanted="true"} 1',
      'skein_links{state="connecting",wanted="true"} 0',
      'skein_links{state="closed",wanted="true"} 1',
      'skein_links{state="open",wanted="false"} 0',
      'skein_links{state="draining",wanted="false"} 0',
      'skein_links{state="connecting",wanted="false"} 0',
      'skein_links{state="closed",wanted="false"} 1',
      `skein_link_rtt_seconds{node="host-1",peer="${peer(1)}"} 0.0015`,
      `skein_link_rtt_seconds{node="host-2",peer="${peer(2)}"} 0.002`,
      "skein_certificate_expiry_timestamp_seconds 1800000086400.5",
      "skein_certificate_renewal_failing 0",
      "skein_admit_expiry_timestamp_seconds 1830000000",
      'skein_announced_addresses{state="reached"} 1',
      'skein_announced_addresses{state="unreached"} 1',
      'skein_announced_addresses{state="untried"} 0',
      "skein_catalogue_records 3",
      "skein_catalogue_bytes 1234",
      "skein_catalogue_oldest_record_age_seconds 90",
      "skein_catalogue_full_total 2",
      "skein_catalogue_contested_total 1",
      'skein_catalogue_refused_total{reason="forged"} 5',
      'skein_mesh_findings{kind="protocol_conflict"} 2',
      'skein_mesh_findings{kind="service_not_granted"} 0',
      'skein_mesh_findings{kind="name_not_unique"} 0',
      'skein_mesh_findings{kind="address_not_unique"} 0',
      'skein_mesh_findings{kind="invite_overused"} 0',
      'skein_mesh_findings{kind="setting_conflict"} 0',
      'skein_mesh_findings{kind="record_contested"} 0',
      'skein_mesh_findings{kind="records_refused"} 0',
      'skein_mesh_findings{kind="peer_misbehaves"} 0',
      'skein_mesh_findings{kind="thrown_out"} 0',
      'skein_mesh_findings{kind="root_unfinished"} 0',
      'skein_mesh_findings{kind="root_forked"} 0',
      'skein_mesh_findings{kind="catalogue_full"} 0',
      'skein_actor_running{actor="x"} 0',
      'skein_actor_mailbox_messages{actor="x"} 4',
      'skein_actor_restarts_total{actor="x"} 9',
      'skein_actor_dropped_messages_total{actor="x"} 3',
      'skein_request_thread_running{thread="0"} 1',
      'skein_request_thread_running{thread="1"} 0',
      'skein_request_thread_restarts_total{thread="0"} 0',
      'skein_request_thread_restarts_total{thread="1"} 2'
    ])
  })

  it("forgets the round trip of a link that is gone, and tells of so many peers at most", () => {
    const { lines } = scraped()
    const rtts = (links: ReadonlyArray<Link>) =>
      lines({ links }).filter((line) => line.startsWith("skein_link_rtt"))
    expect(rtts(start.links).length).toBe(2)
    expect(rtts([link(9)])).toEqual([
      `skein_link_rtt_seconds{node="host-9",peer="${peer(9)}"} 0.0015`
    ])
    const many = Array.from({ length: maxPeersTold + 10 }, (_, n) => link(n))
    expect(rtts(many).length).toBe(maxPeersTold)
    expect(rtts([])).toEqual([])
  })

  it("an alone node has no old record", () => {
    const { lines } = scraped()
    expect(lines({ members: [] })).toContain("skein_catalogue_oldest_record_age_seconds 0")
  })
})
