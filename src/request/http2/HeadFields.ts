/**
 * The fields of one block, read as strictly as those of HTTP/1.1 (RFC 9113 §8.2, §8.3): pseudo-fields
 * first and once, names in small letters, nothing of a connection. Behind these rules are those of
 * http1/FieldBlock.ts, so a message means the same whichever version it came by.
 *
 * What a connection sends once more behind its pseudo-fields, byte for byte and with the table as it
 * was, is not read again; see http1/BlockMemory.ts.
 */
import { type Fields, noFields } from "../../model/Exchange.ts"
import { tokenBytes, valueBytes } from "../http1/Characters.ts"
import { FieldBlock, takeField } from "../http1/FieldBlock.ts"
import { asSection } from "../http1/FieldSection.ts"
import { excerpt, Http1Error } from "../http1/Http1Error.ts"
import type { Http1Limits } from "../http1/Limits.ts"
import type { Sender } from "../http1/Sender.ts"
import type { HpackDecoder } from "./HpackDecoder.ts"
import type { HpackField } from "./HpackTable.ts"

/** Bytes of fields that are remembered. */
const longest = 2 * 1024

/** Values of the pseudo-fields that came. */
export class PseudoFields {
  method: string | undefined = undefined
  scheme: string | undefined = undefined
  authority: string | undefined = undefined
  path: string | undefined = undefined
  protocol: string | undefined = undefined
  status: string | undefined = undefined
}

export interface ReadFields {
  readonly pseudo: PseudoFields
  readonly block: FieldBlock
}

interface KnownFields {
  readonly generation: number
  readonly bytes: Buffer
  readonly block: FieldBlock
}

export class HeadFields {
  readonly #decoder: HpackDecoder
  readonly #limits: Http1Limits
  readonly #sender: Sender
  /** What came last, and what came twice in a row. */
  #last: KnownFields | undefined = undefined
  #known: KnownFields | undefined = undefined

  constructor(decoder: HpackDecoder, limits: Http1Limits, sender: Sender) {
    this.#decoder = decoder
    this.#limits = limits
    this.#sender = sender
  }

  /**
   * The block the decoder has begun, to its end. An Http1Error is the message's alone; thrown is an
   * Http2Error, the connection's.
   */
  read(): ReadFields | Http1Error {
    const decoder = this.#decoder
    const pseudo = new PseudoFields()
    let problem: Http1Error | undefined
    let size = 0
    for (;;) {
      const known = this.#knownRest()
      if (known !== undefined) return problem ?? { pseudo, block: known }
      const start = decoder.position
      const { generation } = decoder
      const field = decoder.next()
      if (field === undefined) return problem ?? { pseudo, block: new FieldBlock() }
      size += field.size
      if (field.name.charCodeAt(0) !== 0x3a) {
        const block = this.#readFields(field, size - field.size)
        if (block instanceof FieldBlock) this.#remember(start, generation, block)
        return problem ?? (block instanceof FieldBlock ? { pseudo, block } : block)
      }
      if (problem === undefined) problem = takePseudo(pseudo, field, this.#sender)
    }
  }

  /** A trailer section. `keeps`: what else may be in it. */
  readTrailers(keeps: (name: string) => boolean): Fields | Http1Error {
    const fields: Array<string> = []
    const { trailerBytes, fieldCount } = this.#limits
    let problem: Http1Error | undefined
    let size = 0
    for (let field = this.#decoder.next(); field !== undefined; field = this.#decoder.next()) {
      size += field.size
      if (problem !== undefined) continue
      if (size > trailerBytes + 32 * fieldCount || fields.length >= 2 * fieldCount) {
        problem = new Http1Error(
          "trailer_bytes",
          `the trailers have more than ${trailerBytes} bytes`
        )
      } else if (field.name.charCodeAt(0) === 0x3a) {
        problem = new Http1Error("bad_pseudo_field", "a pseudo-field is in the trailers")
      } else {
        problem = faultOf(field)
        if (problem === undefined && keeps(field.name)) fields.push(field.name, field.value)
      }
    }
    return problem ?? (fields.length === 0 ? noFields : fields)
  }

  #knownRest(): FieldBlock | undefined {
    const known = this.#known
    const { bytes, end, generation, position } = this.#decoder
    if (known === undefined || known.generation !== generation) return undefined
    if (end - position !== known.bytes.length) return undefined
    if (known.bytes.compare(bytes, position, end) !== 0) return undefined
    this.#decoder.position = end
    return known.block
  }

  #readFields(first: HpackField, sizeBefore: number): FieldBlock | Http1Error {
    const { headBytes, fieldCount } = this.#limits
    const decoder = this.#decoder
    const block = new FieldBlock()
    let problem: Http1Error | undefined
    let cookie: string | undefined
    let size = sizeBefore
    let count = 0
    for (let field: HpackField | undefined = first; field !== undefined; field = decoder.next()) {
      size += field.size
      if (problem !== undefined) continue
      if (size > headBytes + 32 * fieldCount) {
        problem = new Http1Error("head_bytes", `the head has more than ${headBytes} bytes`)
      } else if (++count > fieldCount) {
        problem = new Http1Error(
          "field_count",
          `the message has more than ${fieldCount} header fields`
        )
      } else {
        problem = faultOf(field)
        if (problem !== undefined) continue
        // Split so that tables hold them better; one again for whom that means nothing (§8.2.3).
        if (field.name === "cookie") {
          cookie = cookie === undefined ? field.value : `${cookie}; ${field.value}`
        } else problem = this.#take(block, field)
      }
    }
    if (cookie !== undefined) block.fields.push("cookie", cookie)
    return problem ?? block
  }

  #take(block: FieldBlock, { name, value }: HpackField): Http1Error | undefined {
    try {
      takeField(block, name, value, this.#sender)
      return undefined
    } catch (error) {
      if (error instanceof Http1Error) return error
      throw error
    }
  }

  /** The block that was read from `start` to where the decoder is now. */
  #remember(start: number, generation: number, block: FieldBlock): void {
    const { bytes, position } = this.#decoder
    const length = position - start
    if (generation !== this.#decoder.generation || length > longest || length === 0) return
    const last = this.#last
    const isSame =
      last?.generation === generation &&
      last.bytes.length === length &&
      last.bytes.compare(bytes, start, position) === 0
    if (isSame) {
      asSection(last.block.fields)
      this.#known = last
    } else this.#last = { generation, bytes: Buffer.from(bytes.subarray(start, position)), block }
  }
}

const takePseudo = (
  pseudo: PseudoFields,
  { name, value }: HpackField,
  sender: Sender
): Http1Error | undefined => {
  const key = sender === "program" ? responseFields.get(name) : requestFields.get(name)
  if (key === undefined) {
    return new Http1Error("bad_pseudo_field", `pseudo-field ${excerpt(name, 0)} means nothing here`)
  }
  if (pseudo[key] !== undefined) {
    return new Http1Error("bad_pseudo_field", `pseudo-field ${name} is there twice`)
  }
  pseudo[key] = value
  return undefined
}

const requestFields = new Map<string, keyof PseudoFields>([
  [":method", "method"],
  [":scheme", "scheme"],
  [":authority", "authority"],
  [":path", "path"],
  [":protocol", "protocol"]
])

const responseFields = new Map<string, keyof PseudoFields>([[":status", "status"]])

/** Of one connection (§8.2.2): where it ends, they are not passed on but refused. */
const ofConnections = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "transfer-encoding",
  "upgrade"
])

/** Why a field may not be in a message. Of one that is in a table it is found out once. */
const faultOf = (field: HpackField): Http1Error | undefined => {
  field.fault ??= findFault(field)
  return field.fault === false ? undefined : new Http1Error(ruleOf(field), field.fault)
}

const ruleOf = ({ name }: HpackField): "bad_pseudo_field" | "connection_field" | "bad_field" =>
  name.charCodeAt(0) === 0x3a
    ? "bad_pseudo_field"
    : ofConnections.has(name) || name === "te"
      ? "connection_field"
      : "bad_field"

const findFault = ({ name, value }: HpackField): string | false => {
  if (name.charCodeAt(0) === 0x3a) return "a pseudo-field stands behind other fields"
  for (let i = 0; i < name.length; i++) {
    const at = name.charCodeAt(i)
    if (tokenBytes[at] !== 1) return `header name ${excerpt(name, 0)} is no token`
    if (at >= 0x41 && at <= 0x5a) return `header name ${excerpt(name, 0)} has capital letters`
  }
  if (name === "") return "a header name is empty"
  if (ofConnections.has(name)) return `${name} is a field of HTTP/1.1 connections`
  if (name === "te" && value !== "trailers") return `te says ${excerpt(value, 0)}, not trailers`
  for (let i = 0; i < value.length; i++) {
    if (valueBytes[value.charCodeAt(i)] !== 1) {
      return `the value of ${excerpt(name, 0)} has control character ${value.charCodeAt(i)}`
    }
  }
  const isBlank = (at: number): boolean => at === 0x20 || at === 0x09
  return value !== "" &&
    (isBlank(value.charCodeAt(0)) || isBlank(value.charCodeAt(value.length - 1)))
    ? `the value of ${excerpt(name, 0)} begins or ends with a blank`
    : false
}
