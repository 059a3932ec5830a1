/** What a node's own report says of its health. Pure: from the admin API's values to checks. */
import type { MemberStatus } from "../admin/MemberModel.ts"
import type { MeshFinding, NodeStatus } from "../admin/NodeModel.ts"
import type { ServiceStatus } from "../admin/ServiceModel.ts"
import type { NodeConfig } from "../config/NodeConfig.ts"
import { meshWarnings } from "../config/PolicyReach.ts"
import { announcedCheck } from "./AnnouncedCheck.ts"
import { type Check, fail, ok, warn } from "./Check.ts"
import { clockCheck } from "./ClockCheck.ts"
import { counted, latency, span } from "./Figures.ts"

const certificate = ({ certificate, nowAt }: NodeStatus): Check => {
  const { expiresAt, renewAt, renewalError, renewers } = certificate
  const left = expiresAt - nowAt
  const mend =
    "It is renewed by any member with the capability admit: see that one is reachable (`skein members`)."
  if (left <= 0) return fail("certificate", `expired ${span(-left)} ago`, mend)
  const detail = `valid for ${span(left)}`
  if (renewalError !== null) {
    return warn("certificate", `${detail}, but the last renewal failed: ${renewalError}`, mend)
  }
  if (renewAt !== null && nowAt > renewAt + 3_600_000) {
    return warn("certificate", `${detail}, but renewal is late by ${span(nowAt - renewAt)}`, mend)
  }
  if (renewers === 0) {
    return warn(
      "certificate",
      `${detail}, and nobody at hand could renew it: no connected member holds the capability admit with this node's rights and a right to sign that outlasts it`,
      "Start such a member, or bring the root key to one (`skein root import`); `skein invite --capabilities admit` makes more."
    )
  }
  return ok("certificate", detail)
}

/** A port that asks for what the certificate does not let: each call through it is refused. */
const callers = ({ callers, certificate }: NodeStatus): ReadonlyArray<Check> =>
  callers
    .filter(({ granted }) => !granted)
    .map(({ address, as }) => {
      const name = `listener ${address}`
      // What is granted and does not count was taken back, which no invite mends.
      const isTaken = [...certificate.speaks, ...certificate.services].some((one) => one === as)
      return isTaken
        ? fail(
            name,
            `speaks for ${as}, a right that was taken back: its calls are refused`,
            "`skein revoke` lists by whom and why; `skein delete trust NAME` gives it back."
          )
        : fail(
            name,
            `speaks for ${as ?? "the host"}, which this node's certificate does not grant: its calls are refused`,
            `Invite it anew with --as ${as} (docs/identity.md), or write another \`as\`.`
          )
    })

const day = 86_400_000

/** Nobody can be let in, and no certificate renewed, when all such rights have ended. */
const rightToAdmit = ({ certificate: { admits }, nowAt }: NodeStatus): ReadonlyArray<Check> => {
  if (admits === null) return []
  const { depth, maxDepth, untilAt } = admits
  const name = "right to admit"
  const bring =
    "Put root.key into the data directory of a member for one start: it renews the right."
  if (untilAt !== null && untilAt <= nowAt) {
    return [fail(name, `ended ${span(nowAt - untilAt)} ago: this node lets nobody in`, bring)]
  }
  const life = untilAt === null ? "by the root key" : `for ${span(untilAt - nowAt)}`
  if (untilAt !== null && untilAt - nowAt < 30 * day) {
    return [warn(name, `ends in ${span(untilAt - nowAt)}, and with it what rests on it`, bring)]
  }
  const where = `${counted(depth, "delegation")} from the root`
  return depth > (maxDepth * 3) / 4
    ? [
        warn(
          name,
          `${where}, and ${maxDepth} is the limit`,
          `It shrinks when this node meets a member nearer to the root. ${bring}`
        )
      ]
    : [ok(name, depth === 0 ? life : `${life}, ${where}`)]
}

const actors = ({ actors }: NodeStatus): ReadonlyArray<Check> => {
  const troubled = actors.filter(({ state }) => state !== "running")
  if (troubled.length === 0)
    return [ok("own actors", `${actors.length} running; those of programs: skein actors`)]
  return troubled.map(({ name, state, restarts, lastError }) =>
    (state === "failed" ? fail : warn)(
      `actor ${name}`,
      `${state}, ${counted(restarts, "restart")}, last error: ${lastError ?? "none"}`,
      "Requests go on without it. The node's log has the whole error; please report it."
    )
  )
}

const storage = ({ dataDirProblem }: NodeStatus): ReadonlyArray<Check> =>
  dataDirProblem === undefined || dataDirProblem === null
    ? []
    : [
        warn(
          "storage",
          dataDirProblem,
          "The node serves on from memory, and writes it as soon as it can; until then a restart may lose what it holds."
        )
      ]

const threads = ({ nowAt, threads }: NodeStatus): ReadonlyArray<Check> => {
  if (threads.length === 0) return []
  const troubled = threads.filter(
    ({ restarts, sinceAt, state }) =>
      state !== "running" || (restarts > 0 && nowAt - sinceAt < crashIsNews)
  )
  if (troubled.length === 0) return [ok("request threads", `${threads.length} running`)]
  return troubled.map(({ index, lastError, restarts, sinceAt, state }) =>
    (state === "running" ? warn : fail)(
      `request thread ${index}`,
      `${state} for ${span(nowAt - sinceAt)}, ${counted(restarts, "restart")}, last error: ${lastError ?? "none"}`,
      "A crash costs the connections of that thread; the others carry on. The node's log has the whole error; please report it."
    )
  )
}

/** Ms for which a thread that was started again is worth a warning. */
const crashIsNews = 3_600_000

/** From so late on people notice, ms. */
const lateLoop = 100

const eventLoops = ({ loopDelayMs, threads }: NodeStatus): Check => {
  const worst = threads.reduce((most, one) => Math.max(most, one.loopDelayMs ?? 0), 0)
  if (worst > lateLoop) {
    return warn(
      "event loop",
      `timers of request threads fire ${latency(worst)} late`,
      "They get too little CPU; every request through them waits as long."
    )
  }
  return loopDelayMs !== null && loopDelayMs > lateLoop
    ? warn(
        "event loop",
        `timers fire ${latency(loopDelayMs)} late`,
        threads.length === 0
          ? "The process gets too little CPU; every request through this node waits as long."
          : "The mesh thread gets too little CPU. Requests have threads of their own, but others may take this node for ill, and what changes in the mesh is learnt late."
      )
    : ok("event loop", `timers fire ${latency(Math.max(worst, loopDelayMs ?? 0))} late`)
}

/** From this share of what is allowed on it is said that it is nearly all. */
const nearlyAll = 0.9

const descriptors = ({ descriptors }: NodeStatus): ReadonlyArray<Check> => {
  if (descriptors === undefined || descriptors.limit === null) return []
  const { limit, open, problem, sockets, socketsOpen } = descriptors
  const used = `${open ?? "some"} of ${limit} in use, ${socketsOpen} of ${sockets} by connections of clients and to programs`
  const mend =
    "Raise it: LimitNOFILE=65536 in the systemd unit, --ulimit nofile=65536 for a container, ulimit -n 65536 in a shell."
  if (sockets !== null && socketsOpen >= sockets * nearlyAll) {
    return [
      warn("open files", `${used}: further calls wait or get overflow`, `${mend} Then restart.`)
    ]
  }
  return [
    problem === null
      ? ok("open files", used)
      : warn("open files", `${used}: the limit is low`, mend)
  ]
}

export const nodeChecks = (status: NodeStatus): ReadonlyArray<Check> => {
  const missing = status.readiness.filter(({ ready }) => !ready)
  return [
    ok("live", `${status.node} (${status.version}) has been up for ${span(status.uptimeMs)}`),
    status.state === "serving"
      ? ok("serving", "takes requests")
      : warn(
          "serving",
          `the node is ${status.state}`,
          "It takes nothing new until it is restarted."
        ),
    missing.length === 0
      ? ok("ready", status.readiness.map(({ name }) => name).join(", ") || "nothing to wait for")
      : fail(
          "ready",
          missing.map(({ name, detail }) => `${name}: ${detail}`).join("; "),
          "Traffic should not come here before these are done."
        ),
    certificate(status),
    ...rightToAdmit(status),
    ...callers(status),
    announcedCheck(status),
    ...storage(status),
    ...actors(status),
    ...threads(status),
    ...descriptors(status),
    eventLoops(status)
  ]
}

/** What works now, though not for long or not for all; anything else leaves somebody out. */
const harmless: ReadonlyArray<MeshFinding["kind"]> = [
  "name_not_unique",
  "invite_overused",
  "root_unfinished",
  "setting_conflict",
  "peer_misbehaves",
  "records_refused"
]

const findingNames: Record<MeshFinding["kind"], string> = {
  protocol_conflict: "protocols",
  service_not_granted: "grants",
  name_not_unique: "names",
  address_not_unique: "addresses",
  invite_overused: "tokens",
  setting_conflict: "settings",
  record_contested: "key",
  records_refused: "records",
  peer_misbehaves: "conduct",
  thrown_out: "trust",
  root_unfinished: "root",
  root_forked: "root",
  catalogue_full: "room"
}

const findingChecks = ({ findings }: NodeStatus): ReadonlyArray<Check> =>
  findings.length === 0
    ? [ok("agreement", "nodes do not contradict each other")]
    : findings.map(({ kind, message, hint }) =>
        (harmless.includes(kind) ? warn : fail)(findingNames[kind], message, hint)
      )

export const meshChecks = (
  status: NodeStatus,
  members: ReadonlyArray<MemberStatus>
): ReadonlyArray<Check> => {
  const others = members.filter(
    ({ self, state }) => !self && state !== "left" && state !== "refused" && state !== "revoked"
  )
  const alive = others.filter(({ state }) => state === "alive")
  const linked = alive.filter(({ draining }) => !draining)
  const unlinked = alive.filter(({ link }) => link === "connecting" || link === "closed")
  const unsynced = alive.filter(({ record }) => record !== null && record.sync !== "synced")
  const names = (list: ReadonlyArray<MemberStatus>) => list.map(({ node }) => node).join(", ")
  return [
    others.length === 0
      ? ok("members", "this node is alone in its mesh")
      : alive.length === others.length
        ? ok("members", `${counted(alive.length, "other")}, all alive`)
        : warn(
            "members",
            others
              .filter(({ state }) => state !== "alive")
              .map(({ node, state }) => `${node} is ${state}`)
              .join(", "),
            "Is the process running, and its address reachable from here? A host gone for good leaves with `skein leave`; one that cannot say so any more is taken off with `skein forget NODE`."
          ),
    unlinked.length === 0
      ? ok(
          "links",
          linked.length === 0 ? "none needed" : `open to ${counted(linked.length, "member")}`
        )
      : warn(
          "links",
          `none open to ${names(unlinked)}`,
          "Calls to them must wait for one; `skein links` shows the last error."
        ),
    unsynced.length === 0
      ? ok("catalogue", "in step with the others")
      : warn(
          "catalogue",
          unsynced.map(({ node, record }) => `${node}: ${record?.sync}`).join(", "),
          "It is repaired within 30 s when the members can reach each other."
        ),
    clockCheck(status, members),
    ...findingChecks(status)
  ]
}

const serviceCheck = ({ name, endpoints, nodes, panic }: ServiceStatus): Check => {
  const { healthy, inUse, total } = endpoints
  const where = nodes.join(", ")
  const see = `See \`skein endpoints ${name}\`.`
  if (healthy === 0) {
    return fail(
      name,
      total === 0 ? "no endpoints" : `none of ${counted(total, "endpoint")} is healthy`,
      `Calls get no_healthy_endpoint. Are the programs running${where === "" ? "" : ` on ${where}, and is none of these nodes draining`}? ${see}`
    )
  }
  // What its callers here have met counts for more than what its owners say.
  if (inUse === 0) {
    return fail(
      name,
      `${healthy} of ${counted(total, "endpoint")} ${healthy === 1 ? "is" : "are"} healthy, but calls from this node have failed too often: no circuit is closed`,
      `Calls get no_healthy_endpoint until a probe succeeds. ${see}`
    )
  }
  if (panic) {
    return warn(
      name,
      `panic: so many of ${counted(total, "endpoint")} behave badly that the ejected ones are used all the same`,
      `Look for what they have in common: a database, a release, a network. ${see}`
    )
  }
  return healthy === total
    ? ok(name, `${counted(total, "healthy endpoint")} on ${where}`)
    : warn(name, `${healthy} of ${total} endpoints are healthy`, see)
}

export const serviceChecks = (services: ReadonlyArray<ServiceStatus>): ReadonlyArray<Check> =>
  services.length === 0
    ? [ok("services", "none are offered in this mesh")]
    : services.map(serviceCheck)

/** Of the config as its file stands: what in it names nobody, or what nobody heeds. */
export const policyChecks = (
  config: Pick<NodeConfig, "policies" | "upstreams">,
  services: ReadonlyArray<ServiceStatus>
): ReadonlyArray<Check> => {
  const offered = new Map(services.map((service) => [service.name, service]))
  const found = meshWarnings(config, offered)
  const count = Object.keys(config.policies).length
  if (found.length === 0) {
    return count === 0 ? [] : [ok("policies", `each of ${count} is for a service of the mesh`)]
  }
  return found.map(({ describe, reason }) =>
    warn(
      reason === "unknown" ? "unknown service" : "protocol",
      describe(),
      reason === "unknown"
        ? "Correct the name, unless the service is still to come."
        : "What the message names has no effect as it stands."
    )
  )
}

export const telemetryChecks = ({ telemetry }: NodeStatus): ReadonlyArray<Check> => {
  const { collector, reachable, dropped, lastError } = telemetry
  if (collector === null) return [ok("traces", "no collector is configured")]
  if (reachable === false) {
    return [
      warn(
        "traces",
        `the collector ${collector} does not take them: ${lastError ?? "unreachable"} (${dropped} dropped)`,
        "Requests are not affected. Is the collector running, and telemetry.otlp right?"
      )
    ]
  }
  return [
    ok(
      "traces",
      `go to ${collector}${dropped === 0 ? "" : `; ${counted(dropped, "span")} dropped`}`
    )
  ]
}
