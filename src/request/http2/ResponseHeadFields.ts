/** The head of a response from its fields (RFC 9113 §8.3.2). */
import { noBody, type ResponseHead, streamBody } from "../../model/Exchange.ts"
import { excerpt, Http1Error } from "../http1/Http1Error.ts"
import type { ReadFields } from "./HeadFields.ts"

/** `method`: of the request that is answered. `isEnd`: no body follows. Throws Http1Error. */
export const responseOf = (
  { block, pseudo }: ReadFields,
  method: string,
  isEnd: boolean
): ResponseHead => {
  const status = statusOf(pseudo.status)
  const { length } = block
  const isInterim = status < 200
  if (isInterim && isEnd) {
    throw new Http1Error("bad_status", `the response ends with interim status ${status}`)
  }
  const isBare = method === "HEAD" || status === 304
  if (isEnd && length > 0 && !isBare) {
    throw new Http1Error("bad_content_length", "content-length says there is a body; there is none")
  }
  const framing: ResponseHead["framing"] =
    isInterim || status === 204
      ? noBody
      : length !== -1
        ? { kind: "length", length }
        : isBare
          ? noBody
          : isEnd
            ? { kind: "length", length: 0 }
            : streamBody
  return { status, reason: "", fields: block.endToEnd, framing, upgrade: undefined }
}

const statusOf = (text: string | undefined): number => {
  if (text === undefined) {
    throw new Http1Error("bad_pseudo_field", "the response has no :status")
  }
  if (!/^[1-9]\d\d$/.test(text) || text === "101") {
    throw new Http1Error("bad_status", `${excerpt(text, 0)} is no status of HTTP/2`)
  }
  return Number(text)
}
