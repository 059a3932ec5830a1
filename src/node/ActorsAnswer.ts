/** What a node tells another of the actors on its host: within bounds, and names only to whom they are no news. */
import { actorService } from "../entity/ActorService.ts"
import type { PeerActors } from "../mesh/host/MeshRpc.ts"
import { grantsService } from "../mesh/trust/Grant.ts"
import type { ServiceName } from "../model/Names.ts"
import { matchesService } from "../model/Session.ts"
import type { ActorQuestion, ActorReport } from "../schema/ActorReportSchema.ts"
import type { HostAnswer } from "./HostActors.ts"

/** Of all reports, as JSON. */
export const answerText = 256 * 1_024
const maxReports = 1_024
const maxSilent = 256

/** Ids are often those of people: they are for who may write the mesh's rules, and for who could run the actors. */
export const mayHearActors = (
  asker:
    | {
        readonly capabilities: ReadonlyArray<string>
        readonly services: ReadonlyArray<string>
        /** Services that were taken from it since (`skein revoke NODE/SERVICE`). */
        readonly withheld: ReadonlyArray<string>
      }
    | undefined,
  service: ServiceName | undefined
): boolean =>
  asker !== undefined &&
  (asker.capabilities.includes("policy") ||
    (service !== undefined &&
      grantsService(asker, service) &&
      !asker.withheld.some((pattern) => matchesService(pattern, service))))

export const withheldText =
  "it names actors to nodes with the capability policy, and to those that may offer the type, and this one is neither"

export const serviceOf = ({ type }: ActorQuestion): ServiceName | undefined =>
  type === undefined ? undefined : actorService(type)

/** What is not for who asks is left out, and what there is no room for counted. */
export const actorsAnswer = (
  { reports, silent }: HostAnswer,
  mayHear: (service: ServiceName) => boolean
): PeerActors => {
  const told: Array<PeerActors["reports"][number]> = []
  let [text, left, withheld] = [0, 0, false]
  for (const { program, report } of reports) {
    const isOpen = mayHear(report.service)
    withheld ||= !isOpen
    const one = { program, report: isOpen ? report : nameless(report) }
    text += JSON.stringify(one).length
    if (told.length < maxReports && text <= answerText) told.push(one)
    else left++
  }
  return { reports: told, silent: silent.slice(0, maxSilent), left, withheld }
}

const nameless = (report: ActorReport): ActorReport => {
  const { actor: _, busiest, ...rest } = report
  return { ...rest, lastError: null, ...(busiest === undefined ? {} : { busiest: [] }) }
}
