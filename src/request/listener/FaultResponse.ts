/**
 * The HTTP responses that the mesh itself makes: for a fault (status, `skein-error`, JSON body), and
 * those that are none. All name the node.
 */
import http from "node:http"
import type { ResponseHead } from "../../model/Exchange.ts"
import { type Fault, faultBody, faultKinds } from "../../model/Fault.ts"
import { encodeResponseHead, type ResponseOptions } from "../http1/Encode.ts"
import type { OwnAnswer } from "./FinalRecipient.ts"

/** The fields are written as they are, so a node name that came from elsewhere is made safe. */
const fieldText = (text: string): string => text.replace(/[^\x20-\x7e]/g, "?")

/** Head and body of what the mesh answers for a fault, however they are written. */
export interface MeshAnswer {
  readonly head: ResponseHead
  readonly body: string
}

export const faultAnswer = (fault: Fault): MeshAnswer => {
  const { status } = faultKinds[fault.code]
  const body = faultBody(fault)
  const fields = [
    "content-type",
    "application/json",
    "skein-error",
    fault.code,
    "skein-node",
    fieldText(fault.node)
  ]
  if (fault.retryAfter !== undefined) {
    fields.push("retry-after", String(Math.max(0, Math.ceil(fault.retryAfter))))
  }
  const head: ResponseHead = {
    status,
    reason: http.STATUS_CODES[status] ?? "Client Closed Request",
    fields,
    framing: { kind: "length", length: Buffer.byteLength(body) },
    upgrade: undefined
  }
  return { head, body }
}

/** The head of an answer that is no fault; `node` is this one. */
export const ownHead = ({ body, fields, status }: OwnAnswer, node: string): ResponseHead => ({
  status,
  reason: "OK",
  fields: [...fields, "skein-node", fieldText(node)],
  framing: { kind: "length", length: body.length },
  upgrade: undefined
})

/**
 * Text of head and body, to be written as UTF-8 in one piece. For a HEAD request the body is left
 * out and its length said nevertheless.
 */
export const writeFault = (fault: Fault, options: ResponseOptions): string => {
  const { body, head } = faultAnswer(fault)
  const text = encodeResponseHead(head, options)
  return options.method === "HEAD" ? text : text + body
}

/** Whatever the mesh answers, in one piece; `node` is this one. */
export const writeAnswer = (
  answer: Fault | OwnAnswer,
  node: string,
  options: ResponseOptions
): string | Buffer => {
  if ("code" in answer) return writeFault(answer, options)
  return Buffer.from(encodeResponseHead(ownHead(answer, node), options) + answer.body, "latin1")
}
