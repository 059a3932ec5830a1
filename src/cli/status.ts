/** `skein status`: one node at a glance. */
import * as Command from "@effect/cli/Command"
import type { AnnouncedAddress, CallerStatus, NamesStatus, NodeStatus } from "../admin/NodeModel.ts"
import { trialOf } from "./AnnouncedCheck.ts"
import { clockLine, isClockWell } from "./ClockCheck.ts"
import { bytes, counted, firstOf, latency, span } from "./Figures.ts"
import { renderPairs, type Tone } from "./Table.ts"
import { type Showing, showView, viewOptions } from "./View.ts"

const stateTone: Record<NodeStatus["state"], Tone> = {
  starting: "warn",
  serving: "good",
  draining: "warn",
  drained: "warn",
  leaving: "warn"
}

/** Of a host's own addresses some are of use to nobody else: only what is configured is wrong. */
const toneOf = ({ configured, state }: AnnouncedAddress): Tone | undefined =>
  state === "reached" ? "good" : state === "unreached" && configured ? "bad" : undefined

/** Each address on a line of its own, with what came of it when that is known. */
const announces = ({ addresses, announced, nowAt }: NodeStatus) => {
  const lines: ReadonlyArray<readonly [string, Tone | undefined]> =
    announced.length === 0
      ? addresses.map((address) => [address, undefined])
      : announced.map((one) => [`${one.address} (${trialOf(one, nowAt)})`, toneOf(one)])
  return lines.map(([text, tone], at) => [at === 0 ? "announces" : "", text, tone] as const)
}

const namesLine = ({ address, listening, suffix }: NamesStatus) =>
  `${address} (*.${suffix}); ${counted(listening, "service")} called by name`

const openFiles = ({ descriptors }: NodeStatus) => {
  if (descriptors === undefined || descriptors.limit === null) return []
  const { limit, open, problem, sockets, socketsOpen } = descriptors
  const text = `${open ?? "some"} of ${limit}; connections of programs ${socketsOpen} of ${sockets}`
  return [["open files", text, problem === null ? "good" : "warn"] as const]
}

/** What this node holds, which is what it may offer and pass on. */
const grants = ({ certificate: { capabilities, services, speaks } }: NodeStatus) =>
  `services ${services.length === 0 ? "none" : services.join(", ")}; ${
    speaks.length === 0 ? "" : `speaks for ${speaks.join(", ")}; `
  }${capabilities.length === 0 ? "no capabilities" : capabilities.join(", ")}`

/** Ports whose clients speak for something; those for which this node may not speak are told. */
const portsOf = (title: string, ports: ReadonlyArray<CallerStatus>, node: string) => {
  if (ports.length === 0) return []
  const each = ports.map(
    ({ address, as, granted }) =>
      `${address} as ${as ?? `host/${node}`}${granted ? "" : " (not granted: refused)"}`
  )
  return [[title, each.join(", "), ports.every(({ granted }) => granted) ? "good" : "bad"] as const]
}

const callers = ({ attach, callers, node }: NodeStatus) =>
  portsOf(
    "callers",
    callers.filter(({ address }) => !attach.includes(address)),
    node
  )

/** Where programs of this host attach. */
const doors = ({ attach, callers, node }: NodeStatus) =>
  portsOf(
    "attach",
    callers.filter(({ address }) => attach.includes(address)),
    node
  )

/** Programs that are attached, with what they serve; what is not healthy is told. */
const programs = ({ programs }: NodeStatus) => {
  const lines = programs.map(({ name, pid, serves }) => {
    const served = serves.map(({ healthy, reason, service }) =>
      healthy ? service : `${service} (${reason})`
    )
    const what = served.length === 0 ? "calls" : `serves ${served.join(", ")}`
    const tone: Tone = serves.every(({ healthy }) => healthy) ? "good" : "bad"
    return [`${name}${pid === null ? "" : ` (pid ${pid})`} ${what}`, tone] as const
  })
  return lines.map(([text, tone], at) => [at === 0 ? "programs" : "", text, tone] as const)
}

/** Those that carry requests; one that is down is named. */
const threadsLine = ({ threads }: NodeStatus) => {
  if (threads.length === 0) return []
  const down = threads.filter(({ state }) => state !== "running")
  const restarts = threads.reduce((sum, one) => sum + one.restarts, 0)
  const since = restarts === 0 ? "" : `, ${counted(restarts, "restart")}`
  const text =
    down.length === 0
      ? `${threads.length} running${since}`
      : `${threads.length - down.length} of ${threads.length} running${since}: ${down
          .map(({ index, lastError, state }) => `${index} ${state}, ${lastError ?? "no error"}`)
          .join("; ")}`
  return [["threads", text, down.length > 0 ? "bad" : restarts > 0 ? "warn" : "good"] as const]
}

export const renderStatus = (status: NodeStatus, { colour }: Showing): string => {
  const { certificate, counts, findings, memory, nowAt } = status
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
      ...(status.listening.length === 0 ? [] : [["listens", status.listening.join(", ")] as const]),
      ...announces(status),
      ...(status.proxy === null ? [] : [["proxy", status.proxy] as const]),
      ...(status.names === null ? [] : [["names", namesLine(status.names)] as const]),
      ...callers(status),
      ...doors(status),
      ...programs(status),
      [
        "certificate",
        left > 0 ? `expires in ${span(left)}` : `expired ${span(-left)} ago`,
        left > 3_600_000 ? "good" : left > 0 ? "warn" : "bad"
      ],
      ["grants", grants(status)],
      ["clock", clockLine(status), isClockWell(status) ? "good" : "bad"],
      [
        "own actors",
        troubled.length === 0
          ? `${status.actors.length} running; those of programs: skein actors`
          : troubled
              .map(({ name, state, lastError }) => `${name} ${state}: ${lastError}`)
              .join("; "),
        troubled.length === 0 ? "good" : "bad"
      ],
      ...threadsLine(status),
      [
        "mesh view",
        [
          counted(counts.members, "member"),
          counted(counts.services, "service"),
          counted(counts.endpoints, "healthy endpoint"),
          counted(counts.links, "link")
        ].join(", ")
      ],
      ...(findings.length === 0
        ? []
        : ([
            [
              "wrong",
              `${firstOf(
                findings.map(({ message }) => message),
                "; "
              )} (see \`skein doctor\`)`,
              "bad"
            ]
          ] as const)),
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
