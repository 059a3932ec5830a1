/** `skein status`: one node at a glance. */
import * as Command from "@effect/cli/Command"
import type { NodeStatus } from "../admin/AdminModel.ts"
import { bytes, counted, latency, span } from "./Figures.ts"
import { renderPairs, type Tone } from "./Table.ts"
import { type Showing, showView, viewOptions } from "./View.ts"

const stateTone: Record<NodeStatus["state"], Tone> = {
  starting: "warn",
  serving: "good",
  draining: "warn",
  drained: "warn",
  leaving: "warn"
}

const openFiles = ({ descriptors }: NodeStatus) => {
  if (descriptors === undefined || descriptors.limit === null) return []
  const { limit, open, problem, sockets, socketsOpen } = descriptors
  const text = `${open ?? "some"} of ${limit}; connections of programs ${socketsOpen} of ${sockets}`
  return [["open files", text, problem === null ? "good" : "warn"] as const]
}

export const renderStatus = (status: NodeStatus, { colour }: Showing): string => {
  const { certificate, counts, memory, nowAt } = status
  const missing = status.readiness.filter(({ ready }) => !ready)
  const troubled = status.actors.filter(({ state }) => state !== "running")
  const left = certificate.expiresAt - nowAt
  return renderPairs(
    [
      ["node", status.node],
      ["peer", status.peer],
      ["mesh", `${status.mesh.name} (${status.mesh.id})`],
      ["state", status.state, stateTone[status.state]],
      [
        "ready",
        missing.length === 0
          ? "yes"
          : `no: ${missing.map(({ name, detail }) => `${name} (${detail})`).join(", ")}`,
        missing.length === 0 ? "good" : "bad"
      ],
      ["version", status.version],
      ["uptime", span(status.uptimeMs)],
      ...(status.zone === null ? [] : [["zone", status.zone] as const]),
      ["addresses", status.addresses.join(", ")],
      ...(status.proxy === null ? [] : [["proxy", status.proxy] as const]),
      [
        "certificate",
        left > 0 ? `expires in ${span(left)}` : `expired ${span(-left)} ago`,
        left > 3_600_000 ? "good" : left > 0 ? "warn" : "bad"
      ],
      [
        "actors",
        troubled.length === 0
          ? `${status.actors.length} running`
          : troubled
              .map(({ name, state, lastError }) => `${name} ${state}: ${lastError}`)
              .join("; "),
        troubled.length === 0 ? "good" : "bad"
      ],
      [
        "mesh view",
        [
          counted(counts.members, "member"),
          counted(counts.services, "service"),
          counted(counts.endpoints, "healthy endpoint"),
          counted(counts.links, "link")
        ].join(", ")
      ],
      ["in flight", String(counts.inFlight)],
      ...openFiles(status),
      ...(status.dataDirProblem === undefined || status.dataDirProblem === null
        ? []
        : [["storage", status.dataDirProblem, "warn"] as const]),
      ["memory", `${bytes(memory.rss)} resident, ${bytes(memory.heapUsed)} heap`],
      ["loop delay", latency(status.loopDelayMs)]
    ],
    { colour }
  )
}

export const status = Command.make("status", viewOptions, (choice) =>
  showView(choice, { fetch: (client) => client.views.status({}), render: renderStatus })
).pipe(Command.withDescription("How this node is"))
