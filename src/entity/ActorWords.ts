/**
 * How a message to an actor stands in a call of the mesh, beside what any RPC says (api/RpcBody.ts): the
 * path is the message's name, so that access rules can go by it, and the id is in the query.
 */
import { type Fields, fieldValue } from "../model/Exchange.ts"
import { type ActorAddress, formatAddress, isChild, maxId } from "./ActorAddress.ts"
import { type ActorTrouble, ActorUnavailable, isActorTrouble, MailboxFull } from "./ActorError.ts"
import type { Released } from "./Handover.ts"
import type { Refusal } from "./Message.ts"
import { shardCount } from "./Placement.ts"

/** Asks a host to let a shard go. No RPC has a name like it. */
export const releaseTag = ".release"

export const messageTarget = (tag: string, id: string): string =>
  `/${encodeURIComponent(tag)}?id=${encodeURIComponent(id)}`

export interface ReleaseQuestion {
  readonly shard: number
  /** It was said to wait for its turn, and whoever asks wants to know when that has come. */
  readonly turn: boolean
  /** Endpoint of the host that asks, at its node; undefined: it is of a release that does not say so. */
  readonly by: string | undefined
}

export const releaseTarget = ({ by, shard, turn }: ReleaseQuestion): string =>
  `/${releaseTag}?shard=${shard}${turn ? "&turn=1" : ""}${by === undefined ? "" : `&by=${encodeURIComponent(by)}`}`

export type Target =
  | { readonly kind: "message"; readonly id: string }
  | ({ readonly kind: "release" } & ReleaseQuestion)

/** As `messageTarget` writes it. */
const plainTarget = /^\/(?!\.release\?)[^?]*\?id=([\w\-.!~*'()%]+)$/

/** Undefined: it is not written so, which says nothing of whether it is one. */
const plainId = (target: string): string | undefined => {
  const id = plainTarget.exec(target)?.[1]
  if (id?.includes("%") !== true) return id
  try {
    return decodeURIComponent(id)
  } catch {
    return undefined
  }
}

/** Undefined: it is neither. */
export const readTarget = (target: string): Target | undefined => {
  // All of this mesh's are: a URL's query read in full takes longer than the rest of the head.
  const plain = plainId(target)
  if (plain !== undefined) return messageTo(plain)
  const [path = "", query = ""] = target.split("?", 2)
  const said = new URLSearchParams(query)
  if (path === `/${releaseTag}`) {
    const shard = Number(said.get("shard") ?? Number.NaN)
    const isShard = Number.isInteger(shard) && shard >= 0 && shard < shardCount
    if (!isShard) return undefined
    return { kind: "release", shard, turn: said.has("turn"), by: said.get("by") ?? undefined }
  }
  return messageTo(said.get("id") ?? "")
}

const messageTo = (id: string): Target | undefined =>
  id === "" || id.length > maxId || isChild({ id }) ? undefined : { kind: "message", id }

/** Its sender wants to know no more than that it has come. */
export const tellField = "skein-actor-tell"
/** Why it was not handled, in words that each release knows. */
const refusalField = "skein-actor"
/** The same in a finer word, which some do not: they would take the whole answer for one of nobody. */
const finerField = "skein-actor-code"
const coarser: Partial<Record<ActorTrouble, ActorTrouble>> = { state_newer: "failed" }
const ownerField = "skein-actor-owner"
const sentField = "skein-actor-sent"
const messageField = "skein-actor-message"

export interface RefusalHead {
  readonly status: number
  readonly fields: Fields
}

const othersField = "skein-actor-others"
const runsField = "skein-actor-runs"

/** What came of a release, for who has asked for it. */
export const releasedHead = (released: Released): RefusalHead => {
  switch (released.kind) {
    case "released": {
      const others = released.others.map(encodeURIComponent).join(" ")
      return { status: 204, fields: others === "" ? [] : [othersField, others] }
    }
    case "kept": {
      const { fields, status } = refusalHead({ _tag: "Moved", owner: undefined })
      return { status, fields: released.runs ? [...fields, runsField, "1"] : fields }
    }
    default:
      return { status: 425, fields: [refusalField, released.kind] }
  }
}

/** Whoever answers anything else is no host of actors. */
export const readReleased = ({ fields, status }: RefusalHead): Released => {
  const code = fieldValue(fields, refusalField)
  if (status === 421 && code === "moved") {
    return { kind: "kept", runs: fieldValue(fields, runsField) !== undefined }
  }
  if (status === 425 && (code === "queued" || code === "leaving")) return { kind: code }
  if (status !== 204) return { kind: "silent" }
  const others = fieldValue(fields, othersField)?.split(" ") ?? []
  return { kind: "released", others: others.map(decodedKey) }
}

/** None of them says anything against the endpoint. */
export const refusalHead = (refusal: Refusal): RefusalHead => {
  switch (refusal._tag) {
    case "Moved": {
      const { owner } = refusal
      const fields = [refusalField, "moved"]
      return { status: 421, fields: owner === undefined ? fields : [...fields, ownerField, owner] }
    }
    case "MailboxFull": {
      const { code, message } = refusal
      return {
        status: 429,
        fields: [refusalField, code, messageField, encodeURI(message.toWellFormed())]
      }
    }
    case "ActorUnavailable": {
      const { code, message, sent } = refusal
      const known = coarser[code]
      const fields = [
        refusalField,
        known ?? code,
        ...(known === undefined ? [] : [finerField, code]),
        sentField,
        String(sent),
        messageField,
        encodeURI(message.toWellFormed())
      ]
      return { status: 409, fields }
    }
  }
}

/** Undefined: whoever answered runs no actors. */
export const readRefusal = (
  { fields }: Pick<RefusalHead, "fields">,
  address: ActorAddress
): Refusal | undefined => {
  const code = fieldValue(fields, refusalField)
  if (code === undefined) return undefined
  if (code === "moved") return { _tag: "Moved", owner: fieldValue(fields, ownerField) }
  const message = decoded(fieldValue(fields, messageField) ?? formatAddress(address))
  if (code === "mailbox_full") return new MailboxFull({ code, address, message })
  if (!isActorTrouble(code)) return undefined
  const finer = fieldValue(fields, finerField)
  const trouble = finer !== undefined && isActorTrouble(finer) ? finer : code
  const { hint } = ActorUnavailable.of(trouble, address, "")
  const sent = fieldValue(fields, sentField) !== "false"
  return new ActorUnavailable({ ...{ code: trouble, address, message, hint, sent } })
}

const decodedKey = (text: string): string => {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

const decoded = (text: string): string => {
  try {
    return decodeURI(text)
  } catch {
    return text
  }
}
