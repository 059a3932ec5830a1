import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { type Caller, serviceCaller } from "../../model/Caller.ts"
import type { Call } from "../../model/Exchange.ts"
import { ServiceName } from "../../model/Names.ts"
import { tcpCall } from "../../testing/LinkTestPair.ts"
import { ProtocolError } from "./Frame.ts"
import { decodeOpening, encodeOpening } from "./FramePayload.ts"
import { ReceivedTargets, SentTargets } from "./OpeningTargets.ts"

/** Few names, so that they come again, and some that fall on one place. */
const call: fc.Arbitrary<Call> = fc
  .record({
    service: fc.constantFrom("a", "b", "ledger", "payments", "x".repeat(63)),
    endpoint: fc.constantFrom(undefined, "", "0", "00", "ab", "é€", "127.0.0.1:80", "y".repeat(64)),
    attempt: fc.integer({ min: 0, max: 300 }),
    deadline: fc.option(fc.integer({ min: 0, max: 2 ** 40 }), { nil: undefined }),
    connectTimeout: fc.option(fc.nat(), { nil: undefined })
  })
  .map(({ service, ...rest }) => ({ ...tcpCall(), ...rest, service: ServiceName.make(service) }))
const section = fc.integer({ min: 0, max: 128 })
const identity: fc.Arbitrary<Caller | undefined> = fc.constantFrom(
  undefined,
  ...["orders", "web", "0", "payments"].map((name) => serviceCaller(ServiceName.make(name)))
)

describe("targets that were met before", () => {
  it("change nothing of what is written", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(call, section, identity), { maxLength: 60 }), (calls) => {
        const targets = new SentTargets()
        for (const [it, number, who] of calls) {
          expect(targets.opening(it, number, who).equals(encodeOpening(it, number, who))).toBe(true)
        }
      })
    )
  })

  it("change nothing of what is read", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(call, section, identity), { maxLength: 60 }), (calls) => {
        const targets = new ReceivedTargets()
        for (const [it, number, who] of calls) {
          const bytes = encodeOpening(it, number, who)
          expect(decodeOpening(bytes, targets.names)).toEqual(decodeOpening(bytes))
        }
      })
    )
  })

  it("do not let a name pass that is none", () => {
    const targets = new ReceivedTargets()
    const good = encodeOpening(tcpCall(), 0)
    const bad = Buffer.from(good)
    bad[14] = 0x2f
    decodeOpening(good, targets.names)
    for (let i = 0; i < 2; i++) {
      expect(() => decodeOpening(bad, targets.names)).toThrow(ProtocolError)
    }
    expect(decodeOpening(good, targets.names).service).toBe("payments")
  })
})
