/**
 * Fields to header blocks. What is likely to be said again goes into the table (RFC 7541 §6.2.1);
 * what changes with every message would only push others out of it; and what is secret is never
 * put there, here or further on (§7.1.3).
 */
import type { Fields } from "../../model/Exchange.ts"
import { sectionOf } from "../http1/FieldSection.ts"
import { DynamicTable, HpackField, staticTable } from "./HpackTable.ts"

/** Of a static name: the number of its first entry, and the numbers of its values. */
interface StaticName {
  readonly number: number
  readonly values: ReadonlyMap<string, number>
}

const staticNames = new Map<string, StaticName>()
staticTable.forEach(({ name, value }, index) => {
  const known = staticNames.get(name)
  const values = new Map(known?.values ?? [])
  if (value !== "") values.set(value, index + 1)
  staticNames.set(name, { number: known?.number ?? index + 1, values })
})

/** Said anew with nearly every message. */
const changing = new Set([
  ":path",
  "age",
  "content-length",
  "etag",
  "grpc-message",
  "grpc-timeout",
  "if-modified-since",
  "if-none-match",
  "last-modified",
  "location",
  "skein-attempt",
  "skein-deadline",
  "traceparent",
  "tracestate",
  "x-request-id"
])

const secret = new Set(["authorization", "cookie", "proxy-authorization", "set-cookie"])

/** A field of a quarter of the table is not worth the others. */
const mostShare = 4

/** How a section was said, while the table stays as it is. */
interface SaidSection {
  readonly generation: number
  readonly bytes: Buffer
}

const firstRoom = 1024

export class HpackEncoder {
  readonly #table: DynamicTable
  /** Of each field in the table, by name and value: its place in the order of insertion. */
  readonly #known = new Map<string, Map<string, number>>()
  readonly #said = new WeakMap<Fields, SaidSection>()
  /** The peer allows another size of table, which the next block begins with. */
  #resized: number | undefined = undefined
  #bytes = Buffer.allocUnsafeSlow(firstRoom)
  #used = 0

  constructor(capacity: number) {
    this.#table = new DynamicTable(capacity)
    this.#table.onEvicted = (field, order) => this.#forget(field, order)
  }

  /** What the peer's settings allow; we use no more than we began with. */
  allow(capacity: number): void {
    const size = Math.min(capacity, 4096)
    if (size === this.#table.capacity && this.#resized === undefined) return
    // Both the least and the last are to be said (§4.2); emptied first, it is always the same two.
    this.#table.resize(0)
    this.#table.resize(size)
    this.#resized = size
  }

  begin(): void {
    this.#used = 0
    if (this.#resized === undefined) return
    this.#number(0x20, 5, 0)
    this.#number(0x20, 5, this.#resized)
    this.#resized = undefined
  }

  /** The block; good until the next `begin`. */
  end(): Buffer {
    return this.#bytes.subarray(0, this.#used)
  }

  /** `name` in small letters. */
  field(name: string, value: string): void {
    const ofName = staticNames.get(name)
    const known = ofName?.values.get(value)
    if (known !== undefined) {
      this.#number(0x80, 7, known)
      return
    }
    if (secret.has(name)) {
      this.#literal(0x10, 4, ofName?.number ?? 0, name, value)
      return
    }
    if (changing.has(name)) {
      this.#literal(0x00, 4, ofName?.number ?? 0, name, value)
      return
    }
    const order = this.#known.get(name)?.get(value)
    if (order !== undefined) {
      this.#number(0x80, 7, staticTable.length + this.#table.inserted - order)
      return
    }
    if ((name.length + value.length + 32) * mostShare > this.#table.capacity) {
      this.#literal(0x00, 4, ofName?.number ?? 0, name, value)
      return
    }
    this.#literal(0x40, 6, ofName?.number ?? 0, name, value)
    this.#remember(name, value)
  }

  /** All of a message's fields, with names as they come. */
  fields(fields: Fields): void {
    if (sectionOf(fields) === undefined) {
      this.#each(fields)
      return
    }
    const said = this.#said.get(fields)
    if (said?.generation === this.#table.generation) {
      this.#reserve(said.bytes.length)
      this.#bytes.set(said.bytes, this.#used)
      this.#used += said.bytes.length
      return
    }
    const start = this.#used
    const { generation } = this.#table
    this.#each(fields)
    if (generation !== this.#table.generation) return
    this.#said.set(fields, {
      generation,
      bytes: Buffer.from(this.#bytes.subarray(start, this.#used))
    })
  }

  #each(fields: Fields): void {
    for (let i = 0; i < fields.length; i += 2) {
      const name = fields[i]!.toLowerCase()
      const value = fields[i + 1]!
      // In pieces the table holds them better (RFC 9113 §8.2.3).
      if (name === "cookie" && value.includes("; ")) {
        for (const crumb of value.split("; ")) this.field(name, crumb)
      } else this.field(name, value)
    }
  }

  #remember(name: string, value: string): void {
    const order = this.#table.inserted
    this.#table.insert(new HpackField(name, value))
    let values = this.#known.get(name)
    if (values === undefined) {
      values = new Map()
      this.#known.set(name, values)
    }
    values.set(value, order)
  }

  #forget({ name, value }: HpackField, order: number): void {
    const values = this.#known.get(name)
    if (values?.get(value) !== order) return
    values.delete(value)
    if (values.size === 0) this.#known.delete(name)
  }

  #literal(kind: number, bits: number, number: number, name: string, value: string): void {
    this.#number(kind, bits, number)
    if (number === 0) this.#text(name)
    this.#text(value)
  }

  #text(text: string): void {
    this.#number(0, 7, text.length)
    this.#reserve(text.length)
    this.#bytes.write(text, this.#used, text.length, "latin1")
    this.#used += text.length
  }

  #number(kind: number, bits: number, value: number): void {
    this.#reserve(8)
    const most = (1 << bits) - 1
    if (value < most) {
      this.#bytes[this.#used++] = kind | value
      return
    }
    this.#bytes[this.#used++] = kind | most
    let left = value - most
    while (left >= 0x80) {
      this.#bytes[this.#used++] = (left & 0x7f) | 0x80
      left = Math.floor(left / 128)
    }
    this.#bytes[this.#used++] = left
  }

  #reserve(bytes: number): void {
    if (this.#used + bytes <= this.#bytes.length) return
    const larger = Buffer.allocUnsafeSlow(Math.max(this.#bytes.length * 2, this.#used + bytes))
    larger.set(this.#bytes.subarray(0, this.#used))
    this.#bytes = larger
  }
}
