/** A program's hold on its node, at a node that is played by the test: what it is asked, and what again. */
import { mkdtempSync, rmSync } from "node:fs"
import net from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, afterEach, beforeEach, describe, expect, it } from "vitest"
import { hostCaller } from "../model/Caller.ts"
import type { Call } from "../model/Exchange.ts"
import { NodeName, PeerKey, ServiceName } from "../model/Names.ts"
import { refuse } from "../model/RefusedExchange.ts"
import type { ProgramOffer } from "../schema/ProgramOfferSchema.ts"
import { maxQuestions } from "../schema/ProgramTalkSchema.ts"
import { actorReport } from "../testing/ActorReportFixture.ts"
import { HandTicker } from "../testing/InboundFixture.ts"
import { turn } from "../testing/ListenerFixture.ts"
import { RecordingReceiver } from "../testing/OutboundRecorders.ts"
import { Attachment } from "./Attachment.ts"

const directory = mkdtempSync(join(tmpdir(), "skein-attachment-"))
const path = join(directory, "node.sock")
afterAll(() => rmSync(directory, { recursive: true, force: true }))

interface Said {
  readonly type: string
  readonly id: number
  readonly service?: string
  readonly offers?: ReadonlyArray<unknown>
}

/** A node: it takes programs, and does to their questions what the test says. Nobody listens for links. */
class PlayedNode {
  readonly #server = net.createServer((socket) => this.#take(socket))
  readonly #sockets = new Set<net.Socket>()
  /** Of the connection that is there. */
  said: Array<Said> = []
  open = new Set<number>()
  attached = 0
  /** Of what programs and nodes speak. */
  version = 1
  #links: net.Server | undefined
  /** What it has done wrong. */
  readonly broken: Array<string> = []

  start(): Promise<void> {
    return new Promise((resolve) => this.#server.listen(path, resolve))
  }

  stop(): Promise<void> {
    return new Promise((resolve) => {
      this.#links?.close()
      this.#server.close(() => resolve())
      this.cut()
    })
  }

  cut(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  answer(id: number): void {
    this.open.delete(id)
    const line = JSON.stringify({ type: "answer", id, refused: [] })
    for (const socket of this.#sockets) socket.write(`${line}\n`)
  }

  of(type: string): ReadonlyArray<Said> {
    return this.said.filter((one) => one.type === type)
  }

  #take(socket: net.Socket): void {
    this.#sockets.add(socket)
    socket.on("error", () => undefined)
    socket.on("close", () => this.#sockets.delete(socket))
    let rest = ""
    socket.on("data", (bytes) => {
      const lines = (rest + bytes.toString()).split("\n")
      rest = lines.pop() ?? ""
      for (const line of lines) this.#heard(socket, JSON.parse(line))
    })
  }

  /** It takes links as well, and reads nothing on them. */
  takeLinks(): Promise<void> {
    const links = net.createServer((socket) => {
      this.#sockets.add(socket)
      socket.on("error", () => undefined)
      socket.once("data", () =>
        socket.write(`${JSON.stringify({ version: this.version, thread: 0 })}\n`)
      )
    })
    this.#links = links
    return new Promise((resolve) => links.listen(`${path}.0`, resolve))
  }

  /** Asks how the program's actors fare. */
  ask(id: number, question: object): void {
    for (const socket of this.#sockets) {
      socket.write(`${JSON.stringify({ type: "actors", id, question })}\n`)
    }
  }

  /** What it tells of endpoints. */
  tell(news: object): void {
    for (const socket of this.#sockets) {
      socket.write(`${JSON.stringify({ type: "endpoints", whole: true, more: false, ...news })}\n`)
    }
  }

  #heard(socket: net.Socket, line: Said & { readonly skein?: string }): void {
    if (line.skein !== undefined) {
      this.said = []
      this.open = new Set()
      this.attached++
      const welcome = {
        ...{
          version: this.version,
          node: "host-a",
          peer,
          mesh: "00112233445566778899aabbccddeeff",
          identity: "host/host-a"
        },
        ...{ program: "p", pass: "secret", links: { path }, threads: 1, drainDeadline: 0 }
      }
      socket.write(`${JSON.stringify(welcome)}\n`)
      return
    }
    this.said.push(line)
    // It is none of the program's questions.
    if (line.type === "actors") return
    if (line.type === "cancel") {
      this.open.delete(line.id)
      return
    }
    if (this.open.has(line.id)) this.broken.push("two questions of one number")
    this.open.add(line.id)
    if (this.open.size > maxQuestions) this.broken.push("too many questions")
  }
}

const peer = "12D3KooWGRUVh8NLfSAbc52sBVRLFBqGZxCHsVPVHzQV5FCuaJ8M"
const service = (i: number): ServiceName => ServiceName.make(`s${i}`)
const offered = (name: string): ProgramOffer => ({
  ...{ service: ServiceName.make(name), id: "program", weight: 100, healthy: true, reason: "" }
})

const callOf = (name: string): Call => ({
  ...{ kind: "tcp", service: ServiceName.make(name), head: undefined, endpoint: undefined },
  ...{ caller: PeerKey.make(peer), identity: hostCaller(NodeName.make("host-a")) },
  ...{ deadline: undefined, attempt: 0 }
})

let node: PlayedNode
let hold: Attachment
let ticker: HandTicker
let over = false
let logged: Array<string> = []
/** More than an offer waits for links, by what the wheel may be late. */
const linkPatience = 1_100

beforeEach(async () => {
  over = false
  logged = []
  node = new PlayedNode()
  await node.start()
  ticker = new HandTicker()
  hold = new Attachment({
    ...{ place: { host: `unix:${path}`, port: 0 }, address: path, name: "t", software: "1" },
    ...{ token: () => undefined, ticker, log: (_, text) => logged.push(text), patience: 1_000 },
    onDefect: (error) => node.broken.push(String(error)),
    actors: ({ type }) => {
      if (type === "Breaks") throw new Error("a bug")
      return [actorReport("k", type === undefined ? 1 : 2)]
    },
    serve: (call, receiver) =>
      refuse(receiver, {
        ...{ code: "upstream_connect", message: "", node: "", sent: false },
        service: call.service
      })
  })
  hold.start()
  await attachedTimes(1)
})
afterEach(async () => {
  over = true
  const stopped = hold.stop(0)
  ticker.advance(100)
  await stopped
  await node.stop()
  expect(node.broken).toEqual([])
})

/** Ends with the test, if that has given up. */
const until = async (isSo: () => boolean, step = 0): Promise<void> => {
  const mine = node
  while (node === mine && !over && !isSo()) {
    ticker.advance(step)
    await turn()
  }
}
const attachedTimes = (times: number): Promise<void> =>
  until(() => node.attached >= times && hold.isAttached, 5)
const again = async (): Promise<void> => {
  const before = node.attached
  node.cut()
  await until(() => !hold.isAttached)
  await attachedTimes(before + 1)
}
const said = async (type: string, count: number): Promise<ReadonlyArray<Said>> => {
  await until(() => node.of(type).length >= count)
  return node.of(type)
}

describe("a program's hold on its node", () => {
  it("asks no more at once than a node takes, and asks all in the end", async () => {
    const heard = new Set<number>()
    const wanted = maxQuestions + 44
    for (let i = 0; i < wanted; i++) {
      hold.ask("await", service(i), () => heard.add(i))
    }
    // One that the node answers only after all the others have been asked for.
    hold.ask("mayServe", service(0), () => heard.add(-1))
    const [check] = await said("mayServe", 1)
    node.answer(check?.id ?? 0)
    await until(() => heard.has(-1))
    expect(node.open.size).toBeLessThan(maxQuestions)
    expect(node.attached).toBe(1)
    // None of those that came first is ever answered: the others have their turn all the same.
    const asked = () => new Set(node.of("await").map((one) => one.service))
    await until(() => asked().size === wanted, 100)
    await again()
    await until(() => {
      for (const id of node.open) node.answer(id)
      return heard.size > wanted
    })
    expect(heard.size).toBe(wanted + 1)
  })

  it("asks once what many want to know, for as long as one of them does", async () => {
    const heard: Array<string> = []
    const stops = ["a", "b", "c"].map((name) =>
      hold.ask("await", service(1), () => heard.push(name))
    )
    stops[0]?.()
    hold.ask("await", service(2), () => heard.push("d"))
    const [first] = await said("await", 2)
    expect(node.open.size).toBe(2)
    node.answer(first?.id ?? 0)
    await until(() => heard.length === 2)
    expect(heard).toEqual(["b", "c"])
    const left = hold.ask("await", service(3), () => heard.push("e"))
    await said("await", 3)
    left()
    await said("cancel", 1)
    expect(node.open.size).toBe(1)
  })

  it("asks about 10,000 services at once and no more", () => {
    for (let i = 0; i < 10_000; i++) hold.ask("await", service(i), () => undefined)
    expect(() => hold.ask("await", service(10_000), () => undefined)).toThrow("10000 services")
    hold.ask("await", service(1), () => undefined)
  })

  it("says again that it serves nothing any more", async () => {
    const done: Array<number> = []
    hold.offer([offered("stock")], () => done.push(1))
    ticker.advance(linkPatience)
    const [first] = await said("serve", 1)
    node.answer(first?.id ?? 0)
    await until(() => done.length > 0)
    node.cut()
    await until(() => !hold.isAttached)
    // As a program does whose only service ends while there is no node to be told.
    hold.offer([], () => done.push(2))()
    await attachedTimes(2)
    expect(await said("serve", 1)).toMatchObject([{ offers: [] }])
  })

  it("says again an offer for which nobody waits any more", async () => {
    hold.offer([offered("stock")], () => undefined)()
    ticker.advance(linkPatience)
    expect(await said("serve", 1)).toMatchObject([{ offers: [{ service: "stock" }] }])
    expect(node.of("cancel")).toEqual([])
  })

  it("says an offer once, however often it is attached while that waits for its links", async () => {
    const done: Array<number> = []
    hold.offer([offered("stock")], () => done.push(1))
    await again()
    await again()
    ticker.advance(linkPatience)
    await said("serve", 1)
    hold.ask("mayServe", service(1), () => undefined)
    await said("mayServe", 1)
    expect(node.of("serve")).toHaveLength(1)
    node.answer(node.of("serve")[0]?.id ?? 0)
    await until(() => done.length > 0)
  })

  it("tells the node the newest of what it serves, and everybody who waits when that is known", async () => {
    const done: Array<number> = []
    hold.offer([offered("a")], () => done.push(1))
    ticker.advance(linkPatience)
    const [first] = await said("serve", 1)
    hold.offer([offered("a"), offered("b")], () => done.push(2))
    hold.offer([offered("b")], () => done.push(3))
    node.answer(first?.id ?? 0)
    await until(() => done.length > 0)
    ticker.advance(linkPatience)
    const [, second] = await said("serve", 2)
    expect(second).toMatchObject({ offers: [{ service: "b" }] })
    node.answer(second?.id ?? 0)
    await until(() => done.length === 3)
    expect(done).toEqual([1, 2, 3])
  })

  it("asks each node who offers what it follows, and goes by what the last has said", async () => {
    node.version = 2
    await again()
    const followed = service(1)
    let heard = 0
    const { endpoints, subscribe } = hold.directory.api
    const stop = subscribe(followed, () => heard++)
    const [first] = await said("follow", 1)
    const one = {
      ...{ key: `${peer}/s1/program`, peer, node: "host-a", endpoint: "program", local: true },
      ...{ healthy: true, draining: false, member: "alive", weight: 100 }
    }
    node.tell({ id: first?.id, set: [one], removed: [] })
    await until(() => heard === 1)
    await again()
    const [second] = await said("follow", 1)
    expect(endpoints(followed)).toMatchObject([one])
    node.tell({ id: second?.id, set: [{ ...one, weight: 1 }], removed: [], more: true, later: 1 })
    node.tell({ id: second?.id, set: [], removed: [], whole: false })
    await until(() => heard === 2)
    expect(endpoints(followed)).toMatchObject([{ ...one, weight: 1 }])
    stop()
    expect(await said("cancel", 1)).toMatchObject([{ id: second?.id }])
    expect(endpoints(followed)).toEqual([])
  })

  it("asks nothing of an older node that it would not understand, and says so", async () => {
    await node.takeLinks()
    hold.directory.api.subscribe(service(1), () => undefined)
    hold.ask("await", service(2), () => undefined)
    await said("await", 1)
    expect(node.of("follow")).toEqual([])
    expect(logged.at(-1)).toContain("host-a is too old to say who offers s1: upgrade it")
    const receiver = new RecordingReceiver()
    hold.dispatch({ ...callOf("s1"), only: `${peer}/s1/program` }, receiver)
    receiver.dispatched = true
    // Links are tried again every second at the latest; a call waits for as long.
    ticker.advance(900)
    await until(() => receiver.fault !== undefined)
    expect(receiver.fault).toMatchObject({ code: "no_healthy_endpoint", sent: false })
    expect(receiver.fault?.message).toContain("upgrade it")
  })
})

describe("a node that asks how actors fare", () => {
  it("is answered what the program says, and not by one that breaks on it", async () => {
    node.ask(7, {})
    node.ask(8, { type: "Breaks" })
    node.ask(9, { type: "Cart", id: "user-42" })
    await until(() => node.of("actors").length === 2)
    expect(node.of("actors")).toMatchObject([
      { id: 7, reports: [{ type: "Cart", messages: { ok: 1 } }] },
      { id: 9, reports: [{ type: "Cart", messages: { ok: 2 } }] }
    ])
    expect(node.broken.splice(0)).toEqual(["Error: a bug"])
  })
})
