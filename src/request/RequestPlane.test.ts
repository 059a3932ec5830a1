import { afterEach, describe, expect, it } from "vitest"
import type { ViewChange } from "../model/MeshView.ts"
import { defaultPolicy } from "../schema/PolicySchema.ts"
import { HandTicker, self } from "../testing/InboundFixture.ts"
import { bob } from "../testing/LinkTestPair.ts"
import type { FromPlane } from "./PlaneMessages.ts"
import { RequestPlane } from "./RequestPlane.ts"

const closing: Array<() => unknown> = []
afterEach(() => {
  for (const close of closing.splice(0)) close()
})

const make = () => {
  const ticker = new HandTicker()
  const posted: Array<FromPlane> = []
  const plane = new RequestPlane(
    {
      self,
      index: 0,
      threads: 1,
      sharePorts: false,
      defaultPolicy,
      accessLog: false,
      traces: false
    },
    { ticker, post: (message) => posted.push(message), onStopped: () => undefined }
  )
  closing.push(() => plane.stop())
  const of = <Type extends FromPlane["type"]>(type: Type) =>
    posted.filter((it): it is Extract<FromPlane, { readonly type: Type }> => it.type === type)
  const { cells } = plane.metrics.counter("skein_defects_total", "", ["where"])
  const defects = () =>
    Array.from(cells.values(), ({ cell, labels }) => [labels["where"], cell.value])
  return { plane, ticker, posted, of, defects }
}

/** One that only a bug can make: its id is none. */
const malformed = {
  id: "none",
  secret: new Uint8Array(1),
  peer: bob,
  peerName: "host-b",
  until: 0
} as never

const change = (version: number, since: number | undefined): ViewChange => ({
  version,
  since,
  services: [],
  gone: []
})

describe("a request plane", () => {
  it("takes in the messages that follow one that throws, and tells of it", () => {
    const { plane, of, defects } = make()
    plane.receive({ type: "session", session: malformed })
    plane.receive({ type: "session", session: malformed })
    plane.receive({ type: "ask", id: 7, question: { kind: "links" } })
    expect(of("answer")).toEqual([{ type: "answer", id: 7, rows: { kind: "links", rows: [] } }])
    expect(defects()).toEqual([["what a request thread is told (session)", 2]])
    const [line, ...more] = of("log")
    expect(more).toEqual([])
    expect(line).toMatchObject({ level: "error" })
    expect(line?.message).toMatch(/threw in what a request thread is told \(session\).*RangeError/s)
  })

  it("asks for the whole view, once, when a change does not follow what it holds", () => {
    const { plane, of, defects } = make()
    plane.receive({ type: "view", change: change(3, undefined) })
    plane.receive({ type: "view", change: change(5, 4) })
    plane.receive({ type: "view", change: change(6, 5) })
    expect(of("view.lost")).toHaveLength(1)
    plane.receive({ type: "view", change: change(6, undefined) })
    plane.receive({ type: "view", change: change(7, 6) })
    expect(defects()).toEqual([["what a request thread is told (view)", 2]])
    plane.receive({ type: "view", change: change(9, 8) })
    expect(of("view.lost")).toHaveLength(2)
  })

  it("ends whatever throws on the way", () => {
    const { plane, of } = make()
    plane.metrics.takeJournal = () => {
      throw new Error("thrown by the test")
    }
    plane.receive({ type: "stop" })
    expect(of("stopped")).toHaveLength(1)
  })
})
