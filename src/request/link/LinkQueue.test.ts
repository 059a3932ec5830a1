/** The line of calls that wait for a link to one peer, when it is full. */
import { describe, expect, it } from "vitest"
import { bob, httpCall, Recorder } from "../../testing/LinkTestPair.ts"
import { makePools } from "../../testing/LinkTestPools.ts"

/** Waits longer than it was to. */
const patient = (): Recorder => Object.assign(new Recorder(), { onLate: () => true })
const code = ({ fault }: Recorder) => fault?.code

describe("a full line of calls that wait for a link", () => {
  it("lets that one go which is late longest, whoever stands at its head", async () => {
    const { a, network, settle, advance } = makePools({ limits: { waiting: 3 } })
    network.swallows = () => true
    const [head, later, late, came] = [patient(), patient(), patient(), new Recorder()]
    a.dispatchTo(bob)({ ...httpCall(), connectTimeout: 4_000 }, head)
    a.dispatchTo(bob)({ ...httpCall(), connectTimeout: 400 }, later)
    a.dispatchTo(bob)({ ...httpCall(), connectTimeout: 200 }, late)
    await advance(1_000)
    a.dispatchTo(bob)(httpCall(), came)
    await settle()
    expect([head, later, late, came].map(code)).toEqual([
      undefined,
      undefined,
      "upstream_connect",
      undefined
    ])
  })

  it("does not take one that was late, and has left, for one that can leave", async () => {
    const { a, network, settle, advance } = makePools({ limits: { waiting: 1 } })
    network.swallows = () => true
    const gone = patient()
    const stream = a.dispatchTo(bob)({ ...httpCall(), connectTimeout: 200 }, gone)
    await advance(300)
    stream.cancel({ code: "client_gone", message: "", node: "", service: undefined, sent: false })
    const [stays, came] = [new Recorder(), new Recorder()]
    a.dispatchTo(bob)(httpCall(), stays)
    a.dispatchTo(bob)(httpCall(), came)
    await settle()
    expect([gone, stays, came].map(code)).toEqual([undefined, undefined, "overflow"])
  })

  it("is never longer than it may be, though who had to leave comes back at once", async () => {
    const { a, network, settle, advance } = makePools({ limits: { waiting: 2 } })
    network.swallows = () => true
    const [again, came] = [new Recorder(), new Recorder()]
    const leaves = Object.assign(patient(), {
      onFault: () => void a.dispatchTo(bob)(httpCall(), again)
    })
    const stays = patient()
    a.dispatchTo(bob)(httpCall(), leaves)
    a.dispatchTo(bob)(httpCall(), stays)
    await advance(1_100)
    a.dispatchTo(bob)(httpCall(), came)
    await settle()
    // Its place is taken, and one newcomer does not have two leave.
    expect([stays, again, came].map(code)).toEqual([undefined, undefined, "overflow"])
  })
})
