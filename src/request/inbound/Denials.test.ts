import { describe, expect, it } from "vitest"
import { hostCaller, serviceCaller } from "../../model/Caller.ts"
import { NodeName, ServiceName } from "../../model/Names.ts"
import { HandTicker, httpCall } from "../../testing/InboundFixture.ts"
import { type Denial, Denials } from "./Denials.ts"

const start = () => {
  const ticker = new HandTicker()
  const posted: Array<ReadonlyArray<Denial>> = []
  const denials = new Denials({
    ticker,
    hostOf: () => "host-b",
    post: (batch) => posted.push(batch)
  })
  return { ticker, posted, denials }
}

const web = httpCall({}, { identity: serviceCaller(ServiceName.make("web")) })

describe("denials", () => {
  it("are told at once the first time, then once a second with their counts", () => {
    const { denials, posted, ticker } = start()
    const caller = serviceCaller(ServiceName.make("web"))
    const one = { caller, host: "host-b", service: "payments", rule: "unmatched" }
    denials.note(web, "unmatched", "GET /1")
    expect(posted).toEqual([[{ ...one, message: "GET /1", count: 1 }]])
    for (const path of [2, 3, 4]) denials.note(web, "unmatched", `GET /${path}`)
    denials.note(httpCall(), "a.deny[0]", "GET /")
    expect(posted).toHaveLength(1)
    ticker.advance(1_010)
    expect(posted[1]).toEqual([
      { ...one, message: "GET /4", count: 3 },
      {
        ...one,
        caller: hostCaller(NodeName.make("host-a")),
        rule: "a.deny[0]",
        message: "GET /",
        count: 1
      }
    ])
    // Quiet for a while, so the next is told at once again.
    ticker.advance(1_010)
    expect([posted.length, ticker.timers]).toEqual([2, 0])
    denials.note(web, "unmatched", "GET /5")
    expect(posted).toHaveLength(3)
  })

  it("have a bound, beyond which they are counted together", () => {
    const { denials, posted, ticker } = start()
    for (let i = 0; i < 300; i++) denials.note(web, `a.deny[${i}]`, "GET /")
    ticker.advance(1_010)
    expect(posted[1]).toHaveLength(257)
    expect(posted[1]?.at(-1)).toEqual({
      ...{ caller: undefined, host: undefined, service: undefined },
      ...{ rule: "several", message: "GET /", count: 43 }
    })
  })

  it("that wait are told at the end", () => {
    const { denials, posted, ticker } = start()
    denials.note(web, "unmatched", "GET /1")
    denials.note(web, "unmatched", "GET /2")
    denials.stop()
    expect([posted.length, ticker.timers]).toEqual([2, 0])
  })
})
