/** What a node's own report says of its health. Pure: from the admin API's values to checks. */
import type { MemberStatus, NodeStatus, ServiceStatus } from "../admin/AdminModel.ts"
import { type Check, fail, ok, warn } from "./Check.ts"
import { counted, latency, span } from "./Figures.ts"

const certificate = ({ certificate, nowAt }: NodeStatus): Check => {
  const { expiresAt, renewAt, renewalError } = certificate
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
  return ok("certificate", detail)
}

const actors = ({ actors }: NodeStatus): ReadonlyArray<Check> => {
  const troubled = actors.filter(({ state }) => state !== "running")
  if (troubled.length === 0) return [ok("actors", `${actors.length} running`)]
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
    ...storage(status),
    ...actors(status),
    ...descriptors(status),
    status.loopDelayMs !== null && status.loopDelayMs > 100
      ? warn(
          "event loop",
          `timers fire ${latency(status.loopDelayMs)} late`,
          "The process gets too little CPU; every request through this node waits as long."
        )
      : ok("event loop", `timers fire ${latency(status.loopDelayMs)} late`)
  ]
}

/** Clocks are compared by what others have just signed: nothing can be signed in the future. */
const clockTolerance = 5_000

export const meshChecks = (
  status: NodeStatus,
  members: ReadonlyArray<MemberStatus>
): ReadonlyArray<Check> => {
  const others = members.filter(({ self, state }) => !self && state !== "left")
  const alive = others.filter(({ state }) => state === "alive")
  const unlinked = alive.filter(({ link }) => link !== null && link !== "open")
  const unsynced = alive.filter(({ record }) => record !== null && record.sync !== "synced")
  const ahead = others.filter(
    ({ record }) => record !== null && record.signedAt > status.nowAt + clockTolerance
  )
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
            "Is the process running, and its address reachable from here? A host gone for good leaves with `skein leave`."
          ),
    unlinked.length === 0
      ? ok(
          "links",
          alive.length === 0 ? "none needed" : `open to ${counted(alive.length, "member")}`
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
    ahead.length === 0
      ? ok("clocks", "nobody has signed anything in the future")
      : warn(
          "clocks",
          ahead
            .map(
              ({ node, record }) =>
                `${node} is ${span((record?.signedAt ?? 0) - status.nowAt)} ahead`
            )
            .join(", "),
          "Certificates depend on clocks: run NTP on both hosts."
        )
  ]
}

export const serviceChecks = (services: ReadonlyArray<ServiceStatus>): ReadonlyArray<Check> =>
  services.length === 0
    ? [ok("services", "none are offered in this mesh")]
    : services.map(({ name, endpoints: { healthy, total }, nodes }) => {
        const where = nodes.join(", ")
        if (healthy === total && total > 0)
          return ok(name, `${counted(total, "healthy endpoint")} on ${where}`)
        return healthy === 0
          ? fail(
              name,
              total === 0 ? "no endpoints" : `none of ${counted(total, "endpoint")} is healthy`,
              `Calls get no_healthy_endpoint. Are the programs running${where === "" ? "" : ` on ${where}`}? See \`skein endpoints ${name}\`.`
            )
          : warn(
              name,
              `${healthy} of ${total} endpoints are healthy`,
              `See \`skein endpoints ${name}\`.`
            )
      })

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
