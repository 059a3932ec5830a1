/** Payloads with a shape of their own: open, end (trailers), reset (a fault). */
import { type Caller, formatCaller, parseCaller } from "../../model/Caller.ts"
import type { Call, Fields } from "../../model/Exchange.ts"
import { noFields } from "../../model/Exchange.ts"
import { type Fault, type FaultCode, isFaultCode } from "../../model/Fault.ts"
import { isServiceName, type ServiceName } from "../../model/Names.ts"
import { isMeshName } from "../http1/Sender.ts"
import { frameLimits, ProtocolError } from "./Frame.ts"

/** What an open frame says before the head. */
export interface Opening {
  readonly kind: Call["kind"]
  readonly service: ServiceName
  readonly endpoint: string | undefined
  /** Undefined: the peer itself, as a host. */
  readonly identity: Caller | undefined
  readonly deadline: number | undefined
  readonly attempt: number
  readonly connectTimeout: number | undefined
  /** It goes out though the endpoint's circuit is open. */
  readonly pastCircuit: boolean
  /** Number of the section that the head's fields are; 0: they stand in its text. */
  readonly section: number
  /** Offset in the payload at which the text of the request's head begins; its end for tcp. */
  readonly head: number
}

/** In place of a time. */
const noLimit = 0xffff_ffff
const noEndpoint = 0xffff
const openFixed = 14
/** Of the kind: who the call speaks for stands after the endpoint. */
const speaks = 2
/** Of the kind, on links of programs with their node: as `Opening.pastCircuit`. */
const past = 4

const wholeMillis = (limit: number | undefined): number =>
  limit === undefined ? noLimit : Math.max(0, Math.min(noLimit - 1, Math.floor(limit)))

/**
 * u8 kind (0 http, 1 tcp; and 2: an identity is there; and 4: past an open circuit) | u8 attempt | u32 deadline | u32 connect
 * timeout | u8, u16 lengths of service and endpoint | u8 section | service | endpoint | u8 length of
 * identity | identity. The head's text follows it in the frame.
 */
export const encodeOpening = (
  call: Call,
  section: number,
  identity: Caller | undefined = undefined
): Buffer => {
  const endpoint = call.endpoint === undefined ? 0 : Buffer.byteLength(call.endpoint)
  const end = openFixed + call.service.length + endpoint
  const speaker = identity === undefined ? "" : formatCaller(identity)
  const bytes = Buffer.allocUnsafe(identity === undefined ? end : end + 1 + speaker.length)
  patchOpening(bytes, call, section, identity)
  bytes[10] = call.service.length
  bytes.writeUInt16BE(call.endpoint === undefined ? noEndpoint : endpoint, 11)
  bytes.write(call.service, openFixed, "latin1")
  if (call.endpoint !== undefined) bytes.write(call.endpoint, openFixed + call.service.length)
  if (identity !== undefined) {
    bytes[end] = speaker.length
    bytes.write(speaker, end + 1, "latin1")
  }
  return bytes
}

/** Writes what differs between two calls to one endpoint in the name of one caller. */
export const patchOpening = (
  opening: Buffer,
  call: Call,
  section: number,
  identity: Caller | undefined = undefined
): void => {
  opening[0] = (call.kind === "http" ? 0 : 1) + (identity === undefined ? 0 : speaks)
  opening[1] = Math.min(255, call.attempt)
  opening.writeUInt32BE(wholeMillis(call.deadline), 2)
  opening.writeUInt32BE(wholeMillis(call.connectTimeout), 6)
  opening[13] = section
}

/** Of an opening that was just written, whose receiver knows of it. */
export const markPast = (opening: Buffer): void => {
  opening[0]! |= past
}

export interface TargetNames {
  readonly service: ServiceName
  /** Empty when there is none, or it is. */
  readonly endpoint: string
  readonly identity: Caller | undefined
}

/** Who may be said to speak: a service; on a link of a program with its node, a host, too. */
export type Speakers = "services" | "all"

/**
 * The names in an opening's bytes from `start`, where the service's begins, to `end`. An identity,
 * with its length, is what lies between `endpointEnd` and `end`.
 */
export const targetNames = (
  payload: Buffer,
  start: number,
  serviceEnd: number,
  endpointEnd: number,
  end: number,
  speakers: Speakers = "services"
): TargetNames => {
  const service = payload.toString("latin1", start, serviceEnd)
  if (!isServiceName(service)) throw new ProtocolError("open frame for no valid service name")
  return {
    service,
    endpoint: payload.toString("utf8", serviceEnd, endpointEnd),
    identity:
      end === endpointEnd
        ? undefined
        : speaker(payload.toString("latin1", endpointEnd + 1, end), speakers)
  }
}

/** As a host every node speaks for itself alone, and says nothing. */
const speaker = (text: string, speakers: Speakers): Caller => {
  const caller = parseCaller(text)
  if (caller !== undefined && speakers === "all") return caller
  if (caller?.kind === "service" && caller.mesh === undefined) return caller
  throw new ProtocolError("open frame that speaks for no service of this mesh")
}

/** `pastCircuits`: one may say that it goes past an open circuit. */
export const decodeOpening = (
  payload: Buffer,
  names = targetNames,
  pastCircuits = false
): Opening => {
  if (payload.length < openFixed) throw new ProtocolError("open frame cut short")
  const flags = payload[0]!
  if (flags > 1 + speaks + (pastCircuits ? past : 0))
    throw new ProtocolError(`open frame of unknown kind ${flags}`)
  const kind = flags & 1
  const deadline = payload.readUInt32BE(2)
  const connectTimeout = payload.readUInt32BE(6)
  const endpointLength = payload.readUInt16BE(11)
  const serviceEnd = openFixed + payload[10]!
  const endpointEnd = endpointLength === noEndpoint ? serviceEnd : serviceEnd + endpointLength
  // A length that is not there is not a number, and neither is the end then.
  const end =
    (flags & speaks) > 0 ? endpointEnd + 1 + (payload[endpointEnd] ?? Number.NaN) : endpointEnd
  if (!(end <= payload.length && end <= frameLimits.openPreamble)) {
    throw new ProtocolError("open frame whose names exceed it")
  }
  const { endpoint, identity, service } = names(payload, openFixed, serviceEnd, endpointEnd, end)
  if (kind === 1 && end !== payload.length) throw new ProtocolError("tcp open frame with a head")
  return {
    kind: kind === 0 ? "http" : "tcp",
    service,
    endpoint: endpointLength === noEndpoint ? undefined : endpoint,
    identity,
    deadline: deadline === noLimit ? undefined : deadline,
    attempt: payload[1]!,
    connectTimeout: connectTimeout === noLimit ? undefined : connectTimeout,
    pastCircuit: (flags & past) > 0,
    section: payload[13]!,
    head: end
  }
}

const none = Buffer.alloc(0)

/** Above U+00FF a character would be cut to its low byte, and become another one on the wire. */
const beyondLatin1 = /[^\0-\xff]/

/** Whether a head or trailer crosses the link as it is. */
export const isLatin1 = (text: string): boolean => !beyondLatin1.test(text)

/**
 * u16 length and latin-1 bytes per string. Undefined when they do not fit a frame or are not
 * latin-1.
 */
export const encodeTrailers = (fields: Fields): Buffer | undefined => {
  if (fields.length === 0) return none
  let length = 0
  for (const field of fields) {
    if (!isLatin1(field)) return undefined
    length += 2 + field.length
  }
  if (length > frameLimits.trailers) return undefined
  const bytes = Buffer.allocUnsafe(length)
  let offset = 0
  for (const field of fields) {
    offset = bytes.writeUInt16BE(field.length, offset)
    offset += bytes.write(field, offset, "latin1")
  }
  return bytes
}

/** Line ends and NUL would let a trailer pass for two on HTTP/1.1 (RFC 9110 §5.5). */
const forbidden = /[\r\n\0]/
const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/

/** Of what the mesh says of itself and of calls nothing is said behind a body, by no node either. */
export const decodeTrailers = (payload: Buffer): Fields => {
  if (payload.length === 0) return noFields
  const fields: Array<string> = []
  let offset = 0
  while (offset < payload.length) {
    if (payload.length - offset < 2) throw new ProtocolError("trailers cut short")
    const end = offset + 2 + payload.readUInt16BE(offset)
    if (end > payload.length) throw new ProtocolError("trailers cut short")
    const text = payload.toString("latin1", offset + 2, end)
    if (fields.length % 2 === 0 ? !token.test(text) : forbidden.test(text)) {
      throw new ProtocolError("trailer with a forbidden character")
    }
    fields.push(text)
    offset = end
  }
  if (fields.length % 2 !== 0) throw new ProtocolError("trailer without a value")
  const isMeshs = (_: string, at: number): boolean => isMeshName(fields[at - (at % 2)] ?? "")
  return fields.some(isMeshs) ? fields.filter((text, at) => !isMeshs(text, at)) : fields
}

/** What a reset frame says, as JSON. */
interface FaultText {
  readonly code: string
  readonly message: string
  readonly node: string
  readonly service: string | null
  readonly sent: boolean
  /** Seconds, up to a day. */
  readonly retryAfter?: number
}

const isFaultText = (value: unknown): value is FaultText => {
  if (typeof value !== "object" || value === null) return false
  const text: Partial<Record<keyof FaultText, unknown>> = value
  const { retryAfter } = text
  return (
    typeof text.code === "string" &&
    typeof text.message === "string" &&
    typeof text.node === "string" &&
    (text.service === null || typeof text.service === "string") &&
    typeof text.sent === "boolean" &&
    (retryAfter === undefined ||
      (typeof retryAfter === "number" && retryAfter >= 0 && retryAfter <= 86_400))
  )
}

/** Undefined when it is no JSON, and so nothing that a fault could be read from. */
const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

export const encodeFault = (fault: Fault): Buffer =>
  Buffer.from(
    JSON.stringify({
      code: fault.code,
      // At worst six bytes per character: an escaped control character.
      message: fault.message.slice(0, 512),
      node: fault.node.slice(0, 128),
      service: fault.service ?? null,
      sent: fault.sent,
      ...(fault.retryAfter === undefined ? {} : { retryAfter: fault.retryAfter })
    })
  )

/**
 * A code this version does not know (a newer peer's) becomes `upstream_reset`: the most careful
 * of them.
 */
export const decodeFault = (payload: Buffer): Fault => {
  const text = parsed(payload.toString("utf8"))
  if (!isFaultText(text)) throw new ProtocolError("reset frame without a readable fault")
  const code: FaultCode = isFaultCode(text.code) ? text.code : "upstream_reset"
  return {
    code,
    message: text.message,
    node: text.node,
    service: text.service !== null && isServiceName(text.service) ? text.service : undefined,
    sent: text.sent,
    ...(text.retryAfter === undefined ? {} : { retryAfter: text.retryAfter })
  }
}
