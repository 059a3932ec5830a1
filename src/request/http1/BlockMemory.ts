/**
 * Recognises the field block that a connection sends once more. Byte for byte the same block can
 * only be read the same way, so it is not read again: it costs one comparison instead of a pass
 * over every character and a string for every name and value.
 *
 * A block is remembered when a connection has sent it twice in a row. Until then all that is kept
 * of it is the text of the last head, and of blocks longer than `longest` not even that, so that
 * thousands of connections that repeat nothing cost next to nothing.
 */
import { type BlockSource, readStrictly, unexpectedBytes } from "./BlockSource.ts"
import type { FieldBlock } from "./FieldBlock.ts"
import { asSection } from "./FieldSection.ts"
import type { Http1Limits } from "./Limits.ts"
import type { Sender } from "./Sender.ts"

/** Bytes of a block that is remembered. */
const longest = 2 * 1024

const LF = 0x0a

interface KnownBlock {
  /** From the first byte after the start line to the end of the empty line. */
  readonly bytes: Buffer
  readonly block: FieldBlock
}

/** Blocks that some connection repeats; shared by all connections of a listener, or of a pool. */
export class KnownBlocks {
  readonly #byText = new Map<string, KnownBlock>()
  readonly #limit: number

  /** Beyond `limit` the one that came first is forgotten; who has it keeps it. */
  constructor(limit = 64) {
    this.#limit = limit
  }

  of(text: string, block: FieldBlock): KnownBlock {
    const same = this.#byText.get(text)
    if (same !== undefined) return same
    const known = { bytes: Buffer.from(text, "latin1"), block }
    asSection(block.fields)
    const oldest = this.#byText.size < this.#limit ? undefined : this.#byText.keys().next().value
    if (oldest !== undefined) this.#byText.delete(oldest)
    this.#byText.set(text, known)
    return known
  }
}

export class BlockMemory implements BlockSource {
  readonly #blocks: KnownBlocks
  readonly #limits: Http1Limits
  readonly #sender: Sender
  #last: string | undefined = undefined
  #known: KnownBlock | undefined = undefined
  /** The head that is asked about next has the known block, and its text ends with its first line. */
  #recognised = false
  /** After `firstLine`: the offset in the chunk of the first byte after the head. */
  end = 0

  constructor(limits: Http1Limits, blocks: KnownBlocks, sender: Sender) {
    this.#limits = limits
    this.#blocks = blocks
    this.#sender = sender
  }

  /**
   * The first line, with its line end, of a head that begins at `from` and goes on with the known
   * block; undefined when it does not, or is not here whole.
   */
  firstLine(chunk: Buffer, from: number): string | undefined {
    const known = this.#known
    this.#recognised = false
    if (known === undefined) return undefined
    const { bytes } = known
    const start = chunk.indexOf(LF, from) + 1
    const end = start + bytes.length
    if (start === 0 || end > chunk.length || end - from > this.#limits.headBytes) return undefined
    if (chunk.compare(bytes, 0, bytes.length, start, end) !== 0) return undefined
    this.#recognised = true
    this.end = end
    return chunk.toString("latin1", from, start)
  }

  blockAt(head: string, start: number): FieldBlock {
    if (this.#recognised && this.#known !== undefined) {
      this.#recognised = false
      if (start !== head.length) throw unexpectedBytes()
      return this.#known.block
    }
    return this.#remembered(head, start, readStrictly(head, start, this.#limits, this.#sender))
  }

  /** The block, or the same one as it was read before. */
  #remembered(head: string, start: number, block: FieldBlock): FieldBlock {
    if (head.length - start > longest) {
      this.#last = undefined
      return block
    }
    const text = head.slice(start)
    if (text !== this.#last) {
      this.#last = text
      return block
    }
    this.#last = undefined
    this.#known = this.#blocks.of(text, block)
    return this.#known.block
  }
}
