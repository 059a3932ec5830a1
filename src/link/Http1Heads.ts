/** Heads on links, in the text form that the listeners and endpoint pools speak anyway. */
import { encodeRequestHead, encodeResponseHead } from "../http1/Encode.ts"
import { decodeRequestHead } from "../http1/RequestHeadText.ts"
import { decodeResponseHead } from "../http1/ResponseHeadText.ts"
import type { HeadCodec } from "./LinkOptions.ts"

export const http1Heads: HeadCodec = {
  encodeRequest: (head) => encodeRequestHead(head),
  decodeRequest: (bytes, from) => decodeRequestHead(bytes, undefined, from).head,
  encodeResponse: (head, method) =>
    encodeResponseHead(head, { method, version: 1, keepAlive: true }),
  decodeResponse: (text, method) => decodeResponseHead(text, method).head
}
