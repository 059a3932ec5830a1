/** Heads on links, in the text form that the listeners and endpoint pools speak anyway. */
import { SectionedBlocks } from "../http1/BlockSource.ts"
import { encodeRequestHead, encodeResponseHead } from "../http1/Encode.ts"
import { peerHttp1Limits } from "../http1/Limits.ts"
import { decodeRequestHead } from "../http1/RequestHeadText.ts"
import { decodeResponseHead } from "../http1/ResponseHeadText.ts"
import type { HeadCodec } from "./LinkOptions.ts"

/** One for all links: a head is read in one go. */
const blocks = new SectionedBlocks(peerHttp1Limits)

export const http1Heads: HeadCodec = {
  encodeRequest: (head, section) => encodeRequestHead(head, section),
  decodeRequest: (bytes, from, section) => {
    blocks.section = section?.fields
    return decodeRequestHead(bytes, peerHttp1Limits, from, blocks).head
  },
  encodeResponse: (head, method, section) =>
    encodeResponseHead(head, { method, version: 1, keepAlive: true, without: section }),
  decodeResponse: (bytes, from, method, section) => {
    blocks.section = section?.fields
    return decodeResponseHead(bytes, method, peerHttp1Limits, from, blocks).head
  }
}
