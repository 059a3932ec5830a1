/** What came to the node's port and became no link, and the links there are, for metrics. */
import type { MetricRegistry } from "./cells/Metrics.ts"
import type { MeshPortCounts } from "./link/MeshPort.ts"
import type { SessionTransportCounts } from "./link/SessionTransport.ts"

/** Follows the counts at every scrape. */
export const observeLinks = (
  registry: MetricRegistry,
  transport: () => SessionTransportCounts,
  ports: () => Iterable<MeshPortCounts>
): void => {
  const open = registry
    .gauge("skein_link_connections", "Connections that carry links, of either end.", [])
    .cell({})
  const made = registry.counter(
    "skein_link_connections_total",
    "Links that were made. direction: dialled or accepted here.",
    ["direction"]
  )
  const refused = registry.counter(
    "skein_link_refused_total",
    "Connections that asked for a link and got none here, by reason. abandoned: no word followed in time.",
    ["reason"]
  )
  const closed = registry.counter(
    "skein_mesh_port_closed_total",
    "Connections to the port for other nodes that were closed before it was known what they are. strange: they began as nothing that is spoken here. silent: they did not say what they are in time. displaced: they made room for others. turned_away: handshakes from their address had failed again and again, or there was no time for more from there.",
    ["reason"]
  )
  registry.onCollect(() => {
    const { abandoned, accepted, dialled, links, refused: by } = transport()
    open.set(links)
    made.cell({ direction: "dialled" }).value = dialled
    made.cell({ direction: "accepted" }).value = accepted
    for (const [reason, count] of by) refused.cell({ reason }).value = count
    refused.cell({ reason: "abandoned" }).value = abandoned
    let [strange, silent, displaced, turnedAway] = [0, 0, 0, 0]
    for (const counts of ports()) {
      strange += counts.strange
      silent += counts.silent
      displaced += counts.displaced
      turnedAway += counts.turnedAway
    }
    closed.cell({ reason: "strange" }).value = strange
    closed.cell({ reason: "silent" }).value = silent
    closed.cell({ reason: "displaced" }).value = displaced
    closed.cell({ reason: "turned_away" }).value = turnedAway
  })
}
