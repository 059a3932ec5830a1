/** One program, and endpoints for it in several request threads, which share its connections. */
import http from "node:http"
import http2 from "node:http2"
import { afterEach, describe, expect, it, vi } from "vitest"
import { uncontained } from "../../model/Defect.ts"
import { noFields } from "../../model/Exchange.ts"
import {
  HandTicker,
  httpCall,
  payments,
  RecordingReceiver,
  startProgram
} from "../../testing/InboundFixture.ts"
import { forgetThread, makeHostMemory } from "../HostMemory.ts"
import { SocketBudget } from "../socket/SocketBudget.ts"
import { HostConnectionPlaces } from "./HostConnectionPlaces.ts"
import { HostLimits } from "./HostLimits.ts"
import { Http2Endpoint } from "./Http2Endpoint.ts"
import { HttpEndpoint } from "./HttpEndpoint.ts"

const cleanups: Array<() => Promise<void> | void> = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup()
})

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
const turns = async (count: number): Promise<void> => {
  for (let i = 0; i < count; i++) await turn()
}
const until = async (condition: () => boolean): Promise<void> => {
  while (!condition()) await turn()
}

interface Answering {
  end(text: string): unknown
  /** Of HTTP/2. */
  readonly stream?: { readonly session?: unknown }
}

/**
 * So many threads of one node, with an endpoint each for one program, which answers when told. `sockets`: how many
 * a thread may have, one of which is kept for clients. Default: any number.
 */
const sharing = async (
  kind: "http" | "http2",
  {
    threads = 2,
    connections = 4,
    waiting = 100,
    streams = 1,
    sockets = (_thread: number): number | undefined => undefined
  } = {}
) => {
  const held: Array<Answering> = []
  /** Of HTTP/2, in the order in which their first requests came. */
  const sessions: Array<unknown> = []
  const hold = (_: unknown, response: Answering) => {
    held.push(response)
    const session = response.stream?.session
    if (session !== undefined && !sessions.includes(session)) sessions.push(session)
  }
  const app = await startProgram(
    kind === "http"
      ? http.createServer({ keepAliveTimeout: 0 }, hold)
      : http2.createServer({ settings: { maxConcurrentStreams: streams } }, hold)
  )
  const memory = makeHostMemory()
  const ticker = new HandTicker()
  const common = {
    ...{ service: payments, host: "127.0.0.1", port: app.port, node: "host-a", ticker },
    ...{ connectTimeout: 300, idleTimeout: 30_000 }
  }
  const endpoints = Array.from({ length: threads }, (_, thread) => {
    const limits = new HostLimits({ ...memory, thread, threads, ticker, onDefect: uncontained })
    const places = limits.connections("payments", connections, waiting)
    const pool = { ...common, places, sockets: new SocketBudget(sockets(thread)).programs }
    const endpoint =
      kind === "http" ? new HttpEndpoint(pool) : new Http2Endpoint({ ...pool, grpc: false })
    cleanups.push(
      () => endpoint.retire(),
      () => limits.stop()
    )
    return endpoint
  })
  cleanups.push(app.close)
  const call = (thread: number) => {
    const receiver = new RecordingReceiver()
    endpoints[thread]!.open(httpCall(), noFields, receiver).end(noFields)
    return receiver
  }
  const calls = (thread: number, count: number) => Array.from({ length: count }, () => call(thread))
  /** That which came first, when it has come. */
  const answer = async () => {
    await until(() => held.length > 0)
    held.shift()!.end("ok")
  }
  /** One of the n-th connection, of those whose requests are held. */
  const answerOn = async (connection: number) => {
    const at = held.findIndex(({ stream }) => stream?.session === sessions[connection])
    held.splice(at, 1)[0]!.end("ok")
    await turns(20)
  }
  const numbers = () => endpoints.map(({ connections }) => connections)
  return { app, memory, ticker, endpoints, held, call, calls, answer, answerOn, numbers }
}

describe("connections to an HTTP program that threads share", () => {
  it("are all one thread's where no other wants any; the others' requests wait for one, and get it", async () => {
    const { answer, call, calls, endpoints, held, numbers } = await sharing("http")
    const first = calls(0, 4)
    await until(() => held.length === 4)
    const other = call(1)
    expect([numbers(), endpoints[1]!.waiting]).toEqual([[4, 0], 1])
    await answer()
    await first[0]!.done
    await until(() => held.length === 4)
    expect([numbers(), endpoints[1]!.waiting]).toEqual([[3, 1], 0])
    for (let i = 0; i < 4; i++) await answer()
    await Promise.all([other, ...first].map(({ done }) => done))
    expect([other, ...first].map(({ text }) => text)).toEqual(Array(5).fill("ok"))
  })

  it("are given back by who keeps them idle, as many as others wait for", async () => {
    const { answer, calls, endpoints, held, numbers } = await sharing("http")
    const first = calls(0, 4)
    for (let i = 0; i < 4; i++) await answer()
    await Promise.all(first.map(({ done }) => done))
    const others = calls(1, 2)
    expect(endpoints[1]!.waiting).toBe(2)
    await until(() => held.length === 2)
    expect(numbers()).toEqual([2, 2])
    for (let i = 0; i < 2; i++) await answer()
    await Promise.all(others.map(({ done }) => done))
  })

  it("are given back also out of an even share, by who has not used them for a moment", async () => {
    const { answer, calls, held, numbers, ticker } = await sharing("http")
    const first = calls(0, 2)
    for (let i = 0; i < 2; i++) await answer()
    await Promise.all(first.map(({ done }) => done))
    calls(1, 3)
    await until(() => held.length === 2)
    for (let i = 0; i < 20; i++) await turn()
    expect(numbers()).toEqual([2, 2])
    for (let i = 0; i < 2; i++) {
      ticker.advance(60)
      for (let turns = 0; turns < 20; turns++) await turn()
    }
    await until(() => held.length === 3)
    expect(numbers()).toEqual([1, 3])
  })

  it("are not taken from who uses them again and again, though nothing waits there at the moment", async () => {
    const { answer, app, calls, call, held, numbers } = await sharing("http")
    const busy = calls(0, 4)
    await until(() => held.length === 4)
    calls(1, 10)
    for (let i = 0; i < 4; i++) await answer()
    await Promise.all(busy.map(({ done }) => done))
    await until(() => held.length === 2)
    expect(numbers()).toEqual([2, 2])
    const accepted = app.accepted()
    const again = calls(0, 2)
    await until(() => held.length === 4)
    held.splice(2).forEach((response) => void response.end("ok"))
    await Promise.all(again.map(({ done }) => done))
    call(0)
    await until(() => held.length === 3)
    expect([numbers(), app.accepted()]).toEqual([[2, 2], accepted])
  })

  it("come to even shares where requests wait in all of them, and stay there", async () => {
    const { answer, app, calls, held, numbers } = await sharing("http")
    const busy = calls(0, 24)
    await until(() => held.length === 4)
    const others = calls(1, 12)
    for (let i = 0; i < 8; i++) await answer()
    await until(() => held.length === 4)
    expect(numbers()).toEqual([2, 2])
    const accepted = app.accepted()
    for (let i = 0; i < 8; i++) await answer()
    await until(() => held.length === 4)
    expect(numbers()).toEqual([2, 2])
    // From there on each thread goes on with what it has.
    expect(app.accepted()).toBe(accepted)
    for (let i = 0; i < 20; i++) await answer()
    await Promise.all([...busy, ...others].map(({ done }) => done))
    expect([...busy, ...others].every(({ text }) => text === "ok")).toBe(true)
  })

  it("that a thread had which has crashed are the others'", async () => {
    const { call, calls, endpoints, held, memory, numbers } = await sharing("http")
    calls(0, 4)
    await until(() => held.length === 4)
    call(1)
    expect(endpoints[1]!.waiting).toBe(1)
    forgetThread(memory, 0)
    await until(() => held.length === 5)
    expect(numbers()[1]).toBe(1)
  })

  it("are waited for in time, by no more of the host than may, and what is said names the host's numbers", async () => {
    const { call, calls, ticker, held, numbers } = await sharing("http", { waiting: 2 })
    calls(0, 4)
    await until(() => held.length === 4)
    const [own, other] = [call(0), call(1)]
    const late = call(1)
    await late.done
    expect(late.fault).toMatchObject({ code: "overflow", sent: false })
    expect(late.fault?.message).toContain(
      "has 4 connections in use and 2 requests waiting for one, which is the limit"
    )
    ticker.advance(310)
    for (const { fault } of [own, other]) {
      expect(fault).toMatchObject({ code: "overflow", sent: false })
      expect(fault?.message).toContain("has 4 connections in use and none came free within 300 ms")
    }
    expect(numbers()).toEqual([4, 0])
  })

  it("are looked for once, and then left alone, by threads that have places and no descriptors", async () => {
    const look = vi.spyOn(HostConnectionPlaces.prototype, "look")
    cleanups.push(() => look.mockRestore())
    const { answer, call, endpoints, held, ticker } = await sharing("http", { sockets: () => 2 })
    const all = [call(0), call(1)]
    await until(() => held.length === 2)
    all.push(call(0), call(1))
    await turns(20)
    look.mockClear()
    await turns(200)
    expect(look).not.toHaveBeenCalled()
    ticker.advance(100)
    await turns(200)
    expect(look.mock.calls.length).toBeLessThanOrEqual(4)
    expect(endpoints.map(({ waiting }) => waiting)).toEqual([1, 1])
    for (let i = 0; i < 4; i++) await answer()
    await Promise.all(all.map(({ done }) => done))
    expect(all.map(({ text }) => text)).toEqual(Array(4).fill("ok"))
  })

  it("are no thread's that could not use them: what waits there for descriptors costs the others none", async () => {
    const { answer, call, calls, endpoints, held, numbers } = await sharing("http", {
      ...{ connections: 8, waiting: 20 },
      sockets: (thread) => (thread === 1 ? 2 : undefined)
    })
    call(1)
    const first = calls(0, 8)
    await until(() => held.length === 8)
    expect([numbers(), endpoints[0]!.waiting]).toEqual([[7, 1], 1])
    calls(1, 15)
    await turns(20)
    const slow = held.shift()
    for (let i = 0; i < 8; i++) await answer()
    await Promise.all(first.map(({ done }) => done))
    await turns(20)
    const others = calls(0, 7)
    await until(() => held.length === 7)
    expect([numbers(), endpoints[0]!.waiting, endpoints[1]!.waiting]).toEqual([[7, 1], 0, 15])
    expect(others.every(({ fault }) => fault === undefined)).toBe(true)
    slow?.end("ok")
  })

  it("are given back by a third thread that took one before who waited for it, and never was rung", async () => {
    const { answer, call, endpoints, held, numbers, ticker } = await sharing("http", {
      ...{ threads: 3, connections: 2 }
    })
    const first = call(0)
    await until(() => held.length === 1)
    call(0)
    await until(() => held.length === 2)
    const waits = call(1)
    await turns(20)
    let third: RecordingReceiver | undefined
    const { onEnd } = first
    first.onEnd = (trailers) => {
      onEnd.call(first, trailers)
      third = call(2)
    }
    await answer()
    await until(() => held.length === 2)
    expect([numbers(), endpoints[1]!.waiting]).toEqual([[1, 0, 1], 1])
    held.splice(1)[0]!.end("ok")
    await third?.done
    for (let i = 0; i < 4; i++) {
      await turns(20)
      ticker.advance(50)
    }
    await until(() => held.length === 2)
    expect([numbers(), endpoints[1]!.waiting]).toEqual([[1, 1, 0], 0])
    for (let i = 0; i < 2; i++) await answer()
    await waits.done
    expect([waits.text, third?.text]).toEqual(["ok", "ok"])
  })

  it("leave no timer behind", async () => {
    const { answer, calls, endpoints, held, ticker } = await sharing("http")
    const all = [...calls(0, 6), ...calls(1, 3)]
    for (let i = 0; i < 9; i++) await answer()
    await Promise.all(all.map(({ done }) => done))
    expect([held.length, endpoints.map(({ waiting }) => waiting)]).toEqual([0, [0, 0]])
    for (const endpoint of endpoints) endpoint.retire()
    await until(() => endpoints.every(({ connections }) => connections === 0))
    expect(ticker.timers).toBe(0)
  })
})

describe("connections to an HTTP/2 program that threads share", () => {
  it("are given back by who keeps them idle", async () => {
    const { answer, calls, held, numbers } = await sharing("http2")
    const first = calls(0, 4)
    for (let i = 0; i < 4; i++) await answer()
    await Promise.all(first.map(({ done }) => done))
    const before = numbers()[0]!
    calls(1, 5 - before)
    await until(() => held.length === 5 - before)
    expect(numbers()[0]! + numbers()[1]!).toBeLessThanOrEqual(4)
  })

  it("are given back by who has more than an even share, as their streams end", async () => {
    const { answer, calls, endpoints, held, numbers } = await sharing("http2")
    const busy = calls(0, 24)
    await until(() => held.length === 4)
    const others = calls(1, 12)
    expect(endpoints[1]!.waiting).toBe(12)
    for (let i = 0; i < 8; i++) await answer()
    await until(() => numbers()[1] === 2 && held.length === 4)
    expect(numbers()).toEqual([2, 2])
    for (let i = 0; i < 28; i++) await answer()
    await Promise.all([...busy, ...others].map(({ done }) => done))
    expect([...busy, ...others].every(({ text }) => text === "ok")).toBe(true)
  })

  it("are retired one at a time, and none of an even share, where few may be enough for many requests", async () => {
    const { answer, answerOn, calls, call, endpoints, held, numbers } = await sharing("http2", {
      ...{ connections: 8, streams: 10 }
    })
    const busy = calls(0, 80)
    await until(() => held.length === 80)
    expect(numbers()).toEqual([8, 0])
    const others = calls(1, 10)
    await turns(20)
    // All but the last are in use as before.
    for (let connection = 0; connection < 7; connection++) {
      await answerOn(connection)
      busy.push(call(0))
      expect(endpoints[0]!.waiting).toBe(0)
      await until(() => held.length === 80)
    }
    for (let i = 0; i < 90; i++) await answer()
    await Promise.all([...busy, ...others].map(({ done }) => done))
    expect([...busy, ...others].every(({ text }) => text === "ok")).toBe(true)
  })

  it("are not waited for as long as the streams of one that is retired last", async () => {
    const { answerOn, calls, call, endpoints, held, numbers, ticker } = await sharing("http2", {
      streams: 2
    })
    calls(0, 8)
    await until(() => held.length === 8)
    expect(numbers()).toEqual([4, 0])
    calls(1, 2)
    await turns(20)
    // From now on the fourth takes nothing more, and what it has does not end.
    await answerOn(0)
    call(0)
    await until(() => held.length === 8)
    ticker.advance(60)
    // So the third does not either.
    await answerOn(0)
    call(0)
    await until(() => held.length === 8)
    await answerOn(2)
    call(0)
    await turns(20)
    expect([held.length, endpoints[0]!.waiting]).toEqual([7, 1])
    await answerOn(2)
    await until(() => held.length === 8)
    expect(numbers()).toEqual([3, 1])
  })
})
