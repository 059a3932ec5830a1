import { describe, expect, it } from "vitest"
import { noFields } from "../../model/Exchange.ts"
import { alice, bob, clientGone, httpCall, Recorder } from "../../testing/LinkTestPair.ts"
import { makePools, outcome } from "../../testing/LinkTestPools.ts"
import type { LinkPoolOptions } from "./LinkPool.ts"

/** Two exchanges fit on a link, and three links on a peer. */
const makeSmall = (options: Partial<LinkPoolOptions> = {}) => {
  const pools = makePools({ linkLimits: { exchanges: 2 }, limits: { links: 3 }, ...options })
  const call = (count: number) =>
    Array.from({ length: count }, () => {
      const receiver = new Recorder()
      const stream = pools.a.dispatchTo(bob)(httpCall(), receiver)
      stream.end(noFields)
      return { receiver, stream }
    })
  const codes = (calls: ReturnType<typeof call>) => calls.map((it) => it.receiver.fault?.code)
  return { ...pools, call, codes }
}

describe("when a link to a peer is full", () => {
  it("others are made, as many as needed, and calls wait for them", async () => {
    const { a, served, settle, call, codes } = makeSmall()
    const calls = [...call(2)]
    await settle()
    calls.push(...call(3))
    expect(codes(calls)).toEqual([undefined, undefined, undefined, undefined, undefined])
    await settle()
    expect(served.length).toBe(5)
    expect(a.status()).toMatchObject([{ state: "up", exchanges: 5 }])
    for (const [i, exchange] of served.entries()) exchange.answer(`answer ${i}`)
    await settle()
    expect(calls.map(({ receiver }) => outcome(receiver)).sort()).toEqual(
      [0, 1, 2, 3, 4].map((i) => `answer ${i}`)
    )
    expect(a.status()).toMatchObject([{ state: "up", exchanges: 0 }])
  })

  it("they are made also for calls that waited for the first", async () => {
    const { served, settle, call } = makeSmall()
    call(6)
    await settle()
    expect(served.length).toBe(6)
  })

  it("beyond all of them the answer is overflow, as unsent, until one ends", async () => {
    const { served, settle, call, codes } = makeSmall()
    const calls = call(6)
    await settle()
    const [refused] = call(1)
    await settle()
    expect(refused?.receiver.fault).toMatchObject({ code: "overflow", sent: false })
    expect(refused?.receiver.fault?.message).toMatch(
      /^2 exchanges are open on each link.*most are 3/
    )
    expect(codes(calls).every((code) => code === undefined)).toBe(true)
    served[3]?.answer("done")
    await settle()
    const [taken] = call(1)
    await settle()
    expect(served.length).toBe(7)
    served[6]?.answer("done too")
    await settle()
    expect(outcome(taken!.receiver)).toBe("done too")
  })

  it("a call may be cancelled while it waits for another", async () => {
    const { served, settle, call } = makeSmall()
    call(2)
    await settle()
    const [waiting] = call(1)
    waiting?.stream.cancel(clientGone)
    await settle()
    expect(served.length).toBe(2)
    expect(waiting?.receiver.over).toBe(false)
  })

  it("one that cannot be made is no reason to wait, and is tried again later", async () => {
    const { network, served, settle, advance, call, codes } = makeSmall()
    call(2)
    await settle()
    network.reaches = () => false
    const first = call(1)
    await settle()
    expect(codes(first)).toEqual(["overflow"])
    expect(first[0]?.receiver.fault?.message).toContain("no route")
    network.reaches = () => true
    const second = call(1)
    await settle()
    expect(codes(second)).toEqual(["overflow"])
    await advance(200)
    call(1)
    await settle()
    expect(served.length).toBe(3)
  })

  it("one that does not come in time is told so", async () => {
    const { network, settle, advance, call, codes } = makeSmall()
    call(2)
    await settle()
    network.swallows = () => true
    const waiting = call(1)
    await advance(1_100)
    expect(codes(waiting)).toEqual(["overflow"])
    expect(waiting[0]?.receiver.fault).toMatchObject({ sent: false })
  })

  it("what is not needed any more is closed", async () => {
    const { a, b, served, settle, advance, call } = makeSmall()
    call(6)
    await settle()
    for (const exchange of served) exchange.answer("ok")
    await advance(140_000)
    expect(a.status()).toEqual([])
    expect(b.status()).toEqual([])
  })

  it("all go down with the peer, and each call has its fault", async () => {
    const { network, settle, call, codes } = makeSmall()
    const calls = call(6)
    await settle()
    network.cut(alice, bob, new Error("cable cut"))
    await settle()
    expect(codes(calls)).toEqual(Array.from({ length: 6 }, () => "upstream_reset"))
  })

  it("all drain with the peer, and nothing is lost", async () => {
    const { b, served, settle, call, codes } = makeSmall()
    const calls = call(6)
    await settle()
    b.goaway()
    await settle()
    const [late] = call(1)
    await settle()
    expect(late?.receiver.fault).toMatchObject({ code: "draining", sent: false })
    for (const exchange of served) exchange.answer("ok")
    await settle()
    expect(codes(calls).every((code) => code === undefined)).toBe(true)
    expect(calls.every(({ receiver }) => receiver.trailers !== undefined)).toBe(true)
  })

  it("all stop with the pool", async () => {
    const { a, settle, call, codes } = makeSmall()
    const calls = call(6)
    await settle()
    const waiting = call(1)
    a.stop()
    await settle()
    expect(codes(calls)).toEqual(Array.from({ length: 6 }, () => "upstream_reset"))
    expect(codes(waiting)).toEqual(["overflow"])
  })
})
