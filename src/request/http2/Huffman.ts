/**
 * The Huffman code of HPACK (RFC 7541 §5.2, Appendix B), read four bits at a time. Nothing is written
 * in it: text as it is costs the next hop less, and what a connection says often is a number anyway.
 */

/** Lengths of the codes of symbols 0 to 256 (the end), from `a` for 5 bits; the code is canonical. */
const lengths =
  "isxxxxxxxtzxxzxxxxxxxxzxxxxxxxxxbffhibdgffdgdbbbaaabbbbbbbcdkbhfibccccccccccccccccccccccdcdioijb" +
  "kabababbbaccbbbabcbaabccccckgjixprpprrrsrssssststtrstssssqrsrsstrqprrssqsrrtqrssqqrqsrssprrrsrrs" +
  "vvporsruvvvwwvtuoqvwwvwtqqvvxwwwptpqrqqsrruuttvsvwvvwwwwwxwwwwwvz"

const end = 256

/** A node of the tree: its two children, each another node's number or `leaf - symbol`. */
type Node = [number, number]

/** Below zero are leaves. */
const leafOf = (symbol: number): number => -1 - symbol

const makeTree = (): ReadonlyArray<Node> => {
  const nodes: Array<Node> = [[0, 0]]
  const lengthOf = (symbol: number): number => lengths.charCodeAt(symbol) - 0x61 + 5
  const symbols = Array.from({ length: end + 1 }, (_, symbol) => symbol)
  symbols.sort((a, b) => lengthOf(a) - lengthOf(b) || a - b)
  let code = 0
  let before = lengthOf(symbols[0]!)
  for (const symbol of symbols) {
    const length = lengthOf(symbol)
    code <<= length - before
    before = length
    let at = 0
    for (let bit = length - 1; bit > 0; bit--) {
      const node = nodes[at]!
      const side = (code >>> bit) & 1
      if (node[side] === 0) node[side] = nodes.push([0, 0]) - 1
      at = node[side]!
    }
    nodes[at]![code & 1] = leafOf(symbol)
    code++
  }
  return nodes
}

const emits = 0x1_0000
const fails = 0x2_0000
/** Whoever ends here ends with padding: at most seven bits, all of them 1. */
const mayEnd = 0x4_0000

/**
 * For each node and next four bits: the node after them (bits 8 to 15), the symbol that was
 * completed (bits 0 to 7; no code is so short that there are two), and the flags above.
 */
const makeSteps = (): Uint32Array => {
  const nodes = makeTree()
  const padding = new Set<number>([0])
  for (let i = 0, at = 0; i < 7; i++) {
    at = nodes[at]![1]
    padding.add(at)
  }
  const steps = new Uint32Array(nodes.length * 16)
  for (let node = 0; node < nodes.length; node++) {
    for (let bits = 0; bits < 16; bits++) {
      let at = node
      let step = 0
      for (let bit = 3; bit >= 0; bit--) {
        const next = nodes[at]![(bits >>> bit) & 1]!
        if (next >= 0) at = next
        else if (next === leafOf(end)) step |= fails
        else {
          step |= emits | -(next + 1)
          at = 0
        }
        if ((step & fails) !== 0) break
      }
      if (padding.has(at)) step |= mayEnd
      steps[node * 16 + bits] = step | (at << 8)
    }
  }
  return steps
}

const steps = makeSteps()

/** Grows to the longest that was read; a header block is bounded long before. */
let room = Buffer.allocUnsafeSlow(4 * 1024)

/** The text of `bytes` from `start` to `end`, as latin1; undefined: it is not of this code. */
export const readHuffman = (bytes: Uint8Array, start: number, end: number): string | undefined => {
  // The shortest code has 5 bits.
  const most = Math.ceil(((end - start) * 8) / 5)
  if (most > room.length) room = Buffer.allocUnsafeSlow(most * 2)
  let used = 0
  let step = mayEnd
  for (let i = start; i < end; i++) {
    const byte = bytes[i]!
    step = steps[((step >>> 8) & 0xff) * 16 + (byte >>> 4)]!
    if ((step & emits) !== 0) room[used++] = step & 0xff
    if ((step & fails) !== 0) return undefined
    step = steps[((step >>> 8) & 0xff) * 16 + (byte & 0xf)]!
    if ((step & emits) !== 0) room[used++] = step & 0xff
    if ((step & fails) !== 0) return undefined
  }
  return (step & mayEnd) === 0 ? undefined : room.toString("latin1", 0, used)
}
