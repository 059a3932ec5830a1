/**
 * All that is wrong in the mesh as this node knows it: what the records say, and what this node met
 * itself lately. Each is told in the log once when it appears and once when it is gone.
 */
import { Effect, Runtime, type Scope } from "effect"
import { type TickTimers, ticking } from "../mesh/actor/Ticking.ts"
import type { CatalogueStatus } from "../mesh/catalogue/CatalogueService.ts"
import { type MeshFinding, type MeshFindings, maxTold } from "../mesh/catalogue/MeshFindings.ts"
import { isBlameworthy } from "../mesh/catalogue/RecordRefused.ts"
import type { RefusedRecords } from "../mesh/catalogue/RefusedRecords.ts"
import type { ProtocolConflict } from "../mesh/catalogue/ServiceOffers.ts"
import type { SettledName } from "../mesh/settings/SettledName.ts"
import type { OverusedInvite } from "../mesh/trust/InviteUses.ts"
import type { Offence, PeerConduct } from "../mesh/trust/PeerConduct.ts"
import type { Roots } from "../mesh/trust/Roots.ts"
import { isNodeName, type NodeName, type PeerKey, type ServiceName } from "../model/Names.ts"
import { rootFindings } from "./RootTroubles.ts"

export interface MeshTroublesOptions {
  readonly name: () => NodeName
  /** What the records say. */
  readonly found: MeshFindings
  readonly status: () => CatalogueStatus
  readonly conflicts: () => ReadonlyArray<ProtocolConflict>
  /** Of which two holders said different things apart. */
  readonly settings: () => ReadonlyArray<SettledName>
  readonly overused: () => ReadonlyArray<OverusedInvite>
  readonly refused: RefusedRecords
  /** By what a service was taken from a node, if it was. */
  readonly taken: (node: NodeName, service: ServiceName) => string | undefined
  /** By what this node itself is out. */
  readonly thrownOut: () => string | undefined
  /** Why its own certificate counts for nothing though nobody has thrown it out. */
  readonly leftBehind: () => string | undefined
  readonly roots: () => Roots
  readonly conduct: Pick<PeerConduct, "offenders">
  readonly nameOf: (peer: PeerKey) => string
  /** Wall clock, ms. */
  readonly now: () => number
}

/** Of a member: what it has done. */
const offenceNames: Record<Offence, string> = {
  forged: "passed on what nobody has signed",
  garbage: "sent what is not the mesh's language",
  equivocated: "signed two things as one version",
  flooded: "told or asked more than its share"
}

/** What was met once is shown for so long (ms); what goes on is met again within half a minute. */
const shownFor = 5 * 60_000

/** Gone for so long (ms), a trouble is over; until then it may come back without a word. */
const overAfter = 60_000

/** How often the log is told, ms. */
const toldEvery = 2_000

/** A number that only grows, and when it last did. */
class Growing {
  #value: number | undefined
  #grewAt = Number.NEGATIVE_INFINITY

  /** Has it grown lately? What it was at the first look is nobody's news. */
  grew(value: number, now: number): boolean {
    if (this.#value !== undefined && value > this.#value) this.#grewAt = now
    this.#value = value
    return now - this.#grewAt < shownFor
  }
}

export interface Told {
  readonly appeared: ReadonlyArray<MeshFinding>
  readonly gone: ReadonlyArray<MeshFinding>
}

export class MeshTroubles {
  readonly #options: MeshTroublesOptions
  readonly #contested = new Growing()
  readonly #full = new Growing()
  readonly #furtherFull = new Growing()
  readonly #settingsFull = new Growing()
  /** What was told and is not over, and when it was last found. */
  readonly #told = new Map<string, { readonly finding: MeshFinding; readonly at: number }>()

  constructor(options: MeshTroublesOptions) {
    this.#options = options
  }

  findings(): ReadonlyArray<MeshFinding> {
    const { conflicts, found, name, now, overused, roots, settings } = this.#options
    return [
      ...found.all(conflicts()).map((one) => this.#withReason(one)),
      ...settings().slice(0, maxTold).map(ofSettingConflict),
      ...overused().slice(0, maxTold).map(ofOveruse),
      ...rootFindings(roots(), name(), now()),
      ...this.#own()
    ]
  }

  /** What the log has to be told since the last time. */
  news(): Told {
    const at = this.#options.now()
    const appeared: Array<MeshFinding> = []
    for (const finding of this.findings()) {
      const key = keyOf(finding)
      if (!this.#told.has(key) && !this.#isSaidElsewhere(finding)) appeared.push(finding)
      this.#told.set(key, { finding, at })
    }
    const gone: Array<MeshFinding> = []
    for (const [key, told] of this.#told) {
      if (at - told.at < overAfter) continue
      this.#told.delete(key)
      gone.push(told.finding)
    }
    return { appeared, gone }
  }

  /** The catalogue tells the log of a node's own mistakes when it makes its record. */
  #isSaidElsewhere({ kind, nodes }: MeshFinding): boolean {
    return (
      kind === "record_contested" ||
      (kind === "service_not_granted" && nodes.includes(this.#options.name()))
    )
  }

  /**
   * Why a service that somebody calls is not in the view, when that is known. Calls to what nobody
   * offers may be many: it is looked up, not searched for.
   */
  whyMissing(service: ServiceName): string | undefined {
    const { found, taken, thrownOut } = this.#options
    const out = thrownOut()
    if (out !== undefined) return out
    const node = found.withholder(service)
    if (node === undefined) return undefined
    return taken(node, service) ?? `${node} offers it, but its certificate does not grant it`
  }

  /** What is not granted may have been, and no new invite is wanted then. */
  #withReason(finding: MeshFinding): MeshFinding {
    const { kind, nodes, service } = finding
    const [node] = nodes
    if (kind !== "service_not_granted" || service === undefined || node === undefined)
      return finding
    const taken = this.#options.taken(node, service)
    if (taken === undefined) return finding
    return {
      ...finding,
      message: `${node} offers ${service}, and no node sends calls there: ${taken}`,
      hint: `Take it off the config of ${node}; or, if that was a mistake, give it back: \`skein revoke\` lists what is revoked, each with the command for that.`
    }
  }

  #own(): ReadonlyArray<MeshFinding> {
    const { conduct, name, nameOf, now, refused, status } = this.#options
    const { contested, refusedFull, records, further, settings } = status()
    const nodes = [name()]
    const found: Array<MeshFinding> = []
    const thrownOut = this.#options.thrownOut()
    if (thrownOut !== undefined) {
      found.push({
        kind: "thrown_out",
        service: undefined,
        nodes,
        message: `this node does not belong to the mesh any more: ${thrownOut}`,
        hint:
          this.#options.leftBehind() !== undefined
            ? "A member with the capability admit signs for it anew if it was known when the root was withdrawn. Else ask a member for a token (`skein invite`) and start this node with it (`skein up --join TOKEN`): it keeps its key and name."
            : "No member takes anything from it, and it serves nobody but its own host. If that is a mistake, a member with the capability revoke takes it back (`skein delete trust NAME`), and this node is in again by itself."
      })
    }
    if (this.#contested.grew(contested, now())) {
      found.push({
        kind: "record_contested",
        service: undefined,
        nodes,
        message: `the mesh holds records of ${name()} that this process did not write: two processes use its key`,
        hint: "Was its data directory copied to another host, or restored from a backup? Stop one of the two, remove its data directory and let it join anew."
      })
    }
    for (const [code, { at, count, last }] of refused.kinds) {
      // Nobody is to blame that a record is over or that a clock is wrong.
      const isWrong = isBlameworthy(last) || code === "unreadable" || code === "not_granted"
      if (now() - at >= shownFor || !isWrong) continue
      found.push({
        kind: "records_refused",
        service: undefined,
        nodes,
        message: `records from the mesh are not believed (${code}, ${count} so far): ${last.message}`,
        hint:
          code === "not_granted"
            ? "It does not hold here, nor on any node that knows settings. Whoever may set it does so from a node whose certificate grants it."
            : "Does a member run a much newer or older version, or one that is not Skein? The node that signed it is not seen here."
      })
    }
    for (const { counts, isCutOff, peer } of conduct.offenders().slice(0, maxTold)) {
      const what = Array.from(counts, ([kind, count]) => `${offenceNames[kind]} (${count})`)
      const who = nameOf(peer)
      found.push({
        kind: "peer_misbehaves",
        service: undefined,
        nodes: who !== peer && isNodeName(who) ? [who] : [],
        message: `${who === peer ? peer : `${who} (${peer})`} ${isCutOff ? "is cut off from this node for ten minutes" : "is behaving badly"}: it ${what.join(", ")}`,
        hint: "Does its host run what it should? `skein revoke` throws it out of the mesh. Two processes with one key sign two things as one version, too."
      })
    }
    if (this.#full.grew(refusedFull, now())) {
      found.push({
        kind: "catalogue_full",
        service: undefined,
        nodes,
        message: `the catalogue is full with ${records} records: nodes that are new are not seen here`,
        hint: "Hosts that are gone for good leave with `skein leave`; records of others end after 72 h."
      })
    }
    if (this.#furtherFull.grew(further.refusedFull, now())) {
      found.push({
        kind: "catalogue_full",
        service: undefined,
        nodes,
        message: `there is no room for more than ${further.records} records of kinds that this version does not know`,
        hint: "Nodes of a newer version get them from each other. Upgrade this node."
      })
    }
    if (this.#settingsFull.grew(settings.refusedFull, now())) {
      found.push({
        kind: "catalogue_full",
        service: undefined,
        nodes,
        message: `there is no room for more than ${settings.records} mesh-wide settings: what is new is not seen here`,
        hint: "Delete what is not needed: `skein get` lists it."
      })
    }
    return found
  }
}

/** Tells the log, until the scope closes. Nearly always there is nothing to tell. */
export const tellTroubles = (
  troubles: Pick<MeshTroubles, "news">,
  ticker: TickTimers
): Effect.Effect<void, never, Scope.Scope> =>
  Effect.flatMap(Effect.runtime<never>(), (runtime) => {
    const runFork = Runtime.runFork(runtime)
    const tell = () => {
      try {
        const { appeared, gone } = troubles.news()
        for (const { message, hint } of appeared) runFork(Effect.logWarning(`${message}. ${hint}`))
        for (const { message } of gone) runFork(Effect.logInfo(`no longer so: ${message}`))
      } catch (cause) {
        runFork(Effect.logError("the look for troubles failed", cause))
      }
    }
    return ticking(ticker, toldEvery, tell, toldEvery / 2)
  })

/** Of a setting several nodes may be at odds more than once. */
const keyOf = ({ kind, message, service, nodes }: MeshFinding): string =>
  JSON.stringify([
    kind,
    service,
    nodes,
    kind === "setting_conflict" || kind === "invite_overused" ? message : ""
  ])

const ofOveruse = ({ invite, limit, nodes }: OverusedInvite): MeshFinding => ({
  kind: "invite_overused",
  service: undefined,
  nodes,
  message: `the token ${invite} was good for ${limit === 1 ? "one host" : `${limit} hosts`} and let in ${nodes.join(", ")}: members that did not hear each other counted apart`,
  hint: "Does each of them belong here? `skein revoke` throws out the one that does not."
})

const ofSettingConflict = ({ kind, name, inForce, conflict }: SettledName): MeshFinding => {
  const others = conflict.map(({ author, node }) => `${author} on ${node}`).join(", ")
  return {
    kind: "setting_conflict",
    service: undefined,
    nodes: Array.from(new Set([inForce, ...conflict].map(({ node }) => node))),
    message: `${kind} ${name} was set apart by ${inForce.author} on ${inForce.node}, which is the later and holds, and by ${others}`,
    hint: `\`skein history ${kind} ${name}\` shows what each says. Apply the one that is meant, or \`skein rollback ${kind} ${name} VERSION\`: that settles it.`
  }
}
