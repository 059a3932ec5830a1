import { describe, expect, it } from "vitest"
import type { ResponseReceiver } from "./Exchange.ts"
import type { Fault } from "./Fault.ts"
import { refuse } from "./RefusedExchange.ts"

const fault: Fault = {
  code: "overflow",
  message: "full",
  node: "host-a",
  service: undefined,
  sent: false
}
const gone: Fault = { ...fault, code: "client_gone", message: "it left" }

const receiving = (onFault: (fault: Fault) => void): ResponseReceiver => ({
  onInfo: () => expect.unreachable(),
  onHead: () => expect.unreachable(),
  onData: () => expect.unreachable(),
  onEnd: () => expect.unreachable(),
  onWritable: () => expect.unreachable(),
  onFault
})

describe("a refused exchange", () => {
  it("takes what comes and gives the fault once, after dispatch has returned", async () => {
    const faults: Array<Fault> = []
    const over: Array<unknown> = []
    const stream = refuse(
      receiving((it) => faults.push(it)),
      fault,
      undefined,
      (...told) => over.push(told)
    )
    expect(stream.sent).toBe(false)
    expect(stream.write(new Uint8Array(3))).toBe(true)
    stream.end()
    stream.resume()
    expect(faults).toEqual([])
    await Promise.resolve()
    stream.cancel(gone)
    await Promise.resolve()
    expect(faults).toEqual([fault])
    expect(over).toEqual([[fault, 3]])
  })

  it("says nothing after it was cancelled", async () => {
    const over: Array<unknown> = []
    const stream = refuse(
      receiving(() => expect.unreachable()),
      fault,
      undefined,
      (...told) => over.push(told)
    )
    stream.cancel(gone)
    stream.cancel(gone)
    await Promise.resolve()
    expect(over).toEqual([[gone, 0]])
  })

  it("reports a receiver that throws, and gives the fault though its end could not be told", async () => {
    const defects: Array<unknown> = []
    const faults: Array<Fault> = []
    refuse(
      receiving((it) => {
        faults.push(it)
        throw new Error("in the receiver")
      }),
      fault,
      (error) => defects.push(error),
      () => {
        throw new Error("in onOver")
      }
    )
    await Promise.resolve()
    expect(faults).toEqual([fault])
    expect(defects.map(String)).toEqual(["Error: in onOver", "Error: in the receiver"])
  })
})
