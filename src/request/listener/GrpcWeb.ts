/**
 * gRPC as browsers speak it (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-WEB.md): by any version
 * of HTTP, with the trailers as a last message of the body, in bytes or in base64. What is read and
 * written here are heads; the body is GrpcWebExchange's. Pure.
 *
 * A port that takes it says which pages may call (CORS, https://fetch.spec.whatwg.org/#http-cors-protocol):
 * those of its own origin, and those it names. A caller that is no page says no origin.
 */
import {
  type Fields,
  fieldValue,
  type RequestHead,
  type ResponseHead,
  streamBody
} from "../../model/Exchange.ts"
import type { Fault } from "../../model/Fault.ts"
import { isToken } from "../http1/Characters.ts"
import { base64Of } from "./Base64Body.ts"
import type { OwnAnswer } from "./FinalRecipient.ts"
import { grpcTrailers } from "./GrpcAnswer.ts"

/** Pages that may call: `https://shop.example`, or `*` for all. */
export type WebOrigins = ReadonlyArray<string>

/** Seconds for which a browser need not ask again; Chrome takes no more. */
const preflightAge = 7_200

const webType = /^application\/grpc-web(-text)?(\+[\w.-]+)?[ \t]*(?:;|$)/i
const plainType = /^application\/grpc(\+[\w.-]+)?[ \t]*(?:;|$)/i

/** A call of gRPC-Web, as its head says. */
export interface WebCall {
  /** Both bodies are base64. */
  readonly textIn: boolean
  readonly textOut: boolean
  /** `+proto` and so on, as written; may be empty. */
  readonly suffix: string
  /** What lets the page that calls read the answer. */
  readonly cors: Fields
}

/** Undefined: it is none, and nothing that a page asks before it makes one. */
export const readGrpcWeb = (
  head: RequestHead,
  origins: WebOrigins
): WebCall | OwnAnswer | Refusal | undefined => {
  const { fields, method } = head
  if (method !== "POST" && method !== "OPTIONS") return undefined
  const origin = fieldValue(fields, "origin")
  const [, text, suffix = ""] = webType.exec(fieldValue(fields, "content-type") ?? "") ?? []
  const isCall = method === "POST" && webType.test(fieldValue(fields, "content-type") ?? "")
  if (!isCall && !asksForCall(head)) return undefined
  if (origin !== undefined && !isAllowed(origin, head.authority, origins)) {
    return {
      refused: `pages of ${origin} may not call through this port: grpcWeb.origins does not name it`
    }
  }
  if (!isCall) return preflightAnswer(fields, origin ?? "")
  const accept = fieldValue(fields, "accept") ?? ""
  const textIn = text !== undefined
  const textOut = /application\/grpc-web-text/i.test(accept)
    ? true
    : textIn && !/application\/grpc-web(?!-)/i.test(accept)
  return { textIn, textOut, suffix, cors: origin === undefined ? [] : corsOf(origin) }
}

/** Who calls may not: what would be said of it. */
export interface Refusal {
  readonly refused: string
}

/** What a browser asks on behalf of a page before it makes such a call: it names the field they all have. */
const asksForCall = ({ fields, method }: RequestHead): boolean =>
  method === "OPTIONS" &&
  fieldValue(fields, "access-control-request-method") === "POST" &&
  fieldValue(fields, "origin") !== undefined &&
  wordsOf(fieldValue(fields, "access-control-request-headers")).includes("x-grpc-web")

const wordsOf = (list = ""): ReadonlyArray<string> =>
  list.split(",").map((word) => word.trim().toLowerCase())

const isAllowed = (origin: string, authority: string, origins: WebOrigins): boolean =>
  origins.includes("*") ||
  origins.includes(origin.toLowerCase()) ||
  // A page that came from here: a name that was made to point here is refused for its name (PortAuthority).
  origin.toLowerCase() === `http://${authority.toLowerCase()}`

const corsOf = (origin: string): Fields => ["access-control-allow-origin", origin, "vary", "Origin"]

const preflightAnswer = (fields: Fields, origin: string): OwnAnswer => {
  const asked = wordsOf(fieldValue(fields, "access-control-request-headers")).filter(isToken)
  const isPrivate = fieldValue(fields, "access-control-request-private-network") === "true"
  return {
    status: 200,
    fields: [
      ...corsOf(origin),
      ...["access-control-allow-methods", "POST"],
      ...["access-control-allow-headers", asked.join(", ")],
      ...["access-control-max-age", String(preflightAge)],
      ...(isPrivate ? ["access-control-allow-private-network", "true"] : [])
    ],
    body: ""
  }
}

/** What is said between browser and node alone. */
const ofTheWeb = new Set(["accept", "accept-encoding", "content-type", "te", "x-grpc-web"])

/** The same call as gRPC. */
export const grpcRequest = (head: RequestHead, { suffix, textIn }: WebCall): RequestHead => ({
  ...head,
  fields: [
    ...without(head.fields, (name) => ofTheWeb.has(name)),
    ...["content-type", `application/grpc${suffix}`, "te", "trailers"]
  ],
  framing: textIn && head.framing.kind === "length" ? streamBody : head.framing
})

/** An answer of gRPC as one of gRPC-Web. */
export interface WebAnswer {
  readonly head: ResponseHead
  /** Of an answer of trailers alone: those that its head has. */
  readonly trailers: Fields
  /** False: it is no answer of gRPC, and its body is passed on as it is. */
  readonly isGrpc: boolean
}

/** Fields of HTTP that stay in the head where all others are trailers. */
const ofHttp = new Set(["alt-svc", "cache-control", "date", "server", "set-cookie", "vary", "via"])

export const webAnswer = (head: ResponseHead, call: WebCall): WebAnswer => {
  const [, suffix] = plainType.exec(fieldValue(head.fields, "content-type") ?? "") ?? []
  const isGrpc = plainType.test(fieldValue(head.fields, "content-type") ?? "")
  // Who may read the answer is this port's to say.
  const fields = without(head.fields, (name) => name.startsWith("access-control-"))
  if (!isGrpc) return { head: { ...head, fields: [...fields, ...call.cors] }, trailers: [], isGrpc }
  const isBare = fieldValue(fields, "grpc-status") !== undefined
  const said = without(fields, (name) => name === "content-type" || (isBare && !ofHttp.has(name)))
  const trailers = isBare
    ? without(fields, (name) => name === "content-type" || ofHttp.has(name))
    : []
  return { head: headOf(call, suffix ?? "", said), trailers, isGrpc }
}

const headOf = (call: WebCall, suffix: string, fields: Fields): ResponseHead => ({
  status: 200,
  reason: "OK",
  fields: [...webHeadFields(call, suffix, fields), ...fields],
  framing: streamBody,
  upgrade: undefined
})

const webHeadFields = ({ cors, textOut }: WebCall, suffix: string, others: Fields): Fields => {
  const type = `application/grpc-web${textOut ? "-text" : ""}${suffix}`
  if (cors.length === 0) return ["content-type", type]
  const names = new Set(["grpc-status", "grpc-message", "skein-error", "skein-node"])
  for (let i = 0; i < others.length; i += 2) names.add(others[i]!.toLowerCase())
  return ["content-type", type, ...cors, "access-control-expose-headers", [...names].join(", ")]
}

/** The head of what the mesh answers to a call that was on its way. */
export const webFaultHead = (call: WebCall): ResponseHead => headOf(call, call.suffix, [])

/** A fault, as the whole answer. Its head has the node already. */
export const webFaultAnswer = (fault: Fault, call: WebCall): OwnAnswer => ({
  status: 200,
  fields: webHeadFields(call, call.suffix, []),
  body: trailersMessage(
    without(grpcTrailers(fault), (name) => name === "skein-node"),
    call
  ).toString("latin1")
})

const trailersFlag = 0x80

/** The last message of a body. */
export const trailersMessage = (trailers: Fields, { textOut }: WebCall): Buffer => {
  let block = ""
  for (let i = 0; i < trailers.length; i += 2) {
    block += `${trailers[i]!.toLowerCase()}: ${trailers[i + 1]}\r\n`
  }
  const message = Buffer.alloc(5 + block.length)
  message[0] = trailersFlag
  message.writeUInt32BE(block.length, 1)
  message.write(block, 5, "latin1")
  return textOut ? base64Of(message) : message
}

const without = (fields: Fields, drops: (name: string) => boolean): Fields => {
  const kept: Array<string> = []
  for (let i = 0; i < fields.length; i += 2) {
    if (!drops(fields[i]!.toLowerCase())) kept.push(fields[i]!, fields[i + 1]!)
  }
  return kept
}
