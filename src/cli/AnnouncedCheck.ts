/** Whether others get to a node where it tells them to come, for `status` and `doctor`. */
import type { AnnouncedAddress, NodeStatus } from "../admin/NodeModel.ts"
import { type Check, fail, ok, warn } from "./Check.ts"
import { span } from "./Figures.ts"

/** What came of one address: who tried, how long ago. */
export const trialOf = ({ state, checkedAt, by }: AnnouncedAddress, nowAt: number): string => {
  if (checkedAt === null) return "not tried yet"
  const trial = `${by.join(", ")}, ${span(Math.max(0, nowAt - checkedAt))} ago`
  switch (state) {
    case "reached":
      return `reached by ${trial}`
    case "unreached":
      return `not reached by ${trial}`
    case "untried":
      return `not reached by ${trial}; to be tried again`
  }
}

export const announcedCheck = ({ announced, nowAt }: NodeStatus): Check => {
  const name = "announced"
  const tell = (list: ReadonlyArray<AnnouncedAddress>) =>
    list.map((one) => `${one.address} (${trialOf(one, nowAt)})`).join(", ")
  const reached = announced.filter(({ state }) => state === "reached")
  const unreached = announced.filter(({ state }) => state === "unreached")
  const isConfigured = announced.some(({ configured }) => configured)
  if (announced.length === 0) return ok(name, "nothing that others could be told")
  if (reached.length === 0 && unreached.length === announced.length) {
    const detail = `no member reaches this node: ${tell(unreached)}`
    return isConfigured
      ? fail(
          name,
          detail,
          "Nobody can connect to it. Check node.announce, and what forwards to this host: NAT, firewall, the container's ports."
        )
      : warn(
          name,
          detail,
          "Nobody can connect to it. Open its port to the other hosts, or set node.announce to where they reach it."
        )
  }
  if (unreached.length > 0 && isConfigured) {
    return warn(
      name,
      `no member reaches this node at ${tell(unreached)}`,
      "Whoever knows only this address cannot connect. Check node.announce, and what forwards there."
    )
  }
  // Of a host's own addresses some are of use to nobody else, such as those of container bridges.
  if (reached.length > 0) return ok(name, tell(reached))
  const open = announced.filter(({ state }) => state === "untried").map(({ address }) => address)
  return ok(name, `no member has said yet whether it reaches ${open.join(", ")}`)
}
