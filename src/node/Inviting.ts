/**
 * What goes into an invite beside the signature, and what to do when there can be none. Pure: who is
 * there, and what each may grant, is handed in.
 */
import type { ClockStatus } from "../admin/NodeModel.ts"
import type { VerifiedCertificate } from "../mesh/trust/Certificate.ts"
import { type Grant, grantsCapability, uncovered } from "../mesh/trust/Grant.ts"
import { maxBootstrap } from "../mesh/trust/Invite.ts"
import { depthOf } from "../mesh/trust/Nearness.ts"
import { maxDepth } from "../mesh/trust/SignedChain.ts"
import type { PeerKey } from "../model/Names.ts"
import type { AddressReport } from "./AnnouncedAddresses.ts"
import { isLoopbackAddress } from "./TriedAddress.ts"

/** Another member, as one that could let the newcomer in. */
export interface Host {
  readonly certificate: VerifiedCertificate
  /** Where to knock, without /p2p; undefined: nobody knows. */
  readonly address: string | undefined
}

/** Those that may grant this much, nearest to the root first. The others would refuse. */
export const admittersOf = <A extends Pick<Host, "certificate">>(
  grant: Grant,
  hosts: ReadonlyArray<A>
): ReadonlyArray<A> =>
  hosts
    .filter(
      ({ certificate }) =>
        grantsCapability(certificate, "admit") &&
        uncovered(certificate, grant).length === 0 &&
        (depthOf(certificate) < maxDepth || !grantsCapability(grant, "admit"))
    )
    .sort((a, b) => depthOf(a.certificate) - depthOf(b.certificate))

/** This node's own addresses for a token, and what whoever hands it on should know. */
export interface OwnAddresses {
  readonly carried: ReadonlyArray<string>
  readonly warnings: ReadonlyArray<string>
}

const list = (reports: ReadonlyArray<AddressReport>) =>
  reports.map(({ address }) => address).join(", ")

/**
 * A token leads to what is proven. While nothing is, because nobody has been there to try, to all
 * that is announced. What members have tried in vain is left out, unless the token would then lead
 * nowhere: they may stand elsewhere than the newcomer. `isConfigured`: somebody wrote these
 * addresses down, and wants to know of each that is wrong.
 */
export const ownAddresses = (
  reports: ReadonlyArray<AddressReport>,
  isConfigured: boolean,
  hasOthers: boolean
): OwnAddresses => {
  const proven = reports.filter(({ state }) => state === "reached")
  const untried = reports.filter(({ checkedAt }) => checkedAt === undefined)
  const missed = reports.filter((one) => !proven.includes(one) && !untried.includes(one))
  const isHopeful = proven.length === 0 && untried.length > 0
  const isLast = proven.length === 0 && untried.length === 0 && !hasOthers
  const carried = isHopeful ? untried : isLast ? missed : proven
  const warnings: Array<string> = []
  const unknown = isHopeful ? untried.filter(({ address }) => !isLoopbackAddress(address)) : []
  if (unknown.length > 0) {
    warnings.push(
      `no member has said yet whether it reaches this node at ${list(unknown)}; the token leads there all the same`
    )
  }
  if (missed.length > 0 && (isConfigured || proven.length === 0)) {
    const what = `no member reaches this node at ${list(missed)}`
    warnings.push(
      isLast
        ? `${what}, and the token leads nowhere else: see node.announce, which says where it is reached`
        : `${what}, and the token does not lead there`
    )
  }
  return { carried: carried.map(({ address }) => address), warnings }
}

/** Own addresses first, then those of members that admit too: this node may be gone then. */
export const bootstrapOf = (
  self: PeerKey,
  own: ReadonlyArray<string>,
  others: ReadonlyArray<Host>
): ReadonlyArray<string> =>
  [
    ...own.slice(0, maxBootstrap / 2).map((address) => `${address}/p2p/${self}`),
    ...others.flatMap(({ address, certificate }) =>
      address === undefined ? [] : [`${address}/p2p/${certificate.peer}`]
    )
  ].slice(0, maxBootstrap)

/**
 * The time by the clocks of the others, when most of them agree with each other: a newcomer judges a
 * token by it, so a token that is dated by a wrong clock is of no use. Wall clock `now`, ms.
 */
export const timeOfOthers = (
  { aheadMs, agreeing, measured }: Pick<ClockStatus, "aheadMs" | "agreeing" | "measured">,
  now: number
): number => (aheadMs !== null && measured > 1 && agreeing * 2 > measured ? now - aheadMs : now)

/** What is to be said of a whole token's addresses. */
export const warningsOf = (bootstrap: ReadonlyArray<string>): ReadonlyArray<string> =>
  bootstrap.every(isLoopbackAddress)
    ? ["the token leads to loopback addresses only: it can be used on this host, and on no other"]
    : []

const bringRootKey =
  "Put root.key into this node's data directory for one start: it renews the right to admit."

/** What to do about an invite that nobody would have accepted. `code`: of `tryInvite`, or of making it. */
export const mendOf = (code: string, admitters: ReadonlyArray<Host>): string => {
  const elsewhere = admitters
    .slice(0, 3)
    .map(({ certificate }) => certificate.name)
    .join(" or ")
  switch (code) {
    case "too_deep":
      return elsewhere === ""
        ? `With --capabilities none it can be made here. ${bringRootKey}`
        : `Invite on ${elsewhere}, or with --capabilities none.`
    case "too_large":
      return elsewhere === ""
        ? "Grant fewer services with --services, or a pattern (shop-*) in place of many names."
        : `Grant fewer services with --services, or invite on ${elsewhere}.`
    case "not_yet_valid":
    case "clock_wrong":
      return "Check time synchronisation on this host (`skein doctor`)."
    case "expired":
      return elsewhere === "" ? bringRootKey : `Invite on ${elsewhere}. ${bringRootKey}`
    default:
      return elsewhere === ""
        ? "`skein status` shows what this node may grant."
        : `Invite on ${elsewhere}, or grant less: \`skein status\` shows what this node may grant.`
  }
}
