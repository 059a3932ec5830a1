/**
 * What a node knows of itself and of the mesh, as metrics. Nothing here is counted: each scrape
 * reads the same snapshots that the admin API shows, so the request path pays nothing.
 */
import type { ActorStatus } from "../mesh/actor/Supervisor.ts"
import type { CatalogueStatus } from "../mesh/catalogue/CatalogueService.ts"
import { findingKinds, type MeshFinding } from "../mesh/catalogue/MeshFindings.ts"
import type { RefusedRecords } from "../mesh/catalogue/RefusedRecords.ts"
import type { Counter, Gauge } from "../request/cells/Cells.ts"
import type { Family } from "../request/cells/Family.ts"
import type { MetricRegistry } from "../request/cells/Metrics.ts"
import type { PeerLinkStatus } from "../request/link/LinkPool.ts"
import type { ThreadStatus } from "./ThreadSlot.ts"

/** Of a member, as this node sees it. */
export interface MemberFacts {
  readonly state: "alive" | "suspect" | "dead" | "left" | "refused" | "revoked"
  /** Wall clock when its owner signed the record that is held here. */
  readonly signedAt: number
}

export type AnnouncedState = "untried" | "reached" | "unreached"

export interface NodeFacts {
  /** Wall clock, ms. */
  readonly now: number
  readonly ready: boolean
  readonly members: ReadonlyArray<MemberFacts>
  readonly links: ReadonlyArray<PeerLinkStatus>
  readonly nameOf: (peer: PeerLinkStatus["peer"]) => string
  readonly certificate: {
    /** Wall clock, ms. */
    readonly expiresAt: number
    readonly renewalFails: boolean
    /** When the right to admit others ends, wall clock, ms. Undefined: there is none, or no end. */
    readonly admitsUntil: number | undefined
  }
  /** Where the node says that it is reached, and what came of it when others tried. */
  readonly announced: ReadonlyArray<{ readonly state: AnnouncedState }>
  readonly catalogue: CatalogueStatus
  readonly refused: RefusedRecords["kinds"]
  readonly findings: ReadonlyArray<MeshFinding>
  readonly actors: ReadonlyArray<ActorStatus>
  readonly threads: ReadonlyArray<ThreadStatus>
}

/**
 * Peers whose round trip is told one by one. A node has links to those that watch it, those that it
 * watches and those that it calls, or is called by; of more than this, the others are left out.
 */
export const maxPeersTold = 512

const memberStates: ReadonlyArray<MemberFacts["state"]> = [
  "alive",
  "suspect",
  "dead",
  "left",
  "refused",
  "revoked"
]
const announcedStates: ReadonlyArray<AnnouncedState> = ["reached", "unreached", "untried"]

/** What links are called towards people, by their pool's names. */
export const linkStates = {
  up: "open",
  draining: "draining",
  connecting: "connecting",
  down: "closed"
} as const

const actorLabels = ["actor"] as const

/** Follows `facts` at every scrape. */
export const observeNode = (registry: MetricRegistry, facts: () => NodeFacts): void => {
  const one = (name: string, help: string): Gauge => registry.gauge(name, help, []).cell({})
  const ready = one("skein_ready", "1 when the node is ready for traffic, as /ready says.")
  const members = registry.gauge(
    "skein_members",
    "Nodes of the mesh by state, as this one sees them, itself included.",
    ["state"]
  )
  const links = registry.gauge(
    "skein_links",
    "Links to other nodes by state. wanted: kept open; the others are made when somebody calls.",
    ["state", "wanted"]
  )
  const roundTrip = registry.gauge(
    "skein_link_rtt_seconds",
    "Round trip of the last ping on the link to a peer.",
    ["node", "peer"]
  )
  const expiry = one(
    "skein_certificate_expiry_timestamp_seconds",
    "When this node's certificate ends unless it is renewed, in seconds since 1970."
  )
  const renewal = one(
    "skein_certificate_renewal_failing",
    "1 when the last attempt to renew the certificate failed."
  )
  const admits = registry.gauge(
    "skein_admit_expiry_timestamp_seconds",
    "When this node's right to admit others ends, in seconds since 1970; absent without such a right or without end.",
    []
  )
  const announced = registry.gauge(
    "skein_announced_addresses",
    "Addresses that this node announces, by what came of it when other members tried them.",
    ["state"]
  )
  const records = one("skein_catalogue_records", "Signed records of nodes held here.")
  const recordBytes = one("skein_catalogue_bytes", "Encoded size of the records held here.")
  const oldest = one(
    "skein_catalogue_oldest_record_age_seconds",
    "Age of the oldest record of a member that is alive; owners sign anew every few hours."
  )
  const full = registry
    .counter("skein_catalogue_full_total", "Records that found no room in the catalogue.", [])
    .cell({})
  const contested = registry
    .counter(
      "skein_catalogue_contested_total",
      "Records of this node, met in the mesh, that this process did not write.",
      []
    )
    .cell({})
  const refused = registry.counter(
    "skein_catalogue_refused_total",
    "Records from the mesh that were not taken in, by reason; the same ones are met again and again.",
    ["reason"]
  )
  const findings = registry.gauge(
    "skein_mesh_findings",
    "What is wrong between nodes, by kind: see `skein doctor`.",
    ["kind"]
  )
  const actors: ActorFamilies = {
    running: registry.gauge(
      "skein_actor_running",
      "1 while an actor runs; 0: it is restarted.",
      actorLabels
    ),
    waiting: registry.gauge(
      "skein_actor_mailbox_messages",
      "Messages that wait for an actor.",
      actorLabels
    ),
    restarts: registry.counter(
      "skein_actor_restarts_total",
      "Lives of an actor after the first.",
      actorLabels
    ),
    dropped: registry.counter(
      "skein_actor_dropped_messages_total",
      "Messages to an actor that found its mailbox full.",
      actorLabels
    )
  }

  const threads = {
    running: registry.gauge(
      "skein_request_thread_running",
      "1 while a request thread runs; 0: it is being started, again as a rule.",
      ["thread"]
    ),
    restarts: registry.counter(
      "skein_request_thread_restarts_total",
      "Lives of a request thread after the first: each crash costs the connections of that thread.",
      ["thread"]
    )
  }

  registry.onCollect(() => {
    const now = facts()
    ready.set(Number(now.ready))
    for (const state of memberStates) {
      members.cell({ state }).set(now.members.filter((member) => member.state === state).length)
    }
    setLinks(links, now.links)
    setRoundTrips(roundTrip, now)
    expiry.set(now.certificate.expiresAt / 1_000)
    renewal.set(Number(now.certificate.renewalFails))
    admits.clear()
    const { admitsUntil } = now.certificate
    if (admitsUntil !== undefined) admits.cell({}).set(admitsUntil / 1_000)
    for (const state of announcedStates) {
      announced.cell({ state }).set(now.announced.filter((one) => one.state === state).length)
    }
    records.set(now.catalogue.records)
    recordBytes.set(now.catalogue.bytes)
    let signedAt = now.now
    for (const member of now.members) {
      if (member.state === "alive") signedAt = Math.min(signedAt, member.signedAt)
    }
    oldest.set((now.now - signedAt) / 1_000)
    full.value = now.catalogue.refusedFull
    contested.value = now.catalogue.contested
    for (const [reason, { count }] of now.refused) refused.cell({ reason }).value = count
    for (const kind of findingKinds) {
      findings.cell({ kind }).set(now.findings.filter((one) => one.kind === kind).length)
    }
    for (const actor of now.actors) setActor(actors, actor)
    for (const { index, restarts, state } of now.threads) {
      const labels = { thread: String(index) }
      threads.running.cell(labels).set(Number(state === "running"))
      threads.restarts.cell(labels).value = restarts
    }
  })
}

const setLinks = (
  family: Family<Gauge, "gauge", "state" | "wanted">,
  links: ReadonlyArray<PeerLinkStatus>
): void => {
  for (const wanted of [true, false]) {
    for (const state of Object.values(linkStates)) {
      const count = links.filter(
        (link) => link.wanted === wanted && linkStates[link.state] === state
      )
      family.cell({ state, wanted: String(wanted) }).set(count.length)
    }
  }
}

const setRoundTrips = (
  family: Family<Gauge, "gauge", "node" | "peer">,
  { links, nameOf }: NodeFacts
): void => {
  family.clear()
  for (const { peer, rtt } of links) {
    if (rtt === undefined) continue
    if (family.cells.size >= maxPeersTold) return
    family.cell({ node: nameOf(peer), peer }).set(rtt / 1_000)
  }
}

interface ActorFamilies {
  readonly running: Family<Gauge, "gauge", "actor">
  readonly waiting: Family<Gauge, "gauge", "actor">
  readonly restarts: Family<Counter, "counter", "actor">
  readonly dropped: Family<Counter, "counter", "actor">
}

const setActor = (families: ActorFamilies, actor: ActorStatus): void => {
  const labels = { actor: actor.name }
  families.running.cell(labels).set(Number(actor.state === "running"))
  families.waiting.cell(labels).set(actor.mailbox)
  families.restarts.cell(labels).value = actor.restarts
  families.dropped.cell(labels).value = actor.dropped
}
