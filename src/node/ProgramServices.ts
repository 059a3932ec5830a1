/**
 * What a host offers besides what its config says: services of programs that serve without a port.
 * An endpoint of theirs stands beside those with an address, under the same name.
 */
import type { ProgramPlace } from "../model/AttachedProgram.ts"
import type { LocalAddress, LocalService } from "../model/LocalService.ts"
import type { ServiceName } from "../model/Names.ts"
import { recordLimits } from "../model/NodeRecord.ts"
import { matchesService, type SessionFacts } from "../model/Session.ts"
import { type ProgramOffer, ServeRefused } from "../schema/ProgramOfferSchema.ts"

/** An endpoint of a program, as the node offers it. */
export interface NodeOffer extends ProgramOffer {
  /** The program is attached. Absent: it is the one this node is in. */
  readonly at?: ProgramPlace | undefined
}

/** Where a program without a port is, for people. */
const nowhere = { host: "program", port: 0 } as const

const addressOf = ({ at, healthy, id, reason, weight }: NodeOffer): LocalAddress => ({
  ...{ id, weight, ...nowhere },
  program: { healthy, reason, at }
})

/** Those of config first. One that became `tcp` there since is not the program's any more. */
export const withPrograms = (
  services: ReadonlyArray<LocalService>,
  offers: ReadonlyArray<NodeOffer>
): ReadonlyArray<LocalService> => {
  const all = new Map(services.map((service) => [service.name, service]))
  for (const offer of offers) {
    const known = all.get(offer.service)
    if (known !== undefined && known.protocol !== "http") continue
    const service = known ?? { name: offer.service, protocol: "http", endpoints: [] }
    all.set(offer.service, { ...service, endpoints: [...service.endpoints, addressOf(offer)] })
  }
  return [...all.values()]
}

export interface ServeQuestion {
  readonly service: ServiceName
  /** What is offered already. */
  readonly services: ReadonlyArray<LocalService>
  /** What this node's certificate grants. */
  readonly rights: SessionFacts
  readonly node: string
}

/** Why a program may not serve it: said as it starts, where somebody looks. Undefined: it may. */
export const whyNotServed = ({
  node,
  rights,
  service,
  services
}: ServeQuestion): ServeRefused | undefined => {
  const refused = (code: ServeRefused["code"], why: string) =>
    new ServeRefused({
      code,
      message: `${service} cannot be served at ${node}: ${why}`,
      service,
      node
    })
  const matches = (pattern: string) => matchesService(pattern, service)
  if (!rights.services.some(matches) || (rights.withheld?.some(matches) ?? false)) {
    const why = `its certificate does not grant it, so no node would send calls; an invite with --services ${service} gives a node that right`
    return refused("not_granted", why)
  }
  const known = services.find(({ name }) => name === service)
  if (known === undefined) {
    return services.length < recordLimits.services
      ? undefined
      : refused("too_many", `it offers ${recordLimits.services} services, which is the limit`)
  }
  if (known.protocol !== "http") {
    return refused("not_http", `its config says that ${service} speaks ${known.protocol}`)
  }
  const { endpointsPerService } = recordLimits
  return known.endpoints.length < endpointsPerService
    ? undefined
    : refused("too_many", `it has ${endpointsPerService} endpoints there, which is the limit`)
}
