import { describe, expect, it } from "vitest"
import { noFields } from "../../model/Exchange.ts"
import type { PeerKey } from "../../model/Names.ts"
import { alice, bob, clientGone, httpCall, postHead, Recorder } from "../../testing/LinkTestPair.ts"
import { makePools, outcome } from "../../testing/LinkTestPools.ts"
import { redialPause } from "./PeerLinkLimits.ts"

describe("calls to a peer without a link", () => {
  it("wait for it, with what was written meanwhile", async () => {
    const { a, served, settle } = makePools()
    const receiver = new Recorder()
    const stream = a.dispatchTo(bob)(httpCall(postHead()), receiver)
    expect(stream.write(Buffer.from("one "))).toBe(false)
    stream.write(Buffer.from("more"))
    await settle()
    expect(receiver.writables).toBe(1)
    stream.end(["x-t", "1"])
    await settle()
    expect(served[0]?.text).toBe("one more")
    expect(served[0]?.trailers).toEqual(["x-t", "1"])
    served[0]?.answer("yes")
    await settle()
    expect(outcome(receiver)).toBe("yes")
  })

  it("may be cancelled while they wait", async () => {
    const { a, served, settle } = makePools()
    const receiver = new Recorder()
    const stream = a.dispatchTo(bob)(httpCall(), receiver)
    stream.cancel(clientGone)
    await settle()
    expect(served).toEqual([])
    expect(receiver.over).toBe(false)
  })

  it("give up after the connect timeout, unsent", async () => {
    const { a, network, advance } = makePools()
    network.swallows = () => true
    const receiver = new Recorder()
    a.dispatchTo(bob)(httpCall(), receiver)
    await advance(950)
    expect(receiver.over).toBe(false)
    await advance(100)
    expect(receiver.fault).toMatchObject({ code: "upstream_connect", sent: false })
    expect(receiver.fault?.message).toContain("1000 ms")
  })

  it("are told overflow when this process has no descriptor for one, which is not the peer's doing", async () => {
    const { a, network, settle, advance } = makePools()
    const system = Object.assign(new Error("connect EMFILE"), { code: "EMFILE" })
    const failed = new AggregateError([new Error("no connection", { cause: system })], "all failed")
    network.reaches = () => {
      throw failed
    }
    const [waited, came] = [new Recorder(), new Recorder()]
    a.dispatchTo(bob)(httpCall(), waited)
    await settle()
    a.dispatchTo(bob)(httpCall(), came)
    await settle()
    for (const { fault } of [waited, came]) {
      expect(fault).toMatchObject({ code: "overflow", sent: false })
    }
    network.reaches = () => true
    await advance(1_000)
    const served = new Recorder()
    a.dispatchTo(bob)(httpCall(), served)
    await settle()
    expect(served.over).toBe(false)
  })

  it("give up after the call's own connect timeout, where it has one", async () => {
    const { a, network, advance } = makePools()
    network.swallows = () => true
    const receiver = new Recorder()
    a.dispatchTo(bob)({ ...httpCall(), connectTimeout: 200 }, receiver)
    await advance(150)
    expect(receiver.over).toBe(false)
    await advance(100)
    expect(receiver.fault).toMatchObject({ code: "upstream_connect", sent: false })
    expect(receiver.fault?.message).toContain("200 ms")
  })

  it("take along what the wait has left of their times", async () => {
    const { a, ticker, settle, served } = makePools()
    const timed = { ...httpCall(), connectTimeout: 900, deadline: 2_000 }
    a.dispatchTo(bob)(timed, new Recorder())
    a.dispatchTo(bob)({ ...httpCall(), deadline: undefined }, new Recorder())
    ticker.advance(300)
    await settle()
    const times = served.map(({ call: { connectTimeout, deadline } }) => [connectTimeout, deadline])
    expect(times).toEqual([
      [600, 1_700],
      [undefined, undefined]
    ])
    a.dispatchTo(bob)(timed, new Recorder())
    await settle()
    expect(served[2]?.call).toMatchObject({ connectTimeout: 900, deadline: 2_000 })
  })

  it("are bounded in number", async () => {
    const { a, network, settle } = makePools({ limits: { waiting: 3 } })
    network.swallows = () => true
    const receivers = Array.from({ length: 5 }, () => new Recorder())
    for (const receiver of receivers) a.dispatchTo(bob)(httpCall(), receiver)
    await settle()
    expect(receivers.map((it) => it.fault?.code)).toEqual([
      undefined,
      undefined,
      undefined,
      "overflow",
      "overflow"
    ])
  })

  it("make room for others where they wait longer than they were to", async () => {
    const { a, network, settle, advance } = makePools({ limits: { waiting: 2 } })
    network.swallows = () => true
    const patient = () => Object.assign(new Recorder(), { onLate: () => true })
    const [first, second, third] = [patient(), patient(), patient()]
    a.dispatchTo(bob)(httpCall(), first)
    await advance(500)
    a.dispatchTo(bob)(httpCall(), second)
    await advance(600)
    a.dispatchTo(bob)(httpCall(), third)
    await settle()
    expect([first, second, third].map(({ fault }) => fault?.code)).toEqual([
      "upstream_connect",
      undefined,
      undefined
    ])
    const came = new Recorder()
    a.dispatchTo(bob)(httpCall(), came)
    await settle()
    expect(came.fault?.code).toBe("overflow")
  })

  it("fail fast while the peer is known to be away, and wait again later", async () => {
    const { a, network, settle, advance, served } = makePools()
    network.reaches = () => false
    const first = new Recorder()
    a.dispatchTo(bob)(httpCall(), first)
    await settle()
    expect(first.fault).toMatchObject({ code: "upstream_connect", sent: false })
    network.reaches = () => true
    const second = new Recorder()
    a.dispatchTo(bob)(httpCall(), second)
    await settle()
    expect(second.fault?.message).toContain("no route")
    await advance(200)
    const third = new Recorder()
    a.dispatchTo(bob)(httpCall(), third)
    await settle()
    served[0]?.answer("back")
    await settle()
    expect(outcome(third)).toBe("back")
  })
})

describe("a wanted link", () => {
  it("is made at once, kept, and made again at once", async () => {
    const { a, network, settle, advance } = makePools()
    const seen: Array<string> = []
    a.onUp((peer) => seen.push(`up ${peer === bob}`))
    a.onDown((peer, cause) => seen.push(`down ${peer === bob} ${cause?.message}`))
    a.want(bob, () => ["/memory/1"])
    await settle()
    expect(a.status()).toMatchObject([
      { peer: bob, state: "up", wanted: true, addresses: ["/memory/1"] }
    ])
    await advance(10_000)
    network.cut(alice, bob, new Error("cable cut"))
    expect(seen).toEqual(["up true", "down true cable cut"])
    await settle()
    expect(a.isUp(bob)).toBe(true)
    expect(seen.length).toBe(3)
  })

  it("is tried for ever, with pauses that grow to a bound", async () => {
    const { a, network, settle, advance, ticker } = makePools()
    const attempts: Array<number> = []
    network.reaches = () => {
      attempts.push(ticker.now())
      return false
    }
    a.want(bob, () => [])
    await settle()
    await advance(120_000)
    const pauses = attempts.slice(1).map((at, i) => at - attempts[i]!)
    expect(pauses[0]).toBeLessThan(250)
    expect(Math.max(...pauses)).toBeLessThanOrEqual(5_100)
    expect(Math.min(...pauses.slice(8))).toBeGreaterThanOrEqual(2_500)
    network.reaches = () => true
    await advance(5_100)
    expect(a.isUp(bob)).toBe(true)
  })

  it("is tried at once when the peer itself comes", async () => {
    const { a, b, network, settle, advance } = makePools()
    network.reaches = () => false
    b.want(alice, () => [])
    a.want(bob, () => [])
    await settle()
    await advance(30_000)
    network.reaches = () => true
    await a.listen()
    // b's next attempt reaches a; a then does not wait for its own.
    for (let i = 0; i < 200 && !b.isUp(alice); i++) await advance(50)
    expect(b.isUp(alice)).toBe(true)
    await settle()
    expect(a.isUp(bob)).toBe(true)
  })

  /** To a peer that cannot be reached, at a moment when an attempt has just failed and the pause is one of seconds. */
  const failing = async () => {
    const pools = makePools()
    const { a, network, settle, advance } = pools
    let attempts = 0
    network.reaches = () => {
      attempts++
      return false
    }
    a.want(bob, () => [])
    await settle()
    await advance(30_000)
    const before = attempts
    while (attempts === before) await advance(10)
    expect(a.isDown(bob)).toBe(true)
    return pools
  }

  it("is tried at once when there is a new session", async () => {
    const { a, network, settle, advance } = await failing()
    network.reaches = () => true
    await advance(1_000)
    expect(a.isUp(bob)).toBe(false)
    a.met(bob)
    await settle()
    expect(a.isUp(bob)).toBe(true)
  })

  it("is tried a moment later when the new session may have come of an attempt", async () => {
    const { a, network, settle, advance } = await failing()
    network.reaches = () => true
    a.met(bob)
    await settle()
    await advance(950)
    expect(a.isUp(bob)).toBe(false)
    await advance(60)
    expect(a.isUp(bob)).toBe(true)
  })

  it("is waited for when there is a new session, although the last attempt has failed", async () => {
    const { a, network, settle, advance } = await failing()
    const refused = new Recorder()
    a.dispatchTo(bob)(httpCall(), refused)
    await settle()
    expect(refused.fault).toMatchObject({ code: "upstream_connect" })
    network.reaches = () => true
    await advance(1_000)
    a.met(bob)
    const waits = new Recorder()
    a.dispatchTo(bob)(httpCall(), waits)
    await settle()
    expect(waits.fault).toBeUndefined()
    expect(a.isDown(bob)).toBe(false)
  })

  it("is tried at once where the peer has another address, and soon again, as if none had failed", async () => {
    const { a, network, settle, advance } = await failing()
    // The session is there before the word of where the peer is now.
    a.met(bob)
    await advance(1_010)
    let attempts = 0
    network.reaches = () => ++attempts > 3
    a.moved(bob)
    await settle()
    expect(attempts).toBe(1)
    await advance(710)
    expect([attempts, a.isUp(bob)]).toEqual([4, true])
  })

  it("is not tried at once for each address of a peer that has others all the time", async () => {
    const { a, network, settle, advance } = await failing()
    let attempts = 0
    network.reaches = () => {
      attempts++
      return false
    }
    for (let moves = 0; moves < 40; moves++) {
      a.moved(bob)
      await settle()
      await advance(50)
    }
    // In two seconds: one at once, those that follow on it by themselves, and one for what is news each second.
    expect(attempts).toBeLessThan(9)
  })

  it("that cannot be made is told of before those who wait for it, once", async () => {
    const { a, network, advance } = makePools()
    const seen: Array<string> = []
    a.onUp(() => seen.push("up"))
    a.onDown((_, cause) => seen.push(`down: ${cause?.message}`))
    network.swallows = () => true
    const receivers = [new Recorder(), new Recorder()]
    for (const receiver of receivers) {
      receiver.onOver = () => seen.push("fault")
      a.dispatchTo(bob)(httpCall(), receiver)
    }
    await advance(6_000)
    const message = receivers[0]?.fault?.message.replace(/.*: /, "")
    expect(seen).toEqual([`down: ${message}`, "fault", "fault"])
    network.swallows = () => false
    // The attempt under way ends, and a pause.
    await advance(6_000)
    expect(seen.slice(3)).toEqual(["up"])
  })

  it("that breaks young is made again at once, and calls wait for it", async () => {
    // One of the peer's threads has crashed soon after it came; another takes the next link.
    const { a, network, served, settle } = makePools()
    a.dispatchTo(bob)(httpCall(), new Recorder())
    await settle()
    network.cut(alice, bob, new Error("broken"))
    const next = new Recorder()
    a.dispatchTo(bob)(httpCall(), next)
    await settle()
    expect(next.fault).toBeUndefined()
    served.at(-1)?.answer("ok")
    await settle()
    expect(outcome(next)).toBe("ok")
  })

  it("that breaks again and again is not tried in a circle", async () => {
    const { a, network, settle, advance } = makePools()
    let ups = 0
    a.onUp((peer) => {
      ups++
      queueMicrotask(() => network.cut(alice, peer, new Error("broken")))
    })
    a.want(bob, () => [])
    await settle()
    await advance(10_000)
    expect(ups).toBeGreaterThan(3)
    expect(ups).toBeLessThan(15)
  })

  it("that has gone silent is given up with its connection", async () => {
    const { a, network, settle, advance } = makePools()
    a.want(bob, () => [])
    await settle()
    await advance(5_000)
    const receiver = new Recorder()
    a.dispatchTo(bob)(httpCall(), receiver)
    await settle()
    network.blackhole(alice, bob)
    await advance(4_500)
    expect(receiver.fault).toMatchObject({ code: "upstream_reset", sent: true })
    expect(a.isUp(bob)).toBe(true)
  })
})

describe("what nobody needs", () => {
  it("is closed and forgotten, and not taken for lost", async () => {
    const { a, b, served, settle, advance } = makePools()
    const downs: Array<PeerKey> = []
    a.onDown((peer) => downs.push(peer))
    const receiver = new Recorder()
    a.dispatchTo(bob)(httpCall(), receiver).end(noFields)
    await settle()
    served[0]?.answer("ok")
    await settle()
    expect(a.status().length).toBe(1)
    await advance(140_000)
    expect(a.status()).toEqual([])
    expect(b.status()).toEqual([])
    expect(downs).toEqual([])
  })

  it("is made anew when it was lost, because nobody calls a peer that is said to be down", async () => {
    let addresses: ReadonlyArray<string> = ["/memory/0"]
    const { a, network, settle, advance } = makePools({ addressesOf: () => addresses })
    const seen: Array<string> = []
    a.onUp(() => seen.push("up"))
    a.onDown(() => seen.push("down"))
    a.dispatchTo(bob)(httpCall(), new Recorder())
    await settle()
    network.reaches = () => false
    network.cut(alice, bob, new Error("broken"))
    await advance(20_000)
    expect(seen).toEqual(["up", "down"])
    network.reaches = () => true
    await advance(5_000)
    expect(seen).toEqual(["up", "down", "up"])
    // Unless the peer has left the mesh.
    network.reaches = () => false
    network.cut(alice, bob, new Error("broken"))
    await settle()
    addresses = []
    await advance(140_000)
    expect(a.status()).toEqual([])
  })

  it("stays while it is in use or wanted", async () => {
    const { a, settle, advance } = makePools()
    a.dispatchTo(bob)(httpCall(), new Recorder())
    await settle()
    await advance(140_000)
    expect(a.status()).toMatchObject([{ state: "up", exchanges: 1 }])
  })
})

describe("a pool", () => {
  it("drains: peers are told, running calls end", async () => {
    const { a, b, served, settle, advance } = makePools()
    const running = new Recorder()
    a.dispatchTo(bob)(httpCall(), running)
    await settle()
    b.goaway()
    await settle()
    expect(a.status()[0]?.state).toBe("draining")
    expect(b.serving()).toBe(1)
    const late = new Recorder()
    a.dispatchTo(bob)(httpCall(), late)
    await settle()
    expect(late.fault).toMatchObject({ code: "draining", sent: false })
    let left = false
    b.whenServed(() => {
      left = true
    })
    served[0]?.answer("done")
    // Over here, and not on its way yet.
    expect([b.serving(), left]).toEqual([1, false])
    await settle()
    expect(outcome(running)).toBe("done")
    expect([b.serving(), left]).toEqual([0, true])
    // It does not take the next link only to send it away again.
    const ups: Array<PeerKey> = []
    a.onUp((peer) => ups.push(peer))
    a.want(bob, () => [])
    await advance(20_000)
    expect(ups).toEqual([])
  })

  it("breaks off with a peer when told", async () => {
    const { a, b, network, served, settle } = makePools()
    const receiver = new Recorder()
    a.dispatchTo(bob)(httpCall(), receiver)
    await settle()
    // As when its session has ended: it comes again at once, and does not get in.
    network.reaches = () => false
    b.disconnect(alice, "its certificate was revoked")
    await settle()
    expect(receiver.fault).toMatchObject({ code: "upstream_reset", sent: true })
    expect(served[0]?.cancelled?.message).toContain("revoked")
    expect(b.status()).toEqual([])
  })

  it("stops with everything on it", async () => {
    const { a, served, settle } = makePools()
    const receiver = new Recorder()
    a.dispatchTo(bob)(httpCall(), receiver)
    await settle()
    a.stop()
    expect(receiver.fault).toMatchObject({ code: "upstream_reset", sent: true })
    await settle()
    expect(served[0]?.cancelled).toMatchObject({ code: "client_gone" })
    const late = new Recorder()
    a.dispatchTo(bob)(httpCall(), late)
    await settle()
    expect(late.fault).toMatchObject({ code: "draining", sent: false })
  })
})

it("pauses between attempts double up to a bound, with jitter of half", () => {
  const limits = { basePause: 100, maxPause: 5_000 }
  expect([1, 2, 3, 7, 50].map((n) => redialPause(n, 1, limits))).toEqual([
    100, 200, 400, 5_000, 5_000
  ])
  expect(redialPause(3, 0, limits)).toBe(200)
})

describe("what throws", () => {
  const broken = new Error("thrown by the test")
  const breaks = (): never => {
    throw broken
  }

  it("in one who hears of links keeps neither the others nor the calls that wait", async () => {
    const defects: Array<unknown> = []
    const { a, network, served, settle } = makePools({
      onDefect: (error, where) => defects.push([where, error])
    })
    const heard: Array<string> = []
    a.onUp(breaks)
    a.onUp(() => heard.push("up"))
    a.onDown(breaks)
    a.onDown(() => heard.push("down"))
    const receiver = new Recorder()
    a.dispatchTo(bob)(httpCall(), receiver)
    await settle()
    expect(served).toHaveLength(1)
    network.reaches = () => false
    a.disconnect(bob, "by the test")
    await settle()
    expect(receiver.fault?.code).toBe("upstream_reset")
    expect(heard).toEqual(["up", "down"])
    const told = ["who hears of links", broken]
    expect(defects).toEqual([told, told])
  })

  it("in a call that waits for a link costs that call, and not those that wait with it", async () => {
    const defects: Array<unknown> = []
    const { a, served, settle } = makePools({ onDefect: (error) => defects.push(error) })
    const [bad, good] = [new Recorder(), new Recorder()]
    const stream = a.dispatchTo(bob)(httpCall(postHead()), bad)
    stream.write(Buffer.from("said while it waits"))
    bad.onWritable = breaks
    a.dispatchTo(bob)(httpCall(), good)
    await settle()
    expect(bad.fault).toMatchObject({ code: "upstream_reset" })
    served.at(-1)?.answer("yes")
    await settle()
    expect(outcome(good)).toBe("yes")
    expect(defects).toEqual([broken])
    expect(a.status()[0]?.exchanges).toBe(0)
  })

  it("as waiting calls are told that there is no link costs one call", async () => {
    const defects: Array<unknown> = []
    const { a, network, settle } = makePools({ onDefect: (error) => defects.push(error) })
    network.reaches = () => false
    const [bad, good] = [new Recorder(), new Recorder()]
    bad.onOver = breaks
    a.dispatchTo(bob)(httpCall(), bad)
    a.dispatchTo(bob)(httpCall(), good)
    await settle()
    expect(good.fault).toMatchObject({ code: "upstream_connect" })
    expect(defects).toEqual([broken])
  })

  it("in a call that is refused at once goes no further", async () => {
    const defects: Array<unknown> = []
    const { a, network, settle } = makePools({ onDefect: (error) => defects.push(error) })
    network.reaches = () => false
    a.dispatchTo(bob)(httpCall(), new Recorder())
    await settle()
    const refused = new Recorder()
    refused.onOver = breaks
    a.dispatchTo(bob)(httpCall(), refused)
    await settle()
    expect(refused.fault).toMatchObject({ code: "upstream_connect" })
    expect(defects).toEqual([broken])
  })
})
