/** What a node's report says of the services of the mesh, and of what its config says of them. Pure, as NodeChecks. */
import type { ServiceStatus } from "../admin/ServiceModel.ts"
import type { NodeConfig } from "../config/NodeConfig.ts"
import { meshWarnings } from "../config/PolicyReach.ts"
import { type Check, fail, ok, warn } from "./Check.ts"
import { counted } from "./Figures.ts"

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
