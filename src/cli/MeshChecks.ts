/** What a node's report says of the mesh: whether its members are there, in step, and agree. Pure, as NodeChecks. */
import type { MemberStatus } from "../admin/MemberModel.ts"
import type { MeshFinding, NodeStatus } from "../admin/NodeModel.ts"
import { type Check, fail, ok, warn } from "./Check.ts"
import { clockCheck } from "./ClockCheck.ts"
import { counted } from "./Figures.ts"

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
