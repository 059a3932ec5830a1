import { afterEach, describe, expect, it } from "vitest"
import { hostCaller } from "../../model/Caller.ts"
import { uncontained } from "../../model/Defect.ts"
import { type Dispatch, streamBody } from "../../model/Exchange.ts"
import type { LocalService, ProgramHealth } from "../../model/LocalService.ts"
import type { PeerKey } from "../../model/Names.ts"
import {
  exchange,
  HandTicker,
  httpCall,
  payments,
  RecordingObserver,
  RecordingReceiver,
  self,
  tcpCall
} from "../../testing/InboundFixture.ts"
import { responseHead, ScriptedCallee } from "../../testing/ScriptedCallee.ts"
import { MetricRegistry } from "../cells/Metrics.ts"
import { makeHostMemory } from "../HostMemory.ts"
import { HostLimits } from "./HostLimits.ts"
import { Inbound } from "./Inbound.ts"
import { type Limits, OwnConnectionPlaces, OwnPlaces } from "./Places.ts"
import { Programs } from "./Programs.ts"
import { withoutUpgrades } from "./WithoutUpgrades.ts"

const cleanups: Array<() => void> = []
afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup()
})

const well: ProgramHealth = { healthy: true, reason: "its program serves it" }

const service = (program: ProgramHealth = well): LocalService => ({
  name: payments,
  protocol: "http",
  endpoints: [{ id: "program", host: "program", port: 0, weight: 100, program }]
})

const setUp = (limits?: Limits) => {
  const programs = new Programs()
  const observer = new RecordingObserver()
  const inbound = new Inbound({
    ...{ self, observer, programs, limits },
    ticker: new HandTicker(),
    metrics: new MetricRegistry(),
    callerName: (peer: PeerKey) => peer
  })
  cleanups.push(() => inbound.close())
  inbound.setServices([service()])
  const callee = new ScriptedCallee()
  const serve = (dispatch: Dispatch = callee.dispatch) =>
    programs.serve(payments, "program", dispatch)
  return { callee, inbound, observer, serve }
}

const answer = ({ receiver }: ScriptedCallee): void => {
  receiver.onHead(responseHead(200))
  receiver.onData(Buffer.from("ok"))
  receiver.onEnd([])
}

describe("a program without a port", () => {
  it("gets calls as they are, with what is forwarded, and is observed like any endpoint", async () => {
    const { callee, inbound, observer, serve } = setUp()
    observer.extra = ["traceparent", "00-aa"]
    serve()
    callee.onCall = () => queueMicrotask(() => answer(callee))
    const { text } = await exchange(inbound.dispatch, httpCall({ fields: ["x-a", "1"] }))
    expect(text).toBe("ok")
    expect(callee.call?.head?.fields).toEqual(["x-a", "1", "traceparent", "00-aa"])
    expect(observer.seen[0]).toMatchObject({
      endpoint: `${self.peer}/payments/program`,
      ends: [{ outcome: { kind: "complete", status: 200 }, bytesOut: 2 }]
    })
    expect(inbound.inFlight).toBe(0)
  })

  it("hears of callers that give up", () => {
    const { callee, inbound, serve } = setUp()
    serve()
    const stream = inbound.dispatch(httpCall(), new RecordingReceiver())
    const { service } = httpCall()
    stream.cancel({ code: "client_gone", message: "", node: "", service, sent: true })
    expect(callee.cancelled?.code).toBe("client_gone")
  })

  it("gets what follows a head that asks for another protocol, and may switch to it", () => {
    const { callee, inbound, observer, serve } = setUp()
    serve()
    const receiver = new RecordingReceiver()
    const stream = inbound.dispatch(httpCall({ upgrade: "websocket" }), receiver)
    callee.receiver.onHead({ ...responseHead(101), framing: streamBody, upgrade: "websocket" })
    stream.write(Buffer.from("frames"))
    callee.receiver.onData(Buffer.from("others"))
    callee.receiver.onEnd([])
    expect([callee.ended, inbound.inFlight]).toEqual([false, 1])
    stream.end([])
    expect(callee.written.map(String)).toEqual(["frames"])
    expect([receiver.text, callee.ended, inbound.inFlight]).toEqual(["others", true, 0])
    expect(observer.seen[0]?.ends).toMatchObject([
      { outcome: { kind: "complete", status: 101 }, bytesIn: 6, bytesOut: 6 }
    ])
  })

  it("of a version that cannot switch gets such a call as one that does not ask", () => {
    const { callee, inbound, serve } = setUp()
    serve(withoutUpgrades(callee.dispatch))
    const stream = inbound.dispatch(httpCall({ upgrade: "websocket" }), new RecordingReceiver())
    expect(callee.ended).toBe(true)
    expect(stream.write(Buffer.from("frames"))).toBe(true)
    stream.end([])
    expect(callee.written).toEqual([])
    const other = setUp()
    other.serve(withoutUpgrades(other.callee.dispatch))
    const posted = httpCall({ method: "POST", framing: streamBody })
    other.inbound.dispatch(posted, new RecordingReceiver())
    expect(other.callee.ended).toBe(false)
  })

  it("takes no tunnels", async () => {
    const { inbound, serve } = setUp()
    serve()
    for (const call of [tcpCall(), httpCall({ method: "CONNECT" })]) {
      const { fault } = await exchange(inbound.dispatch, call)
      expect(fault).toMatchObject({ code: "bad_request", sent: false })
    }
  })

  it("that has ended is not reached, and nothing was sent", async () => {
    const { inbound, serve } = setUp()
    serve()()
    const { fault } = await exchange(inbound.dispatch, httpCall())
    expect(fault).toMatchObject({ code: "upstream_connect", sent: false })
  })

  it("that another has replaced is not ended by the end of the first", async () => {
    const { callee, inbound, serve } = setUp()
    const end = serve(() => {
      throw new Error("the first")
    })
    serve()
    end()
    callee.onCall = () => queueMicrotask(() => answer(callee))
    expect((await exchange(inbound.dispatch, httpCall())).text).toBe("ok")
  })

  it("has 1,024 calls in work at most", async () => {
    const { inbound, serve } = setUp()
    serve()
    for (let i = 0; i < 1_024; i++) inbound.dispatch(httpCall(), new RecordingReceiver())
    const { fault } = await exchange(inbound.dispatch, httpCall())
    expect(fault).toMatchObject({ code: "overflow", sent: false })
    expect(inbound.inFlight).toBe(1_024)
  })

  it("has them of all request threads together, and takes others as some are over", async () => {
    const memory = makeHostMemory()
    const [one, other] = [0, 1].map((thread) => {
      const limits = new HostLimits({
        ...{ ...memory, thread, threads: 2 },
        ...{ ticker: new HandTicker(), onDefect: uncontained }
      })
      cleanups.push(() => limits.stop())
      const made = setUp(limits)
      made.serve()
      return made
    })
    for (let i = 0; i < 1_000; i++) one!.inbound.dispatch(httpCall(), new RecordingReceiver())
    for (let i = 0; i < 24; i++) other!.inbound.dispatch(httpCall(), new RecordingReceiver())
    for (const { inbound } of [one!, other!]) {
      const { fault } = await exchange(inbound.dispatch, httpCall())
      expect(fault).toMatchObject({ code: "overflow", sent: false })
      expect(fault?.message).toContain("has 1024 requests in work, which is the limit")
    }
    expect([one!.inbound.inFlight, other!.inbound.inFlight]).toEqual([1_000, 24])
    answer(one!.callee)
    other!.callee.onCall = () => queueMicrotask(() => answer(other!.callee))
    expect((await exchange(other!.inbound.dispatch, httpCall())).text).toBe("ok")
  })

  it("takes one of two calls that come at once in two threads when there is room for one", async () => {
    /** As seen in one of them: the other gives its place back as soon as this one has. */
    class Meeting extends OwnPlaces {
      meets = 0
      override get taken(): number {
        return super.taken + this.meets
      }
      override give(): void {
        super.give()
        this.meets = 0
      }
    }
    const places = new Meeting(1_024)
    const { callee, inbound, serve } = setUp({
      places: () => places,
      connections: (_, most, waiting) => new OwnConnectionPlaces(most, waiting)
    })
    serve()
    for (let i = 0; i < 1_023; i++) inbound.dispatch(httpCall(), new RecordingReceiver())
    callee.onCall = () => queueMicrotask(() => answer(callee))
    places.meets = 1
    expect((await exchange(inbound.dispatch, httpCall())).text).toBe("ok")
    expect(places.taken).toBe(1_023)
    places.takeAnyway()
    const { fault } = await exchange(inbound.dispatch, httpCall())
    expect([fault?.code, places.taken]).toEqual(["overflow", 1_024])
  })

  it("is as well as it says, and keeps what runs when it says something else", async () => {
    const { callee, inbound, serve } = setUp()
    serve()
    const receiver = new RecordingReceiver()
    inbound.dispatch(httpCall(), receiver)
    inbound.setServices([service({ healthy: false, reason: "it is not ready" })])
    expect(inbound.endpoints()).toMatchObject([
      { id: "program", healthy: false, reason: "it is not ready", inFlight: 1 }
    ])
    const { fault } = await exchange(inbound.dispatch, httpCall())
    expect(fault?.message).toContain("it is not ready")
    answer(callee)
    expect(receiver.text).toBe("ok")
  })
})

describe("a program that is attached, but has no link to this thread yet", () => {
  const attached = { id: "p1", pass: "pass", identity: hostCaller(self.node) }
  const setUpAttached = () => {
    const programs = new Programs()
    const ticker = new HandTicker()
    const inbound = new Inbound({
      ...{ self, programs, ticker },
      observer: new RecordingObserver(),
      metrics: new MetricRegistry(),
      callerName: (peer: PeerKey) => peer
    })
    cleanups.push(() => inbound.close())
    programs.setAttached([attached])
    const at = { program: attached.id, endpoint: "program" }
    inbound.setServices([service({ ...well, at })])
    const callee = new ScriptedCallee()
    const link = () =>
      programs.link(attached.id, {
        open: callee.dispatch,
        ...{ available: () => true, drain: () => undefined, abort: () => undefined }
      })
    return { callee, inbound, link, programs, ticker }
  }

  it("is waited for, and gets what came meanwhile", async () => {
    const { callee, inbound, link } = setUpAttached()
    callee.onCall = () => queueMicrotask(() => answer(callee))
    const answered = exchange(inbound.dispatch, httpCall())
    expect(callee.call).toBeUndefined()
    link()
    expect((await answered).text).toBe("ok")
    expect(callee.call?.endpoint).toBe("program")
    expect(inbound.inFlight).toBe(0)
  })

  it("is not waited for longer than for a connection", async () => {
    const { inbound, link, ticker, callee } = setUpAttached()
    const answered = exchange(inbound.dispatch, { ...httpCall(), connectTimeout: 40 })
    ticker.advance(40)
    expect((await answered).fault).toMatchObject({
      ...{ code: "upstream_connect", sent: false },
      message: expect.stringContaining("made none within 40 ms")
    })
    link()
    expect(callee.call).toBeUndefined()
  })

  it("is given up at once when it has gone, or serves this no more", async () => {
    for (const end of ["gone", "withdrawn"] as const) {
      const { inbound, programs } = setUpAttached()
      const answered = exchange(inbound.dispatch, httpCall())
      if (end === "gone") programs.setAttached([])
      else inbound.setServices([])
      expect((await answered).fault).toMatchObject({ code: "upstream_connect", sent: false })
      expect(inbound.inFlight).toBe(0)
    }
  })

  it("is not called for a caller that has given up", () => {
    const { callee, inbound, link } = setUpAttached()
    const stream = inbound.dispatch(httpCall(), new RecordingReceiver())
    const { service } = httpCall()
    stream.cancel({ code: "client_gone", message: "", node: "", service, sent: false })
    link()
    expect(callee.call).toBeUndefined()
    expect(inbound.inFlight).toBe(0)
  })
})
