import { once } from "node:events"
import net from "node:net"
import { describe, expect, it } from "vitest"
import type { RelayPipe } from "../mesh/host/RelayListener.ts"
import { ServiceName } from "../model/Names.ts"
import type { RelayUp } from "../model/Relay.ts"
import { makeHostMemory } from "../request/HostMemory.ts"
import type { ListenError } from "../request/listener/ListenError.ts"
import type { FromPlane, ListenSpec, PlaneSetup, ToPlane } from "../request/PlaneMessages.ts"
import { HostCounts } from "../request/policy/HostCounts.ts"
import { defaultPolicy } from "../schema/PolicySchema.ts"
import { self } from "../testing/InboundFixture.ts"
import { alice, bob, ManualTicker } from "../testing/LinkTestPair.ts"
import { turn } from "../testing/ListenerFixture.ts"
import type { PlaneThread, PlaneThreadEvents, SpawnPlane } from "./PlaneThread.ts"
import { RequestThreads, type RequestThreadsOptions, type ThreadMessage } from "./RequestThreads.ts"

const web = ServiceName.make("web")
const proxy: ListenSpec = { kind: "proxy", host: "127.0.0.1", port: 0 }

/** A thread by hand: keeps what it is told and says what the test has it say. */
class FakeThread implements PlaneThread {
  readonly plane = undefined
  readonly setup: PlaneSetup
  readonly told: Array<ToPlane> = []
  terminated = false
  readonly #events: PlaneThreadEvents

  constructor(setup: PlaneSetup, events: PlaneThreadEvents) {
    this.setup = setup
    this.#events = events
  }

  readonly post = (message: ToPlane): void => {
    this.told.push(message)
  }

  readonly terminate = async (): Promise<void> => {
    this.terminated = true
    this.#events.onGone(undefined)
  }

  says(message: FromPlane): void {
    this.#events.onMessage(message)
  }

  crashes(error = new Error("a bug")): void {
    this.#events.onGone(error)
  }

  ends(): void {
    this.#events.onGone(undefined)
  }

  of<Type extends ToPlane["type"]>(type: Type): Array<Extract<ToPlane, { readonly type: Type }>> {
    return this.told.filter(
      (it): it is Extract<ToPlane, { readonly type: Type }> => it.type === type
    )
  }

  /** But for what is asked of its counters. */
  get types(): ReadonlyArray<string> {
    return this.told.flatMap(({ type }) => (type === "telemetry" ? [] : [type]))
  }
}

const make = (count: number, options: Partial<RequestThreadsOptions> = {}) => {
  const ticker = new ManualTicker()
  const spawned: Array<FakeThread> = []
  const messages: Array<readonly [ThreadMessage, number]> = []
  const crashes: Array<readonly [number, string, number]> = []
  const defects: Array<readonly [string, unknown]> = []
  /** What was counted, by the lives of threads. */
  const reports: Array<Array<string>> = []
  const spawn: SpawnPlane = (setup, events) => {
    const thread = new FakeThread(setup, events)
    spawned.push(thread)
    return thread
  }
  const threads = new RequestThreads({
    spawns: Array.from({ length: count }, () => spawn),
    setup: { self, defaultPolicy, accessLog: false, traces: false },
    holds: () => false,
    sharePorts: false,
    ticker,
    reports: {
      begin: (to) => {
        const life = reports.length + 1
        const report: Array<string> = []
        reports.push(report)
        to({ kind: "collect" })
        return {
          receive: ({ serial }) => report.push(`${life}: ${serial}`),
          end: () => report.push(`${life}: end`)
        }
      }
    },
    onDefect: (error, where) => defects.push([where, error]),
    onMessage: (message, index) => messages.push([message, index]),
    onCrash: (index, error, pause) => crashes.push([index, error.message, pause]),
    ...options
  })
  /** The latest that was started of that index. */
  const thread = (index: number): FakeThread => {
    const found = spawned.findLast(({ setup }) => setup.index === index)
    if (found === undefined) throw new Error(`no thread ${index}`)
    return found
  }
  return { threads, ticker, spawned, messages, crashes, defects, reports, thread }
}

/** What has become of a promise by now. */
const watch = <A>(promise: Promise<A>) => {
  const seen: { value: A | undefined; error: ListenError | undefined; done: boolean } = {
    value: undefined,
    error: undefined,
    done: false
  }
  promise.then(
    (value) => Object.assign(seen, { value, done: true }),
    (error) => Object.assign(seen, { error, done: true })
  )
  return seen
}

const listening = (thread: FakeThread, port = 4_140): void => {
  const { id, spec } = thread.of("listen").at(-1)!
  thread.says({
    type: "listening",
    id,
    address: { host: spec.host, port: spec.port === 0 ? port : spec.port }
  })
}

/** Opens a port, which each thread grants. */
const opened = async ({ threads, thread }: ReturnType<typeof make>, spec = proxy) => {
  const opening = threads.open(spec)
  await turn()
  for (let index = 0; index < threads.count; index++) {
    listening(thread(index))
    await turn()
  }
  return opening
}

describe("request threads", () => {
  it("are told which they are, and how many", () => {
    const { spawned, threads } = make(3, { sharePorts: true })
    expect(spawned.map(({ setup }) => [setup.index, setup.threads, setup.sharePorts])).toEqual([
      [0, 3, true],
      [1, 3, true],
      [2, 3, true]
    ])
    expect(threads.count).toBe(3)
    expect(threads.here).toBeUndefined()
  })

  it("are told the same, or all but the one that has found it out", () => {
    const { threads, thread } = make(3)
    threads.post({ type: "sample", share: 1 })
    threads.postOthers({ type: "fact", fact: { kind: "silent", peer: bob } }, 1)
    expect([0, 1, 2].map((index) => thread(index).types)).toEqual([
      ["sample", "fact"],
      ["sample"],
      ["sample", "fact"]
    ])
  })

  it("say what others hear, with who says it", () => {
    const { messages, thread } = make(2)
    thread(1).says({ type: "session.need", peer: bob })
    thread(0).says({ type: "session.need", peer: alice })
    expect(messages).toEqual([
      [{ type: "session.need", peer: bob }, 1],
      [{ type: "session.need", peer: alice }, 0]
    ])
  })
})

describe("a thread that crashes", () => {
  it("is started again and told all that holds; the others notice nothing", () => {
    const { crashes, spawned, thread, threads, ticker } = make(2)
    threads.followView(() => ({ version: 7, since: undefined, services: [], gone: [] }))
    threads.post({ type: "sample", share: 0.5 })
    threads.post({ type: "peer", facts: { peer: bob, name: "host-b", addresses: [] } })
    threads.post({ type: "missing", service: web, reason: "not granted" })
    threads.post({ type: "missing", service: web, reason: undefined })
    const other = thread(1).told.length
    thread(0).crashes(new Error("out of memory"))
    expect(crashes).toEqual([[0, "out of memory", 50]])
    expect(threads.status()).toMatchObject([
      { index: 0, state: "restarting", restarts: 1, lastError: "out of memory" },
      { index: 1, state: "starting", restarts: 0, lastError: undefined }
    ])
    threads.post({ type: "sample", share: 1 })
    ticker.advance(100)
    expect(spawned).toHaveLength(3)
    expect(thread(0).types).toEqual(["view", "sample", "peer"])
    expect(thread(0).of("sample")).toEqual([{ type: "sample", share: 1 }])
    expect(thread(1).told).toHaveLength(other + 1)
    thread(0).says({ type: "ready" })
    expect(threads.status()[0]).toMatchObject({ state: "running", restarts: 1 })
  })

  it("leaves the others what it had of that of which the host may have so many", () => {
    const memory = makeHostMemory()
    const { thread } = make(2, {
      setup: { self, defaultPolicy, accessLog: false, traces: false, memory }
    })
    const [first, second] = [0, 1].map((index) =>
      new HostCounts(thread(index).setup.memory!.counts, index, 2).count("connections")
    )
    for (const count of [first, first, second]) count!.add()
    thread(0).crashes()
    expect(second!.total).toBe(1)
  })

  it("is started after pauses that grow while it crashes soon, and begin anew once it was well", () => {
    const { crashes, thread, ticker } = make(1)
    const crash = () => {
      thread(0).crashes()
      const pause = crashes.at(-1)![2]
      ticker.advance(pause + 20)
      return pause
    }
    expect(Array.from({ length: 9 }, crash)).toEqual([
      50, 100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000
    ])
    ticker.advance(60_000)
    expect([crash(), crash()]).toEqual([50, 100])
  })

  it("may have ended by itself, which is told as well", () => {
    const { crashes, thread, threads } = make(1)
    thread(0).ends()
    expect(crashes).toEqual([[0, "it ended by itself", 50]])
    expect(threads.status()[0]?.lastError).toBe("it ended by itself")
  })
})

describe("what a thread counts", () => {
  it("is its own as long as it lives", () => {
    const { reports, thread, ticker } = make(2)
    expect(thread(1).of("telemetry")).toEqual([{ type: "telemetry", order: { kind: "collect" } }])
    const report = { cells: undefined, spans: undefined, lines: undefined, collected: false }
    thread(1).says({ type: "telemetry", report: { ...report, serial: 7 } })
    thread(1).crashes()
    ticker.advance(100)
    thread(1).says({ type: "telemetry", report: { ...report, serial: 1 } })
    expect(reports).toEqual([[], ["2: 7", "2: end"], ["3: 1"]])
  })
})

describe("a question", () => {
  const rows = (sockets: number) =>
    ({
      kind: "load",
      load: { index: 0, loopDelay: 0, inbound: 0, outbound: 0, serving: 0, sockets }
    }) as const

  it("is answered by all that answer in time", async () => {
    const { thread, threads, ticker } = make(3)
    const asked = watch(threads.ask({ kind: "load" }, 250))
    const [{ id } = { id: 0 }] = thread(0).of("ask")
    thread(2).says({ type: "answer", id, rows: rows(2) })
    thread(0).says({ type: "answer", id, rows: rows(0) })
    ticker.advance(200)
    await turn()
    expect(asked.done).toBe(false)
    ticker.advance(100)
    await turn()
    expect(asked.value).toEqual([rows(0), rows(2)])
    // Late: nobody waits any more, and it is no answer to the next question.
    const next = watch(threads.ask({ kind: "load" }, 250))
    thread(1).says({ type: "answer", id, rows: rows(1) })
    ticker.advance(300)
    await turn()
    expect(next.value).toEqual([])
  })

  it("does not wait for a thread that is not there, or crashes meanwhile", async () => {
    const { thread, threads } = make(3)
    thread(0).crashes()
    const asked = watch(threads.ask({ kind: "load" }, 250))
    const [{ id } = { id: 0 }] = thread(1).of("ask")
    thread(1).says({ type: "answer", id, rows: rows(1) })
    thread(2).crashes()
    await turn()
    expect(asked.value).toEqual([rows(1)])
  })
})

describe("a port", () => {
  it("is opened by the first thread, and then at the same number by the others", async () => {
    const { thread, threads } = make(3)
    const opening = watch(threads.open(proxy))
    expect([0, 1, 2].map((index) => thread(index).of("listen").length)).toEqual([1, 0, 0])
    listening(thread(0), 5_000)
    await turn()
    expect([1, 2].map((index) => thread(index).of("listen")[0]?.spec.port)).toEqual([5_000, 5_000])
    listening(thread(1))
    await turn()
    expect(opening.done).toBe(false)
    listening(thread(2))
    await turn()
    expect(opening.value?.address).toEqual({ host: "127.0.0.1", port: 5_000 })
  })

  it("is open in all or in none: those that have it close it", async () => {
    const mesh = make(3)
    const { thread, threads, ticker } = mesh
    const opening = watch(threads.open(proxy))
    listening(thread(0), 5_000)
    await turn()
    const { id } = thread(1).of("listen")[0]!
    const message = "cannot listen on 127.0.0.1:5000 (EADDRINUSE): the port is in use"
    thread(1).says({ type: "listen.failed", id, code: "address_in_use", message })
    await turn()
    expect(opening.error).toMatchObject({
      _tag: "ListenError",
      code: "address_in_use",
      address: "127.0.0.1:5000",
      message
    })
    expect([0, 1, 2].map((index) => thread(index).of("listen.close"))).toEqual(
      Array.from({ length: 3 }, () => [{ type: "listen.close", id }])
    )
    thread(0).crashes()
    ticker.advance(100)
    expect(thread(0).of("listen")).toEqual([])
  })

  it("is not open where a thread does not answer, and that is told", async () => {
    const { thread, threads, ticker } = make(2)
    thread(1).says({ type: "ready" })
    const opening = watch(threads.open({ ...proxy, port: 5_000 }))
    listening(thread(0))
    await turn()
    ticker.advance(10_000)
    await turn()
    expect(opening.error?.message).toBe(
      "cannot listen on 127.0.0.1:5000: request thread 1 does not answer"
    )
  })

  it("is opened again by a thread that begins anew, at the number it had", async () => {
    const mesh = make(2)
    await opened(mesh)
    mesh.thread(1).crashes()
    mesh.ticker.advance(100)
    expect(mesh.thread(1).of("listen")).toMatchObject([{ spec: { ...proxy, port: 4_140 } }])
  })

  it("is opened again also by one that crashed while others still opened it", async () => {
    const { thread, threads, ticker } = make(2)
    const opening = watch(threads.open(proxy))
    listening(thread(0))
    await turn()
    thread(0).crashes()
    ticker.advance(100)
    listening(thread(1))
    await turn()
    expect(opening.value?.address.port).toBe(4_140)
    expect(thread(0).of("listen")).toMatchObject([{ spec: { ...proxy, port: 4_140 } }])
  })

  it("that a thread cannot open again is told, for nobody waits for it", async () => {
    const mesh = make(2)
    await opened(mesh)
    mesh.thread(1).crashes()
    mesh.ticker.advance(100)
    const { id } = mesh.thread(1).of("listen")[0]!
    const message = "cannot listen on 127.0.0.1:4140 (EADDRINUSE): the port is in use"
    mesh.thread(1).says({ type: "listen.failed", id, code: "address_in_use", message })
    expect(mesh.messages).toMatchObject([[{ type: "log", level: "error" }, 1]])
    expect(mesh.messages[0]?.[0]).toMatchObject({ message: expect.stringContaining(message) })
  })

  it("is free when all have given it free, or were waited for long enough", async () => {
    const mesh = make(2)
    const { thread, ticker } = mesh
    const port = await opened(mesh)
    const { id } = thread(0).of("listen")[0]!
    const stopped = watch(port.stop())
    thread(0).says({ type: "listen.stopped", id })
    await turn()
    expect(stopped.done).toBe(false)
    thread(1).says({ type: "listen.stopped", id })
    await turn()
    expect(stopped.done).toBe(true)
    const again = watch(port.stop())
    ticker.advance(2_000)
    await turn()
    expect(again.done).toBe(true)
    thread(0).crashes()
    ticker.advance(100)
    expect(thread(0).of("listen")).toEqual([])
  })

  it("is drained in all, and not waited for much longer than they were told", async () => {
    const mesh = make(2)
    const { thread, ticker } = mesh
    const port = await opened(mesh)
    const { id } = thread(0).of("listen")[0]!
    const drained = watch(port.drain(5_000))
    expect(thread(1).of("listen.drain")).toEqual([{ type: "listen.drain", id, deadline: 5_000 }])
    thread(0).says({ type: "listen.drained", id })
    ticker.advance(5_000)
    await turn()
    expect(drained.done).toBe(false)
    ticker.advance(1_000)
    await turn()
    expect(drained.done).toBe(true)
    port.close()
    expect(thread(1).of("listen.close")).toEqual([{ type: "listen.close", id }])
  })

  it("that somebody has is asked of nobody, where threads would share it with him", async () => {
    const server = net.createServer().listen({ port: 0, host: "127.0.0.1", reusePort: true })
    await once(server, "listening")
    const { port } = server.address() as net.AddressInfo // a TCP server has one
    const { thread, threads } = make(2, { sharePorts: true })
    await expect(threads.open({ ...proxy, port })).rejects.toMatchObject({ code: "address_in_use" })
    expect(thread(0).types).toEqual([])
    await new Promise((resolve) => server.close(resolve))
  })
})

describe("the node's port, for libp2p", () => {
  const open = async (count = 2) => {
    const mesh = make(count)
    const pipes: Array<RelayPipe> = []
    const heard: Array<RelayUp | string> = []
    const opening = mesh.threads.gate.open(
      { host: "127.0.0.1", port: 0, ipv6Only: false },
      (pipe) => {
        pipe.onMessage = (message) => heard.push(message)
        pipe.onLost = (reason) => heard.push(reason)
        pipes.push(pipe)
      }
    )
    for (let index = 0; index < count; index++) {
      listening(mesh.thread(index))
      await turn()
    }
    const port = await opening
    const listener = mesh.thread(0).of("listen")[0]!.id
    const remote = { host: "10.0.0.9", port: 9 }
    const connects = (index: number, id: number) =>
      mesh.thread(index).says({ type: "relay.open", id, listener, remote })
    return { ...mesh, port, pipes, heard, connects, remote }
  }

  it("hands connections over, and what is said goes to the thread that has the socket", async () => {
    const { connects, heard, pipes, port, remote, thread } = await open()
    expect(port.address).toEqual({ host: "127.0.0.1", port: 4_140 })
    connects(0, 1)
    connects(1, 1) // each thread numbers its own
    expect(pipes.map((it) => [it.id, it.remote])).toEqual([
      [1, remote],
      [1, remote]
    ])
    const bytes = Buffer.from("hello")
    thread(1).says({ type: "relay.data", id: 1, bytes })
    expect(heard).toEqual([{ type: "relay.data", id: 1, bytes }])
    pipes[1]?.post({ type: "relay.taken", id: 1, bytes: 5 })
    expect(thread(1).of("relay.taken")).toEqual([{ type: "relay.taken", id: 1, bytes: 5 }])
    expect(thread(0).of("relay.taken")).toEqual([])
    thread(1).says({ type: "relay.closed", id: 1, reason: undefined })
    thread(1).says({ type: "relay.data", id: 1, bytes })
    expect(heard.slice(1)).toEqual([{ type: "relay.closed", id: 1, reason: undefined }])
  })

  it("loses the connections of a thread that is gone, and no others", async () => {
    const { connects, heard, pipes, thread, ticker } = await open()
    connects(0, 1)
    connects(1, 1)
    thread(0).crashes()
    expect(heard).toEqual(["the request thread that had its socket is gone"])
    // The thread that takes its place numbers anew: it must not hear of the old ones.
    ticker.advance(100)
    pipes[0]?.post({ type: "relay.reset", id: 1 })
    expect(thread(0).of("relay.reset")).toEqual([])
    pipes[1]?.post({ type: "relay.end", id: 1 })
    expect(thread(1).of("relay.end")).toEqual([{ type: "relay.end", id: 1 }])
  })

  it("takes no more once it is closed", async () => {
    const { connects, pipes, port, thread } = await open(1)
    const closed = port.close()
    thread(0).says({ type: "listen.stopped", id: thread(0).of("listen.stop")[0]!.id })
    await closed
    connects(0, 5)
    expect(pipes).toEqual([])
    expect(thread(0).told.slice(-1)).toEqual([{ type: "relay.reset", id: 5 }])
    expect(thread(0).of("listen.close")).toHaveLength(1)
  })

  it("is nobody's when it could not be opened", async () => {
    const { thread, threads } = make(1)
    const opening = watch(
      threads.gate.open({ host: "127.0.0.1", port: 1, ipv6Only: false }, () => undefined)
    )
    const { id } = thread(0).of("listen")[0]!
    thread(0).says({ type: "listen.failed", id, code: "permission_denied", message: "no" })
    await turn()
    expect(opening.error).toMatchObject({ code: "permission_denied" })
    thread(0).says({ type: "relay.open", id: 1, listener: id, remote: { host: "::1", port: 1 } })
    expect(thread(0).told.slice(-1)).toEqual([{ type: "relay.reset", id: 1 }])
  })
})

describe("draining", () => {
  it("is done when all have served what runs, and a crash serves it too", async () => {
    const { thread, threads, ticker } = make(3)
    thread(2).crashes()
    const drained = [watch(threads.drain("it is time")), watch(threads.drain("again"))]
    thread(0).says({ type: "served" })
    ticker.advance(3_600_000)
    await turn()
    expect(drained.map(({ done }) => done)).toEqual([false, false])
    thread(1).crashes()
    await turn()
    expect(drained.map(({ done }) => done)).toEqual([true, true])
    // What begins while the node drains drains as well.
    expect(thread(2).of("drain")).toEqual([{ type: "drain", reason: "again" }])
  })
})

describe("stopping", () => {
  it("lets each end by itself for a while, and then ends it; nothing is started again", async () => {
    const { crashes, spawned, thread, threads, ticker } = make(3)
    thread(2).crashes()
    const stopped = watch(threads.stop(1_000))
    expect([0, 1].map((index) => thread(index).of("stop").length)).toEqual([1, 1])
    thread(0).says({ type: "stopped" })
    await turn()
    expect([thread(0).terminated, thread(1).terminated, stopped.done]).toEqual([true, false, false])
    ticker.advance(1_000)
    await turn()
    expect([thread(1).terminated, stopped.done]).toEqual([true, true])
    ticker.advance(60_000)
    expect(spawned).toHaveLength(3)
    expect(crashes).toHaveLength(1)
  })
})

describe("what throws", () => {
  const broken = new Error("thrown by the test")
  const breaks = (): never => {
    throw broken
  }

  it("as a message is taken in costs that message", () => {
    const heard: Array<string> = []
    const { defects, thread } = make(1, {
      onMessage: (message) => {
        if (message.type === "log") breaks()
        heard.push(message.type)
      }
    })
    thread(0).says({ type: "log", level: "info", message: "x", fields: undefined })
    thread(0).says({ type: "session.need", peer: bob })
    expect(heard).toEqual(["session.need"])
    expect(defects).toEqual([["what a request thread says (log)", broken]])
  })

  it("in who hears of a crash keeps no thread from being started again", () => {
    const { defects, spawned, thread, ticker } = make(1, { onCrash: breaks })
    thread(0).crashes()
    ticker.advance(50)
    expect(spawned).toHaveLength(2)
    expect(defects).toEqual([["who hears of crashes", broken]])
  })

  it("where a connection is handed over closes it", async () => {
    const { defects, thread, threads } = make(1)
    const opened = threads.gate.open({ host: "127.0.0.1", port: 0, ipv6Only: false }, breaks)
    const { id } = thread(0).of("listen")[0]!
    thread(0).says({ type: "listening", id, address: { host: "127.0.0.1", port: 7 } })
    await opened
    thread(0).says({
      type: "relay.open",
      id: 3,
      listener: id,
      remote: { host: "127.0.0.1", port: 9 }
    })
    expect(thread(0).of("relay.reset")).toEqual([{ type: "relay.reset", id: 3 }])
    expect(defects).toEqual([["what a request thread says (relay.open)", broken]])
  })

  it("in one connection of a thread that is gone keeps no other from hearing of it", async () => {
    const lost: Array<number> = []
    const { defects, thread, threads } = make(1)
    const opened = threads.gate.open({ host: "127.0.0.1", port: 0, ipv6Only: false }, (pipe) => {
      pipe.onLost = () => {
        lost.push(pipe.id)
        if (pipe.id === 1) breaks()
      }
    })
    const { id } = thread(0).of("listen")[0]!
    thread(0).says({ type: "listening", id, address: { host: "127.0.0.1", port: 7 } })
    await opened
    for (const pipe of [1, 2]) {
      const remote = { host: "127.0.0.1", port: 9 }
      thread(0).says({ type: "relay.open", id: pipe, listener: id, remote })
    }
    thread(0).crashes()
    expect(lost).toEqual([1, 2])
    expect(defects).toEqual([["a relayed connection that was lost", broken]])
  })
})
