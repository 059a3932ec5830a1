/**
 * Which of a peer's request threads a link is to come to. The system spreads connections over the
 * threads by chance; a node has few links to each peer and its calls are on them for hours, so chance
 * would leave some threads with nothing to do. Each thread of a node wishes for another one of the
 * peer's, beginning at a place of the node's own, so that many nodes of one thread each do not all
 * wish for the same.
 *
 * The dialler need not know how many threads the peer has: it wishes for a number, of which the peer
 * takes the rest.
 */
import type { PeerKey } from "../../model/Names.ts"

/** Below the number that says "any" (LinkPreface.ts). */
const wishes = 0xfff0

/** FNV-1a: spreads keys that are alike. */
const placeOf = (peer: PeerKey): number => {
  let hash = 0x811c9dc5
  for (let i = 0; i < peer.length; i++) {
    hash = Math.imul(hash ^ peer.charCodeAt(i), 0x01000193)
  }
  return (hash >>> 0) % wishes
}

/** Of the thread with this index of node `self`. */
export const threadWish = (self: PeerKey, index: number): number => (placeOf(self) + index) % wishes

/**
 * Whether a thread takes a link. Each try meets the right one of n by a chance of 1 in n; who was unlucky
 * `maxThreadTries` times (LinkPreface.ts) is taken where it is: with two threads one link in 256, with four
 * one in ten.
 */
export const takesLink = (
  { index, threads }: { readonly index: number; readonly threads: number },
  wish: number | undefined
): boolean => wish === undefined || wish % threads === index
