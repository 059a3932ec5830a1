/** What a node's own report says of its health. Pure: from the admin API's values to checks. */
import type { NodeStatus } from "../admin/NodeModel.ts"
import { announcedCheck } from "./AnnouncedCheck.ts"
import { type Check, fail, ok, warn } from "./Check.ts"
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
