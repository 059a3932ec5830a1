/** Heads as the fields that HTTP/2 sends of them (RFC 9113 §8.3). */
import type { Fields, RequestHead, ResponseHead } from "../../model/Exchange.ts"
import { hasField, sectionOf } from "../http1/FieldSection.ts"
import type { SentHead } from "./Http2Stream.ts"

/** `:status` alone, by status: there are at most 900. */
const statuses = new Map<number, Fields>()

export const statusField = (status: number): Fields => {
  let fields = statuses.get(status)
  if (fields === undefined) {
    fields = [":status", String(status)]
    statuses.set(status, fields)
  }
  return fields
}

/** `date`: an IMF-fixdate, said unless the head has one. */
export const responseToSend = (head: ResponseHead, isHead: boolean, date: string): SentHead => {
  const { fields, framing, status } = head
  const hasDate = sectionOf(fields)?.date ?? hasField(fields, "date")
  const more: Array<string> = []
  if (!hasDate) more.push("date", date)
  // Of nothing the end of the stream tells as much.
  const tells = isHead || status === 304
  if (framing.kind === "length" && (framing.length > 0 || tells)) {
    more.push("content-length", String(framing.length))
  }
  return { pseudo: statusField(status), fields, more }
}

/** A 1xx. */
export const interimToSend = ({ fields, status }: ResponseHead): Fields =>
  fields.length === 0 ? statusField(status) : [...statusField(status), ...fields]

/**
 * `told`: what is said to the program on this hop. An upgrade is left out: a server may leave it
 * unanswered in any case (RFC 9110 §7.8).
 */
export const requestToSend = (head: RequestHead, fields: Fields, told: Fields): SentHead => {
  const { authority, expectsContinue, framing, method, target } = head
  let more = told
  if (framing.kind === "length" && (framing.length > 0 || bodied.has(method))) {
    more = [...more, "content-length", String(framing.length)]
  }
  if (expectsContinue) more = [...more, "expect", "100-continue"]
  return {
    pseudo: [":method", method, ":scheme", "http", ":authority", authority, ":path", target],
    fields,
    more
  }
}

/** Methods of which a program may want to know that the body is empty (RFC 9110 §8.6). */
const bodied = new Set(["POST", "PUT", "PATCH"])
