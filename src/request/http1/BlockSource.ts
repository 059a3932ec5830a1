/** How the field block of a head comes about, once its start line has been read. */
import type { Fields } from "../../model/Exchange.ts"
import { type FieldBlock, readFieldBlock } from "./FieldBlock.ts"
import { Http1Error } from "./Http1Error.ts"
import type { Http1Limits } from "./Limits.ts"
import type { Sender } from "./Sender.ts"

export interface BlockSource {
  /** The block that begins at `start` of a head's text and is the rest of it. Throws Http1Error. */
  blockAt(head: string, start: number): FieldBlock
}

/** It is read. */
export class StrictBlocks implements BlockSource {
  readonly #limits: Http1Limits
  readonly #sender: Sender

  constructor(limits: Http1Limits, sender: Sender) {
    this.#limits = limits
    this.#sender = sender
  }

  blockAt(head: string, start: number): FieldBlock {
    return readStrictly(head, start, this.#limits, this.#sender)
  }
}

/** As `BlockSource.blockAt`. */
export const readStrictly = (
  head: string,
  start: number,
  limits: Http1Limits,
  sender: Sender
): FieldBlock => {
  const block = readFieldBlock(head, start, limits, sender)
  if (block.end !== head.length) throw unexpectedBytes()
  return block
}

/** Its fields are those of a section that was agreed on before, and what is read beside them. */
export class SectionedBlocks implements BlockSource {
  readonly #limits: Http1Limits
  readonly #read: StrictBlocks
  /** Of the next head. */
  section: Fields | undefined = undefined

  constructor(limits: Http1Limits) {
    this.#limits = limits
    this.#read = new StrictBlocks(limits, "node")
  }

  blockAt(head: string, start: number): FieldBlock {
    const block = this.#read.blockAt(head, start)
    const { section } = this
    if (section === undefined) return block
    if (block.fields.length + section.length > 2 * this.#limits.fieldCount) {
      throw new Http1Error("field_count", "the head has too many fields beside its section")
    }
    block.section = section
    return block
  }
}

export const unexpectedBytes = (): Http1Error =>
  new Http1Error("unexpected_bytes", "bytes follow the empty line of the head")
