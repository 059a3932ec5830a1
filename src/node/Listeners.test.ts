import { createServer, type Server, type Socket } from "node:net"
import { Effect, Exit, Scope } from "effect"
import { afterEach, describe, expect, it } from "vitest"
import { makeNodeConfig, type NodeConfig } from "../config/NodeConfig.ts"
import type { UpstreamConfig } from "../config/OutboundConfig.ts"
import { ServiceName } from "../model/Names.ts"
import { defaultPolicy } from "../schema/PolicySchema.ts"
import { freePort, HandTicker, self, startProgram, Watched } from "../testing/InboundFixture.ts"
import { RawClient, turn } from "../testing/ListenerFixture.ts"
import { endpointView } from "../testing/OutboundFixture.ts"
import { type Listeners, makeListeners } from "./Listeners.ts"
import { spawnHere } from "./PlaneHere.ts"
import { RequestThreads } from "./RequestThreads.ts"

const config = (
  upstreams: NonNullable<Parameters<typeof makeNodeConfig>[0]["upstreams"]>
): NodeConfig => makeNodeConfig({ node: { name: "host-a" }, outbound: { http: "off" }, upstreams })

const upstream = (port: number, service: string, host = "127.0.0.1"): UpstreamConfig =>
  config([{ service, listen: `${host}:${port}`, allowRemote: host !== "127.0.0.1" }]).upstreams[0]!

const closing: Array<() => Promise<unknown>> = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

/** Connected, or refused. */
const connect = async (port: number): Promise<RawClient> => {
  const client = new RawClient(port)
  closing.push(async () => client.socket.destroy())
  const connected = new Promise<void>((resolve) => client.socket.once("connect", resolve))
  await Promise.race([connected, client.closed])
  return client
}

const names = ["one", "two", "three", "four", "five"].map((name) => ServiceName.make(name))

/** A connection as the program sees that it was for. */
class Arrival extends Watched {
  readonly service: string
  text = ""
  closed = false

  constructor(service: string, socket: Socket) {
    super()
    this.service = service
    socket.on("data", (bytes) => {
      this.text += bytes.toString()
      this.happened()
    })
    socket.on("error", () => undefined)
    socket.on("close", () => {
      this.closed = true
      this.happened()
    })
  }
}

/** A request plane in this thread, and a program on this host for each service. */
const makePlane = async () => {
  const ticker = new HandTicker()
  const threads = new RequestThreads({
    spawns: [spawnHere(ticker)],
    setup: { self, defaultPolicy, accessLog: false, traces: false },
    sharePorts: false,
    holds: () => false,
    ticker,
    reports: { begin: () => ({ receive: () => undefined, end: () => undefined }) },
    onMessage: () => undefined,
    onDefect: (error) => {
      throw error
    },
    onCrash: (_, error) => {
      throw error
    }
  })
  closing.push(() => threads.stop())
  const arrived: Array<Arrival> = []
  const waiting: Array<(arrival: Arrival) => void> = []
  const programs = await Promise.all(
    names.map(async (name) => {
      const server = createServer((socket) => {
        const arrival = new Arrival(name, socket)
        const wake = waiting.shift()
        if (wake === undefined) arrived.push(arrival)
        else wake(arrival)
      })
      const program = await startProgram(server)
      closing.push(() => program.close())
      return { name, port: program.port }
    })
  )
  threads.post({
    type: "services",
    services: programs.map(({ name, port }) => ({
      ...{ name, protocol: "tcp" },
      endpoints: [{ id: "0", host: "127.0.0.1", port, weight: 100 }]
    }))
  })
  threads.followView(() => ({
    ...{ version: 1, since: undefined, gone: [] },
    services: names.map((name) => ({
      ...{ name, protocol: "tcp", removed: [] },
      set: [endpointView("a", { ...self, key: `${self.peer}/0`, local: true })]
    }))
  }))
  const next = (): Promise<Arrival> => {
    const arrival = arrived.shift()
    if (arrival !== undefined) return Promise.resolve(arrival)
    return new Promise((resolve) => waiting.push(resolve))
  }
  return { ticker, threads, next }
}

const open = async (upstreams: ReadonlyArray<UpstreamConfig>) => {
  const { next, threads, ticker } = await makePlane()
  const scope = Effect.runSync(Scope.make())
  closing.push(() => Effect.runPromise(Scope.close(scope, Exit.void)))
  const listeners: Listeners = await Effect.runPromise(
    makeListeners({ ...config([]), upstreams }, threads).pipe(Scope.extend(scope))
  )
  /** The service that a new connection to the port reaches; undefined when it is refused. */
  const reached = async (port: number): Promise<string | undefined> => {
    const client = await connect(port)
    return client.error === undefined ? (await next()).service : undefined
  }
  const follow = (wanted: ReadonlyArray<UpstreamConfig>, deadline = 5_000) =>
    Effect.runPromise(
      Effect.either(listeners.follow({ ...config([]), upstreams: wanted }, deadline))
    )
  return { next, listeners, reached, follow, ticker }
}

/** Somebody else's program on the port. */
const occupy = (port: number): Promise<Server> =>
  new Promise((resolve, reject) => {
    const server = createServer()
    server.once("error", reject)
    server.listen(port, "127.0.0.1", () => resolve(server))
    closing.push(() => new Promise((done) => server.close(done)))
  })

describe("upstreams that follow the config", () => {
  it("are opened and closed", async () => {
    const [a, b] = [await freePort(), await freePort()]
    const { reached, follow } = await open([upstream(a, "one")])
    expect(await reached(a)).toBe("one")
    expect(await follow([upstream(b, "two")])).toMatchObject({ _tag: "Right" })
    expect(await reached(b)).toBe("two")
    expect(await reached(a)).toBeUndefined()
  })

  it("keep a port that did not change", async () => {
    const port = await freePort()
    const { next, follow } = await open([upstream(port, "one")])
    const client = await connect(port)
    const held = await next()
    await follow([upstream(port, "one")])
    client.socket.write("x")
    await held.until(() => held.text === "x")
  })

  it("change service on the same port, and what is open goes on", async () => {
    const port = await freePort()
    const { next, reached, follow } = await open([upstream(port, "one")])
    const client = await connect(port)
    const held = await next()
    expect(await follow([upstream(port, "two")])).toMatchObject({ _tag: "Right" })
    expect(await reached(port)).toBe("two")
    client.socket.write("still here")
    await held.until(() => held.text === "still here")
    expect(held.closed).toBe(false)
  })

  it("change hands also when the new address takes the port on all interfaces", async () => {
    const port = await freePort()
    const { reached, follow } = await open([upstream(port, "one")])
    expect(await follow([upstream(port, "two", "0.0.0.0")])).toMatchObject({ _tag: "Right" })
    expect(await reached(port)).toBe("two")
  })

  it("swap their ports", async () => {
    const [a, b] = [await freePort(), await freePort()]
    const { reached, follow } = await open([upstream(a, "one"), upstream(b, "two")])
    expect(await follow([upstream(a, "two"), upstream(b, "one")])).toMatchObject({ _tag: "Right" })
    expect([await reached(a), await reached(b)]).toEqual(["two", "one"])
  })

  it("stay as they were when a port cannot be had", async () => {
    const [a, b, fresh, taken] = [
      await freePort(),
      await freePort(),
      await freePort(),
      await freePort()
    ]
    const { reached, follow } = await open([upstream(a, "one"), upstream(b, "two")])
    await occupy(taken)
    const next = [upstream(a, "three"), upstream(fresh, "four"), upstream(taken, "five")]
    expect(await follow(next)).toMatchObject({ left: { code: "address_in_use" } })
    expect([await reached(a), await reached(b)]).toEqual(["one", "two"])
    expect(await reached(fresh)).toBeUndefined()
  })

  it("are opened again when the port cannot change hands", async () => {
    const port = await freePort()
    const { reached, follow } = await open([upstream(port, "one")])
    // 127.0.0.2 on the same port is somebody else's, so the port cannot be had on all interfaces.
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(port, "127.0.0.2", resolve))
    closing.push(() => new Promise((done) => server.close(done)))
    const result = await follow([upstream(port, "two", "0.0.0.0")])
    expect(result).toMatchObject({ left: { code: "address_in_use" } })
    expect(await reached(port)).toBe("one")
    expect(await follow([upstream(port, "two")])).toMatchObject({ _tag: "Right" })
    expect(await reached(port)).toBe("two")
  })

  it("are changed by one at a time", async () => {
    const port = await freePort()
    const { reached, follow } = await open([])
    const names = ["one", "two", "three"]
    const results = await Promise.all(names.map((name) => follow([upstream(port, name)])))
    expect(results.map(({ _tag }) => _tag)).toEqual(["Right", "Right", "Right"])
    expect(await reached(port)).toBe("three")
  })

  it("that are gone are cut off at the deadline, and so is a drain in a finalizer", async () => {
    const port = await freePort()
    const { next, follow, listeners, ticker } = await open([upstream(port, "one")])
    const dial = async () => {
      await connect(port)
      return next()
    }
    const first = await dial()
    const cutOff = async (held: typeof first) => {
      while (!held.closed) {
        await turn()
        ticker.advance(10)
      }
    }
    const begun = ticker.now()
    await follow([upstream(port, "two")], 1_000)
    await cutOff(first)
    expect(ticker.now() - begun).toBeGreaterThanOrEqual(1_000)
    const second = await dial()
    const drained = Effect.runPromise(Effect.uninterruptible(listeners.drain(1_000)))
    await cutOff(second)
    await drained
  })
})
