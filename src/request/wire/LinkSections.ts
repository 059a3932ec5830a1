/**
 * Field sections said once per link. A head whose fields are a section (http1/FieldSection.ts)
 * crosses as its start line and the number of that section; the section itself went before it, in
 * a frame of its own. Each direction has its own numbers. The sender gives them out in turn and
 * takes them away again; since frames are read in the order they were sent, both ends always mean
 * the same section by a number.
 */
import { asSection, type FieldSection, readSection } from "../http1/FieldSection.ts"
import { FrameType, frameLimits, ProtocolError } from "./Frame.ts"
import { isLatin1 } from "./FramePayload.ts"
import type { LinkOutput } from "./LinkOutput.ts"

/** Numbers are 1 to this. With `frameLimits.section` it bounds what a peer makes this end keep. */
export const lastSection = 128

/** A number as the first byte of a head frame, by number: they are written with every response. */
export const sectionBytes: ReadonlyArray<Uint8Array> = Array.from(
  { length: lastSection + 1 },
  (_, number) => Uint8Array.of(number)
)

export class LinkSections {
  readonly #output: LinkOutput
  readonly #numbers = new Map<FieldSection, number>()
  readonly #sent: Array<FieldSection | undefined> = []
  #next = 1
  readonly #received: Array<FieldSection | undefined> = []

  constructor(output: LinkOutput) {
    this.#output = output
  }

  /** The number the peer knows it by, if need be from now on; 0 for one that cannot have one. */
  numberOf(section: FieldSection): number {
    const known = this.#numbers.get(section)
    if (known !== undefined) return known
    if (section.text === "") return 0
    const text = `${section.text}\r\n`
    if (text.length > frameLimits.section || !isLatin1(text)) return 0
    const number = this.#next
    this.#next = number === lastSection ? 1 : number + 1
    const before = this.#sent[number]
    if (before !== undefined) this.#numbers.delete(before)
    this.#sent[number] = section
    this.#numbers.set(section, number)
    this.#output.text(FrameType.section, number, undefined, text)
    return number
  }

  /** The peer's frame. */
  receive(number: number, payload: Buffer): void {
    if (number < 1 || number > lastSection) throw new ProtocolError(`section ${number}`)
    try {
      this.#received[number] = asSection(readSection(payload))
    } catch (error) {
      throw new ProtocolError(`section ${number} is not one: ${error}`)
    }
  }

  /** What the peer means by a number; undefined for 0. */
  of(number: number): FieldSection | undefined {
    if (number === 0) return undefined
    const section = this.#received[number]
    if (section === undefined) throw new ProtocolError(`section ${number} was never sent`)
    return section
  }
}
