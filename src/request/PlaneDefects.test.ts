import { afterEach, describe, expect, it, vi } from "vitest"
import { NodeName } from "../model/Names.ts"
import type { Session } from "../model/Session.ts"
import { defaultPolicy } from "../schema/PolicySchema.ts"
import { HandTicker, self } from "../testing/InboundFixture.ts"
import { bob } from "../testing/LinkTestPair.ts"
import { MetricRegistry } from "./cells/Metrics.ts"
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
  return { plane, of }
}

/** One that only a bug can make: its id is none, its secret too short. */
const malformed: Session = {
  id: "none",
  secret: new Uint8Array(1),
  peer: bob,
  peerName: NodeName.make("host-b"),
  until: 0,
  facts: { services: [], speaks: [] }
}

describe("what throws in a request plane", () => {
  it("as a message is taken in costs that message, and is told", () => {
    const { plane, of } = make()
    plane.receive({ type: "session", session: malformed })
    plane.receive({ type: "session", session: malformed })
    plane.receive({ type: "ask", id: 7, question: { kind: "links" } })
    expect(of("answer")).toEqual([{ type: "answer", id: 7, rows: { kind: "links", rows: [] } }])
    const [line, ...more] = of("log")
    expect(more).toEqual([])
    expect(line).toMatchObject({ level: "error" })
    expect(line?.message).toMatch(/threw in what a request thread is told \(session\).*RangeError/s)
  })

  it("as it ends does not keep it from ending", () => {
    const { plane, of } = make()
    const takeJournal = vi.spyOn(MetricRegistry.prototype, "takeJournal")
    takeJournal.mockImplementation(() => {
      throw new Error("thrown by the test")
    })
    closing.push(() => takeJournal.mockRestore())
    plane.receive({ type: "stop" })
    expect(of("stopped")).toHaveLength(1)
  })
})
