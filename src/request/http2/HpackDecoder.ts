/**
 * Header blocks to fields, one field at a time (RFC 7541 §3, §6). A block has to be read to its end
 * whatever becomes of its message, or the table is not the sender's any more.
 */

import { DynamicTable, HpackField, staticTable } from "./HpackTable.ts"
import { Http2Error } from "./Http2Error.ts"
import { readHuffman } from "./Huffman.ts"

/** Longer numbers than these five bytes say nothing that could be there. */
const mostNumber = 2 ** 28

export class HpackDecoder {
  readonly #table: DynamicTable
  /** What our settings allow the table. */
  readonly #most: number
  #bytes: Buffer = Buffer.alloc(0)
  #end = 0
  #begun = false
  /** Offset of the next field. */
  position = 0

  constructor(capacity: number) {
    this.#most = capacity
    this.#table = new DynamicTable(capacity)
  }

  /** While it stays the same, the same bytes mean the same fields, if reading them leaves it so. */
  get generation(): number {
    return this.#table.generation
  }

  /** A block is in `bytes` from `start` to `end`. */
  begin(bytes: Buffer, start: number, end: number): void {
    this.#bytes = bytes
    this.position = start
    this.#end = end
    this.#begun = false
  }

  get bytes(): Buffer {
    return this.#bytes
  }

  get end(): number {
    return this.#end
  }

  /** The next field; undefined at the end. Throws Http2Error, of which no connection recovers. */
  next(): HpackField | undefined {
    while (this.position < this.#end) {
      const first = this.#bytes[this.position]!
      if ((first & 0x80) !== 0) {
        this.#begun = true
        return this.#indexed(this.#number(7))
      }
      if ((first & 0xe0) === 0x20) {
        this.#resize(this.#number(5))
        continue
      }
      this.#begun = true
      const inserts = (first & 0x40) !== 0
      const field = this.#literal(this.#number(inserts ? 6 : 4))
      if (inserts) this.#table.insert(field)
      return field
    }
    return undefined
  }

  /** Reads what is left for the table's sake alone. */
  skip(): void {
    while (this.next() !== undefined);
  }

  #indexed(number: number): HpackField {
    const field =
      number <= staticTable.length
        ? staticTable[number - 1]
        : this.#table.at(number - staticTable.length - 1)
    if (field === undefined) throw broken(`field ${number} is in no table`)
    return field
  }

  #literal(number: number): HpackField {
    const name = number === 0 ? this.#text() : this.#indexed(number).name
    return new HpackField(name, this.#text())
  }

  /** Only before the first field (§4.2). */
  #resize(capacity: number): void {
    if (this.#begun) throw broken("the table is resized within a block")
    if (capacity > this.#most) throw broken(`a table of ${capacity} bytes, ${this.#most} allowed`)
    this.#table.resize(capacity)
  }

  #text(): string {
    const huffman = ((this.#bytes[this.position] ?? 0) & 0x80) !== 0
    const length = this.#number(7)
    const start = this.position
    const end = start + length
    if (end > this.#end) throw broken("a field is cut short")
    this.position = end
    if (!huffman) return this.#bytes.toString("latin1", start, end)
    const text = readHuffman(this.#bytes, start, end)
    if (text === undefined) throw broken("text in no Huffman code")
    return text
  }

  /** An integer with a prefix of so many bits (§5.1). */
  #number(bits: number): number {
    if (this.position >= this.#end) throw broken("a field is cut short")
    const most = (1 << bits) - 1
    let value = this.#bytes[this.position++]! & most
    if (value < most) return value
    for (let shift = 0; ; shift += 7) {
      if (this.position >= this.#end) throw broken("a number is cut short")
      const byte = this.#bytes[this.position++]!
      value += (byte & 0x7f) * 2 ** shift
      if (value > mostNumber || shift > 28) throw broken("a number beyond all bounds")
      if ((byte & 0x80) === 0) return value
    }
  }
}

const broken = (what: string): Http2Error =>
  new Http2Error("bad_header_block", `a header block cannot be read: ${what}`)
