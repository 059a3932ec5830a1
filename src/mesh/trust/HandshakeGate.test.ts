import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { ManualTicker } from "../../testing/LinkTestPair.ts"
import { Busy, HandshakeGate, type Leave } from "./HandshakeGate.ts"

const never = new AbortController().signal

/** A gate, who has entered, in order, and how to leave. */
const gate = (limits: ConstructorParameters<typeof HandshakeGate>[1] = {}) => {
  const ticker = new ManualTicker()
  const sut = new HandshakeGate(ticker, limits)
  const entered: Array<string> = []
  const leaves = new Map<string, Leave>()
  const refused: Array<string> = []
  const come = (name: string, address = name, signal = never) => {
    sut.enter(address, signal).then(
      (leave) => {
        entered.push(name)
        leaves.set(name, leave)
      },
      (error: unknown) => refused.push(error instanceof Busy ? name : `${name} aborted`)
    )
    return settle()
  }
  const leave = (name: string, letIn = true) => {
    leaves.get(name)?.(letIn ? "let in" : "nothing")
    return settle()
  }
  return { sut, ticker, entered, refused, come, leave }
}

const settle = () => new Promise<void>((resolve) => setImmediate(resolve))

describe("the gate of handshakes", () => {
  it("lets a few in at a time, and the next when one leaves, in the order in which they came", async () => {
    const { come, entered, leave } = gate({ atOnce: 2, strangers: 2 })
    for (const name of ["a", "b", "c", "d"]) await come(name)
    expect(entered).toEqual(["a", "b"])
    await leave("a")
    await leave("b")
    expect(entered).toEqual(["a", "b", "c", "d"])
  })

  it("keeps room for those from where members came, and lets them go first", async () => {
    const { come, entered, leave, sut } = gate({ atOnce: 2, strangers: 1 })
    await come("member", "10.0.0.1")
    await leave("member")
    await come("stranger")
    await come("another stranger")
    await come("member again", "10.0.0.1")
    expect(entered).toEqual(["member", "stranger", "member again"])
    await come("member 3", "10.0.0.1")
    expect(sut.waiting).toBe(2)
    await leave("stranger", false)
    expect(entered.at(-1)).toBe("member 3")
    await leave("member 3")
    expect(entered.at(-1)).toBe("another stranger")
  })

  it("takes an IPv6 network for one place, as hosts change their address within it", async () => {
    const { come, entered, leave } = gate({ atOnce: 2, strangers: 1 })
    await come("member", "2001:db8:1:2::a")
    await leave("member")
    await come("stranger")
    await come("elsewhere", "2001:db8:1:3::a")
    await come("member again", "2001:db8:1:2:8000:1:2:3")
    expect(entered).toEqual(["member", "stranger", "member again"])
  })

  it("tells who would wait too long to come back, by how long handshakes take", async () => {
    const { come, entered, leave, refused, sut, ticker } = gate({
      atOnce: 1,
      strangers: 1,
      counts: 10_000
    })
    await come("a")
    ticker.advance(4_000)
    await leave("a")
    await come("b")
    for (let n = 0; n < 4; n++) await come(`c${n}`)
    expect([entered.length, sut.waiting, refused]).toEqual([2, 2, ["c2", "c3"]])
    await expect(sut.enter("d", never)).rejects.toMatchObject({ retryAfter: expect.any(Number) })
    expect(sut.refused).toBe(3)
  })

  it("turns away an address whose handshakes are wrong, a member's too, until its time is over", async () => {
    const { sut, ticker } = gate()
    const enter = () => sut.enter("10.0.0.1", never)
    const first = await enter()
    expect(first("let in")).toBeUndefined()
    let away: ReturnType<Leave>
    for (let n = 0; n < 32; n++) away = (await enter())("wrong")
    expect(away).toEqual({ ms: 2_000, onProbation: true })
    await expect(enter()).rejects.toMatchObject({ away, retryAfter: 2_000 })
    await sut.enter("10.0.0.2", never)
    ticker.advance(2_000)
    expect((await enter())("let in")).toBeUndefined()
    // Of a stranger's what merely comes to nothing, too.
    for (let n = 0; n < 32; n++) away = (await sut.enter("10.0.0.3", never))("nothing")
    await expect(sut.enter("10.0.0.3", never)).rejects.toMatchObject({ away })
  })

  it("has more room for what comes to nothing from where members are, and keeps it out for a moment only", async () => {
    const { sut, ticker } = gate()
    const enter = () => sut.enter("10.0.0.1", never)
    const first = await enter()
    first("let in")
    for (let n = 0; n < 63; n++) expect((await enter())("nothing")).toBeUndefined()
    expect((await enter())("nothing")).toEqual({ ms: 1_000, onProbation: false })
    // Those on their way are let in, and a member is no worse off for it.
    expect((await enter())("let in")).toBeUndefined()
    expect((await enter())("nothing")).toEqual({ ms: 1_125, onProbation: false })
    ticker.advance(10_000)
    for (let n = 0; n < 63; n++) expect((await enter())("nothing")).toBeUndefined()
  })

  it("has others from there hear that it is busy where they are, while what is in line lasts", async () => {
    const { come, sut } = gate({ atOnce: 1, strangers: 1, waiting: 2 })
    for (const name of ["a", "b", "c"]) await come(name)
    await expect(sut.enter("d", never)).rejects.toMatchObject({
      ...{ retryAfter: 150, away: { ms: 75, onProbation: false } }
    })
  })

  it("no longer counts who is slow to speak", async () => {
    const { come, entered, leave, sut, ticker } = gate({ atOnce: 2, strangers: 1 })
    await come("silent")
    await come("b")
    expect(entered).toEqual(["silent"])
    ticker.advance(1_000)
    await settle()
    expect(entered).toEqual(["silent", "b"])
    await leave("silent", false)
    expect(sut.running).toBe(1)
    await leave("b")
    expect(sut.running).toBe(0)
  })

  it("takes a hundred a second that resume a connection, whoever is in line", async () => {
    const { come, sut, ticker } = gate({ atOnce: 1, strangers: 1 })
    await come("a")
    await come("b")
    const taken = () =>
      Array.from({ length: 150 }, (_, peer) => sut.takesResumed(`${peer}`)).filter((it) => it)
    expect(taken()).toHaveLength(100)
    ticker.jump(500)
    expect(taken()).toHaveLength(50)
    expect([sut.running, sut.waiting, sut.refused]).toEqual([1, 1, 0])
  })

  it("leaves others their part of those where one member resumes again and again", () => {
    const { sut, ticker } = gate()
    const taken = (peer: string) =>
      Array.from({ length: 150 }, () => sut.takesResumed(peer)).filter((it) => it).length
    expect([taken("hostile"), taken("honest")]).toEqual([8, 8])
    ticker.jump(2_000)
    expect(taken("hostile")).toBe(2)
  })

  it("waits for what is to be resumed from few strangers at a time, and from more where members are", async () => {
    const { sut } = gate()
    const first = await sut.enter("10.0.0.1", never)
    first("let in")
    // Members that only ever resume count, too.
    sut.resumedFrom("10.0.0.2")
    const waitFor = (address: string, times: number) =>
      Array.from({ length: times }, () => sut.awaitOffer(address))
    const [said, ...others] = waitFor("203.0.113.9", 64)
    expect(() => sut.awaitOffer("198.51.100.7")).toThrow(Busy)
    others.push(...waitFor("10.0.0.1", 64), ...waitFor("10.0.0.2", 64))
    expect(() => sut.awaitOffer("10.0.0.1")).toThrow(/busy/)
    expect(sut.refused).toBe(2)
    said?.()
    said?.()
    others.push(...waitFor("198.51.100.7", 1))
    expect(() => sut.awaitOffer("198.51.100.7")).toThrow(Busy)
    for (const one of others) one()
    waitFor("10.0.0.1", 192)
    expect(() => sut.awaitOffer("10.0.0.1")).toThrow(Busy)
  })

  it("turns away who asks to resume a connection and never says which", () => {
    const { sut } = gate()
    const away = Array.from({ length: 40 }, () => sut.cameToNothing("10.0.0.9"))
    expect(away.slice(0, 31)).toEqual(Array.from({ length: 31 }))
    expect(away.at(-1)).toMatchObject({ onProbation: true })
  })

  it("forgets who waits no longer", async () => {
    const { come, entered, leave, refused } = gate({ atOnce: 1, strangers: 1 })
    const gone = new AbortController()
    await come("a")
    await come("b", "b", gone.signal)
    await come("c")
    gone.abort(new Error("it hung up"))
    await settle()
    expect(refused).toEqual(["b aborted"])
    await leave("a")
    expect(entered).toEqual(["a", "c"])
  })

  it("never has more than it may, and nobody waits while there is room", async () => {
    const step = fc.record({ come: fc.boolean(), who: fc.nat(9), letIn: fc.boolean() })
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const { come, entered, leave, sut } = gate({ atOnce: 3, strangers: 2, waiting: 4 })
        let n = 0
        for (const { come: comes, letIn, who } of steps) {
          if (comes) await come(`${n++}`, `host ${who}`)
          else await leave(entered[who] ?? "", letIn)
          expect(sut.running).toBeLessThanOrEqual(3)
          expect(sut.waiting).toBeLessThanOrEqual(8)
          if (sut.running === 0) expect(sut.waiting).toBe(0)
        }
        for (const name of entered) await leave(name)
        for (const name of entered) await leave(name)
        for (const name of entered) await leave(name)
        for (const name of [...entered]) await leave(name)
      }),
      { numRuns: 50 }
    )
  })
})
