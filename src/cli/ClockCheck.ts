/** How the clocks of the mesh stand to each other, for `members`, `status` and `doctor`. */
import type { MemberStatus } from "../admin/MemberModel.ts"
import type { NodeStatus } from "../admin/NodeModel.ts"
import { type Check, fail, ok, warn } from "./Check.ts"
import { counted, missing, span } from "./Figures.ts"

/** Apart by less is what time synchronisation leaves, and measuring adds (ms). */
const tolerance = 5_000
/** From here on certificates of the one are refused by the other (ms). */
const grave = 120_000

/** `30m ahead`, `2h behind`, `ok` */
export const ahead = (ms: number | null): string => {
  if (ms === null) return missing
  if (Math.abs(ms) < tolerance) return "ok"
  // Measuring is off by up to a second or two: half an hour is not to be called 29m59s.
  const grid = Math.abs(ms) < 600_000 ? 1_000 : 60_000
  return `${span(Math.round(Math.abs(ms) / grid) * grid)} ${ms > 0 ? "ahead" : "behind"}`
}

/** Is it this node's own clock that most of the others disagree with? */
const isOwn = ({ clock: { aheadMs, measured, agreeing } }: NodeStatus): boolean =>
  aheadMs !== null && Math.abs(aheadMs) >= tolerance && measured > 1 && agreeing * 2 > measured

/** What of which nodes this one refuses: `record of host-b, certificate of host-c`. */
const refusals = ({ clock: { refused } }: NodeStatus): string =>
  refused.map(({ node, what }) => `${what} of ${node}`).join(", ")

/** One line. */
export const clockLine = (status: NodeStatus): string => {
  const { aheadMs, measured, agreeing, refused } = status.clock
  const stand =
    aheadMs === null
      ? "not compared with anybody's yet"
      : Math.abs(aheadMs) < tolerance
        ? `agrees with ${agreeing} of ${counted(measured, "member")}`
        : `${ahead(aheadMs)}, say ${agreeing} of ${counted(measured, "member")}`
  return refused.length === 0 ? stand : `${stand}; refused because of time: ${refusals(status)}`
}

export const isClockWell = ({ clock: { aheadMs, refused } }: NodeStatus): boolean =>
  refused.length === 0 && (aheadMs === null || Math.abs(aheadMs) < tolerance)

export const clockCheck = (status: NodeStatus, members: ReadonlyArray<MemberStatus>): Check => {
  const { aheadMs, measured, agreeing, refused } = status.clock
  const name = "clocks"
  const refusing = refused.length === 0 ? "" : `; refused because of time: ${refusals(status)}`
  if (isOwn(status)) {
    const is = Math.abs(aheadMs ?? 0) >= grave || refused.length > 0 ? fail : warn
    return is(
      name,
      `this host's is ${ahead(aheadMs)}, say ${agreeing} of ${counted(measured, "member")}${refusing}`,
      "Set it right here: run NTP (`timedatectl` tells whether it does). The others take what this node says when it is right again, and need no restart."
    )
  }
  const others = members.filter(
    ({ self, state }) => !self && state !== "left" && state !== "revoked"
  )
  /** Nothing can be signed in the future. */
  const behindSignature = ({ clockAheadMs, record }: MemberStatus) =>
    clockAheadMs ?? (record === null ? 0 : Math.max(0, record.signedAt - status.nowAt))
  const off = others.filter((member) => Math.abs(behindSignature(member)) >= tolerance)
  if (off.length === 0 && refused.length === 0) {
    return ok(
      name,
      measured === 0
        ? "nobody has signed anything in the future"
        : `${counted(measured, "member")} compared, none is off by ${span(tolerance)}`
    )
  }
  const apart = off
    .map((member) => `${member.node} is ${ahead(behindSignature(member))}`)
    .join(", ")
  const isGrave =
    refused.length > 0 || off.some((member) => Math.abs(behindSignature(member)) >= grave)
  return (isGrave ? fail : warn)(
    name,
    `${apart}${apart === "" ? refusing.slice(2) : refusing}`,
    "What a node signs is taken only by those whose clocks agree: run NTP on both hosts. `skein doctor` on the others tells whose clock is wrong."
  )
}
