/** Calls that wait for a link longer than they were to, since they have nowhere else to go. */
import { describe, expect, it } from "vitest"
import type { Call } from "../../model/Exchange.ts"
import type { Fault } from "../../model/Fault.ts"
import type { PolicyInput } from "../../schema/PolicySchema.ts"
import { bob, postHead } from "../../testing/LinkTestPair.ts"
import { endpointView, Fixture, microtasks, payments } from "../../testing/OutboundFixture.ts"
import { carol, isCarol, later, makeMesh } from "../../testing/UnlinkedMesh.ts"

describe("a node that is late with a link, having just been started", () => {
  it("is waited for where nobody else has what is called", async () => {
    const { begin, network, pass } = makeMesh([carol])
    const { done, whenDone } = later()
    network.answers = () => whenDone
    const waits = begin()
    await pass(3_000)
    // Others that come meanwhile wait as well.
    const came = begin()
    await pass(1_500)
    expect([waits.over, came.over]).toEqual([false, false])
    done()
    await pass(0)
    expect([waits.text, came.text]).toEqual(["ok", "ok"])
  })

  it("is waited for as long as the attempt goes on, and no longer", async () => {
    const { begin, network, pass } = makeMesh([carol])
    network.swallows = isCarol
    const waits = begin()
    await pass(4_900)
    expect(waits.over).toBe(false)
    await pass(200)
    expect(waits.fault).toMatchObject({ code: "upstream_connect", sent: false })
    const came = begin()
    await pass(0)
    expect(came.fault).toMatchObject({ code: "upstream_connect", sent: false })
  })

  it("is waited for no longer than the call has time", async () => {
    const { begin, network, pass } = makeMesh([carol])
    network.swallows = isCarol
    const [hasty, patient] = [begin({ deadline: 1_500 }), begin({ deadline: 3_000 })]
    await pass(1_600)
    expect(hasty.fault?.code).toBe("upstream_timeout")
    expect(patient.over).toBe(false)
    await pass(1_500)
    expect(patient.fault?.code).toBe("upstream_timeout")
  })

  it("is left after a second where calls may go elsewhere", async () => {
    const { begin, network, pass, reachedBy } = makeMesh([bob, carol], { retry: {} })
    network.swallows = isCarol
    const [one, other] = [begin(), begin()]
    await pass(950)
    expect([one.over, other.over].filter((over) => over)).toHaveLength(1)
    await pass(100)
    expect([one.text, other.text]).toEqual(["ok", "ok"])
    expect(reachedBy(bob)).toBe(2)
  })

  it("is waited for where calls may go elsewhere, and no second attempt is to be made", async () => {
    const { begin, network, pass } = makeMesh([bob, carol])
    const { done, whenDone } = later()
    network.answers = (_, to) => (to === carol ? whenDone : undefined)
    const both = [begin(), begin()]
    await pass(2_000)
    done()
    await pass(0)
    expect(both.map(({ text }) => text)).toEqual(["ok", "ok"])
  })

  it("is left for another that was late as well, and has a link sooner", async () => {
    const { begin, network, pass, reachedBy } = makeMesh([bob, carol], { retry: {} })
    const { done, whenDone } = later()
    network.swallows = isCarol
    network.answers = () => whenDone
    const both = [begin(), begin()]
    await pass(2_100)
    expect(both.map(({ over }) => over)).toEqual([false, false])
    done()
    await pass(1_000)
    expect(both.map(({ text }) => text)).toEqual(["ok", "ok"])
    expect(reachedBy(bob)).toBe(2)
  })

  it("has the program's connection take all of its time, however long the link took", async () => {
    const { begin, connectTimes, network, pass } = makeMesh([carol])
    const { done, whenDone } = later()
    network.answers = () => whenDone
    begin()
    await pass(1_700)
    done()
    await pass(0)
    expect(connectTimes).toEqual([1_000])
  })

  it("is not waited for by who named the endpoint, who knows when to ask again", async () => {
    const { begin, network, pass } = makeMesh([carol])
    network.swallows = isCarol
    const named = begin({ only: `${carol}/0` })
    await pass(1_050)
    expect(named.fault).toMatchObject({ code: "upstream_connect", sent: false })
  })
})

describe("the limits of a call that waits for a link", () => {
  it("repeat it at perTry, whatever its method: nothing has left", async () => {
    const policy: PolicyInput = { timeout: { perTry: "500ms" }, retry: {} }
    const { begin, network, pass, reachedBy } = makeMesh([carol], policy)
    const { done, whenDone } = later()
    network.answers = () => whenDone
    const posted = begin({ head: postHead() })
    await pass(1_100)
    expect(posted.over).toBe(false)
    done()
    await pass(0)
    expect([posted.text, reachedBy(carol)]).toEqual(["ok", 1])
  })

  it("say what was waited for, and that nothing was sent", async () => {
    const { begin, network, pass } = makeMesh([carol], { timeout: { perTry: "500ms" } })
    network.swallows = isCarol
    const waits = begin()
    await pass(450)
    expect(waits.over).toBe(false)
    await pass(100)
    expect(waits.fault).toMatchObject({ code: "upstream_connect", sent: false })
    expect(waits.fault?.message).toContain("no link to the node c within 500 ms (timeout.perTry)")
  })

  it.each<[string, PolicyInput, Partial<Call>, string]>([
    ["request", { timeout: { request: "500ms" } }, {}, "timeout.request"],
    ["the caller's deadline", {}, { deadline: 500 }, "deadline"],
    ["idle", { timeout: { idle: "500ms" } }, {}, "timeout.idle"]
  ])("say that nothing was sent, as of %s", async (_, policy, call, limit) => {
    const { begin, network, pass } = makeMesh([carol], policy)
    network.swallows = isCarol
    const waits = begin({ head: postHead(), ...call })
    await pass(550)
    expect(waits.fault).toMatchObject({ code: "upstream_timeout", sent: false })
    expect(waits.fault?.message).toContain(limit)
    expect(waits.fault?.message).toContain("c, to which there was no link yet")
  })

  it.each<[string, PolicyInput]>([
    ["perTry", { timeout: { perTry: "500ms" } }],
    ["request", { timeout: { request: "500ms" } }]
  ])("hold nothing against an endpoint whose link came just before %s", async (limit, policy) => {
    const { begin, network, pass, programs, statusOf } = makeMesh([carol], policy)
    const { done, whenDone } = later()
    network.answers = () => whenDone
    programs.take = 300
    const waiting = Array.from({ length: 10 }, () => begin())
    await pass(450)
    done()
    await pass(350)
    expect(statusOf(carol)).toMatchObject({ breaker: "closed", timesEjected: 0 })
    // The attempt has all of its time, the call has what is left of it.
    for (const { fault, text } of waiting) {
      if (limit === "perTry") expect(text).toBe("ok")
      else expect(fault).toMatchObject({ code: "upstream_timeout", sent: true })
    }
  })

  it("begin anew with the link, and end the attempt then as with any other", async () => {
    const { begin, network, pass, programs } = makeMesh([carol], { timeout: { perTry: "500ms" } })
    const { done, whenDone } = later()
    network.answers = () => whenDone
    programs.take = 10_000
    const waits = begin()
    await pass(400)
    done()
    await pass(450)
    expect(waits.over).toBe(false)
    await pass(100)
    expect(waits.fault).toMatchObject({ code: "upstream_timeout", sent: true })
    expect(waits.fault?.message).toContain("timeout.perTry")
  })
})

describe("a call that is late with a link and may not be tried again", () => {
  const noLink: Fault = {
    ...{ code: "upstream_connect", message: "no link", node: "here", sent: false },
    service: payments
  }

  it("asks for another attempt once, and waits on after a no", () => {
    const retry = { budget: { ratio: 0, minPerSecond: 0.1, window: "10s" } } as const
    const mesh = new Fixture({ retry, balance: { kind: "round_robin" } }, [
      endpointView("a"),
      endpointView("b")
    ])
    // Takes what the budget has.
    mesh.request()
    mesh.last.fault("upstream_connect", false)
    mesh.last.respond(200)
    const { observed, receiver } = mesh.request()
    const { last } = mesh
    for (let second = 1; second < 5; second++) {
      expect(last.receiver.onLate?.(noLink)).toBe(true)
    }
    expect(observed.events).toEqual(["retry_budget_exhausted"])
    expect(receiver.fault).toBeUndefined()
    last.respond(200)
    expect(receiver.head?.status).toBe(200)
  })

  it("has its retry counted by what comes of it", async () => {
    const retry = { attempts: 1, budget: { ratio: 0, minPerSecond: 1, window: "10s" } } as const
    const mesh = new Fixture({ retry, balance: { kind: "round_robin" } }, [
      endpointView("a"),
      endpointView("b")
    ])
    // Ten are granted, but for those that help fewer would be.
    for (let call = 0; call < 10; call++) {
      const { receiver } = mesh.request()
      mesh.last.fault("upstream_connect", false)
      await microtasks()
      mesh.last.receiver.onLate?.(noLink)
      mesh.last.respond(200)
      expect([call, receiver.head?.status]).toEqual([call, 200])
    }
  })
})
