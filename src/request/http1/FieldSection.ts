/**
 * Field sections that are said again and again. A program says the same of itself with every
 * message on a connection, and most programs of a kind say the same; HTTP/2 compresses heads for
 * that reason. Here the section itself is the unit: one that was recognised keeps what was worked
 * out from it, and everybody who holds its `fields` finds that by their identity.
 */
import { type Fields, fieldValue } from "../../model/Exchange.ts"
import { blockText } from "./BlockCollector.ts"
import { readFieldBlock } from "./FieldBlock.ts"
import { Http1Error } from "./Http1Error.ts"
import { peerHttp1Limits } from "./Limits.ts"

/** What `forwardFields` made of a section, and for whom. */
export interface ForwardedSection {
  readonly clientAddress: string | undefined
  readonly proto: string
  readonly version: 0 | 1 | 2
  readonly authority: string
  readonly node: string
  readonly fields: Fields
}

export class FieldSection {
  readonly fields: Fields
  /** `name: value` lines as Encode.ts writes them. */
  readonly text: string
  /** A field of that name is there. */
  readonly te: boolean
  readonly date: boolean
  /** The last one: whoever repeats a section comes from the same place each time. */
  forwarded: ForwardedSection | undefined = undefined

  constructor(fields: Fields) {
    this.fields = fields
    this.text = flat(fieldLines(fields))
    this.te = hasField(fields, "te")
    this.date = hasField(fields, "date")
  }
}

export const fieldLines = (fields: Fields): string => {
  let text = ""
  for (let i = 0; i < fields.length; i += 2) text += `${fields[i]}: ${fields[i + 1]}\r\n`
  return text
}

/** `name` in lower case. */
export const hasField = (fields: Fields, name: string): boolean =>
  fieldValue(fields, name) !== undefined

/** Weak: a section lives as long as somebody holds its fields. */
const sections = new WeakMap<Fields, FieldSection>()

/** The section these very fields are, if it is one that was recognised. */
export const sectionOf = (fields: Fields): FieldSection | undefined =>
  // Without fields there is nothing to be known of them.
  fields.length === 0 ? undefined : sections.get(fields)

/** From now on `sectionOf(fields)` is a section. The list must never change again. */
export const asSection = (fields: Fields): FieldSection => {
  const known = sections.get(fields)
  if (known !== undefined) return known
  const section = new FieldSection(fields)
  sections.set(fields, section)
  return section
}

/**
 * A section that came from a peer by itself, with an empty line and nothing after it. Throws
 * Http1Error, also for fields that belong to one message or one hop only.
 */
export const readSection = (bytes: Buffer): Fields => {
  const text = blockText(bytes, peerHttp1Limits)
  const block = readFieldBlock(text, 0, peerHttp1Limits, "node")
  if (block.end !== text.length || !block.plain) {
    throw new Http1Error("unexpected_bytes", "a field section has more than end-to-end fields")
  }
  return block.fields
}

/** A string that was put together is a tree, walked each time it is written; this one is not. */
const flat = (text: string): string => Buffer.from(text, "latin1").toString("latin1")
