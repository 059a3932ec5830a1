/** Questions and replies as bytes. The wire format is a library's; what is here are its limits. */
import {
  AUTHORITATIVE_ANSWER,
  decode,
  encode,
  type Packet,
  RECURSION_AVAILABLE,
  RECURSION_DESIRED,
  TRUNCATED_RESPONSE
} from "@dnsquery/dns-packet"
import { ednsOf, type Reply, rcodes } from "./DnsReply.ts"

/** Bytes of a question; what is longer is none. */
export const maxQuestion = 4_096
/** Bytes of an answer over UDP: what passes everywhere in one packet (DNS flag day 2020). */
export const maxDatagram = 1_232
/** The same to who does not speak EDNS (RFC 1035, 4.2.1). */
const plainDatagram = 512
const headerBytes = 12
/** Of the flags: what kind of query it is, which an answer repeats (RFC 1035, 4.1.1). */
const opcodeBits = 0x7800

/** Undefined: nothing that could be answered. `"malformed"`: a header, and what follows makes no sense. */
export const decodeQuestion = (bytes: Uint8Array): Packet | "malformed" | undefined => {
  if (bytes.length < headerBytes || bytes.length > maxQuestion) return undefined
  // An answer, even a broken one, is never answered.
  if (((bytes[2] ?? 0) & 0x80) !== 0) return undefined
  try {
    const packet = decode(bytes)
    return isPlain(bytes, packet) ? packet : "malformed"
  } catch {
    return "malformed"
  }
}

/**
 * One question, and its name says as text what it said as bytes: a label with a dot in it, say, would be
 * taken for two, and could not be said back.
 */
const isPlain = (bytes: Uint8Array, { questions = [] }: Packet): boolean => {
  const [question] = questions
  if (question === undefined || questions.length > 1) return false
  const again = encode({ type: "query", id: 0, questions: [question] })
  return (
    Buffer.compare(again.subarray(headerBytes), bytes.subarray(headerBytes, again.length)) === 0
  )
}

/** To what could not be read: its number and kind, and that. */
export const encodeMalformed = (bytes: Uint8Array): Uint8Array => {
  const kind = ((bytes[2] ?? 0) << 8) & (opcodeBits | RECURSION_DESIRED)
  return encode({ type: "response", id: idOf(bytes), flags: kind | rcodes.malformed })
}

export const idOf = (bytes: Uint8Array): number => ((bytes[0] ?? 0) << 8) | (bytes[1] ?? 0)

/** `recurses`: what is not ours is asked elsewhere. `over`: in a datagram it is cut to what fits. */
export const encodeReply = (
  query: Packet,
  { additionals = [], answers = [], authorities = [], isOurs, rcode }: Reply,
  { over, recurses }: { readonly over: "udp" | "tcp"; readonly recurses: boolean }
): Uint8Array => {
  const edns = ednsOf(query)
  const flags =
    (isOurs ? AUTHORITATIVE_ANSWER : 0) |
    (recurses ? RECURSION_AVAILABLE : 0) |
    ((query.flags ?? 0) & (opcodeBits | RECURSION_DESIRED)) |
    (rcode & 0xf)
  const opt = {
    ...{ type: "OPT" as const, name: ".", udpPayloadSize: maxDatagram, options: [], flags: 0 },
    ...{ extendedRcode: rcode >>> 4, ednsVersion: 0, data: [] }
  }
  const head: Packet = { type: "response", id: query.id, flags, questions: query.questions ?? [] }
  const last = edns === undefined ? [] : [opt]
  const whole = encode({
    ...head,
    answers: [...answers],
    authorities: [...authorities],
    additionals: [...additionals, ...last]
  })
  const limit =
    edns === undefined ? plainDatagram : Math.min(maxDatagram, Math.max(edns.size, plainDatagram))
  if (over === "tcp" || whole.length <= limit) return whole
  return encode({ ...head, flags: flags | TRUNCATED_RESPONSE, additionals: last })
}
