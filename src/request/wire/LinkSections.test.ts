import { describe, expect, it } from "vitest"
import { type Fields, noFields } from "../../model/Exchange.ts"
import {
  getHead,
  httpCall,
  makeLinkPair,
  okHead,
  Recorder,
  tcpCall
} from "../../testing/LinkTestPair.ts"
import { asSection, sectionOf } from "../http1/FieldSection.ts"
import { FrameType, frameLimits, headerLength, ProtocolError } from "./Frame.ts"
import { encodeOpening } from "./FramePayload.ts"
import { FrameWriter } from "./FrameWriter.ts"
import { lastSection } from "./LinkSections.ts"

/** What it costs to have a call with these fields carried and answered with those. */
const roundTrip = (pair: ReturnType<typeof makeLinkPair>, fields: Fields, answer: Fields) => {
  const recorder = new Recorder()
  const before = { there: pair.dialed.stats().bytesOut, back: pair.accepted.stats().bytesOut }
  pair.dialed.open(httpCall(getHead("/", fields)), recorder).end(noFields)
  pair.pump.settle()
  const served = pair.served.at(-1)
  served?.receiver.onHead({ ...okHead(), fields: answer })
  served?.receiver.onEnd(noFields)
  pair.pump.settle()
  return {
    received: served?.call.head?.fields,
    answered: recorder.head?.fields,
    there: pair.dialed.stats().bytesOut - before.there,
    back: pair.accepted.stats().bytesOut - before.back
  }
}

const long = "x".repeat(500)

describe("sections on a link", () => {
  it("cross once, and are the same list for everybody afterwards", () => {
    const pair = makeLinkPair()
    const asked = asSection(["user-agent", long, "te", "trailers"]).fields
    const told = asSection(["server", long]).fields
    const first = roundTrip(pair, asked, told)
    const second = roundTrip(pair, asked, told)
    expect(first.received).toEqual(asked)
    expect(second.received).toBe(first.received)
    expect(second.answered).toEqual(told)
    expect(second.answered).toBe(first.answered)
    expect(first.there).toBeGreaterThan(long.length)
    expect(first.back).toBeGreaterThan(long.length)
    expect(second.there).toBeLessThan(150)
    expect(second.back).toBeLessThan(150)
    expect(sectionOf(second.received ?? noFields)?.text).toContain(long)
  })

  it("stand beside heads whose fields are no section", () => {
    const pair = makeLinkPair()
    const section = asSection(["a", "b"]).fields
    expect(roundTrip(pair, section, section).received).toEqual(["a", "b"])
    expect(roundTrip(pair, ["c", "d"], noFields)).toMatchObject({
      received: ["c", "d"],
      answered: []
    })
    expect(roundTrip(pair, section, section).answered).toEqual(["a", "b"])
  })

  it("take the numbers of those that came first when there are more", () => {
    const pair = makeLinkPair()
    const all = Array.from(
      { length: lastSection * 2 + 3 },
      (_, i) => asSection(["n", `${i}`]).fields
    )
    for (let turn = 0; turn < 2; turn++) {
      for (const fields of all)
        expect(roundTrip(pair, fields, fields)).toMatchObject({
          received: fields,
          answered: fields
        })
    }
    expect(pair.downs).toEqual([])
  })

  it("cross in their head when they are too long for a frame or no latin-1", () => {
    const pair = makeLinkPair()
    const fields = asSection(["a", "y".repeat(frameLimits.section)]).fields
    expect(roundTrip(pair, fields, noFields).received).toEqual(fields)
    expect(roundTrip(pair, fields, noFields).there).toBeGreaterThan(frameLimits.section)
  })

  const frames = (write: (writer: FrameWriter) => void): Buffer => {
    const writer = new FrameWriter()
    write(writer)
    return writer.take()
  }
  const section = (number: number, text: string): Buffer =>
    frames((it) => it.text(FrameType.section, number, undefined, text))
  const violations: Record<string, Buffer> = {
    "number 0": section(0, "a: b\r\n\r\n"),
    "a number beyond the last": section(lastSection + 1, "a: b\r\n\r\n"),
    "no empty line": section(1, "a: b\r\n"),
    "nothing at all": section(1, ""),
    "something behind the empty line": section(1, "a: b\r\n\r\nc: d\r\n\r\n"),
    "a line end within": section(1, "a: b\nc: d\r\n\r\n"),
    "a length": section(1, "content-length: 3\r\n\r\n"),
    "a transfer coding": section(1, "transfer-encoding: chunked\r\n\r\n"),
    "a host": section(1, "host: b\r\n\r\n"),
    "a hop's own field": section(1, "connection: close\r\n\r\n"),
    "one that was never sent": frames((it) =>
      it.text(FrameType.open, 1, encodeOpening(tcpCall(), 7), "")
    )
  }
  it.each(Object.keys(violations))("that break the rules cost the link: %s", (name) => {
    const { channels, downs, pump } = makeLinkPair()
    const bytes = violations[name] ?? Buffer.alloc(headerLength)
    channels.left.write(bytes)
    pump.settle()
    expect(downs[0]).toBeInstanceOf(ProtocolError)
  })
})
