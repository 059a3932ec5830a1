/** Which request thread of its node a program calls on, at threads that are played by the test. */
import { mkdtempSync, rmSync } from "node:fs"
import net from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { hostCaller } from "../model/Caller.ts"
import type { Call } from "../model/Exchange.ts"
import { MeshId, NodeName, PeerKey, ServiceName } from "../model/Names.ts"
import { refuse } from "../model/RefusedExchange.ts"
import { FrameType } from "../request/wire/Frame.ts"
import { FrameDecoder } from "../request/wire/FrameDecoder.ts"
import { HandTicker } from "../testing/InboundFixture.ts"
import { turn } from "../testing/ListenerFixture.ts"
import { RecordingReceiver } from "../testing/OutboundRecorders.ts"
import { NodeLinks } from "./NodeLinks.ts"

const peer = PeerKey.make("12D3KooWGRUVh8NLfSAbc52sBVRLFBqGZxCHsVPVHzQV5FCuaJ8M")
const mesh = MeshId.make("00112233445566778899aabbccddeeff")
const call: Call = {
  ...{ kind: "tcp", service: ServiceName.make("payments"), head: undefined, endpoint: undefined },
  ...{ caller: peer, identity: hostCaller(NodeName.make("host-a")) },
  ...{ deadline: undefined, attempt: 0 }
}

/** Takes one link, and counts what is opened on it. */
class PlayedThread {
  opened = 0
  readonly #server: net.Server
  #socket: net.Socket | undefined

  constructor(path: string, thread: number) {
    this.#server = net.createServer((socket) => {
      this.#socket = socket
      socket.on("error", () => undefined)
      const decoder = new FrameDecoder((type) => {
        if (type === FrameType.open) this.opened++
      })
      socket.once("data", () => {
        socket.write(`${JSON.stringify({ version: 1, thread })}\n`)
        socket.on("data", (bytes) => decoder.push(bytes))
      })
    })
    this.#server.listen(`${path}.${thread}`)
  }

  /** Takes no link any more. */
  end(): void {
    this.#server.close()
    this.#socket?.destroy()
  }
}

let directory: string
let threads: ReadonlyArray<PlayedThread>
let links: NodeLinks
let up = 0
let broken = 0

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "skein-links-"))
  const path = join(directory, "node.sock")
  threads = [new PlayedThread(path, 0), new PlayedThread(path, 1)]
  up = 0
  broken = 0
  links = new NodeLinks({
    welcome: {
      ...{ version: 1, node: NodeName.make("host-a"), peer, mesh, identity: "host/host-a" },
      ...{ program: "p", pass: "secret", links: { path }, threads: 2, drainDeadline: 0 }
    },
    ticker: new HandTicker(),
    serve: (_, receiver) =>
      refuse(receiver, {
        ...{ code: "upstream_connect", message: "", node: "", sent: false },
        service: undefined
      }),
    onUp: () => {
      up++
    },
    onBroken: () => {
      broken++
    },
    onWhole: () => undefined,
    onUnknown: () => undefined,
    onDefect: (error) => {
      throw error
    }
  })
  while (up < 2) await turn()
})
afterEach(() => {
  links.stop(new Error("the test is over"))
  for (const thread of threads) thread.end()
  rmSync(directory, { recursive: true, force: true })
})

const open = async (times: number): Promise<ReadonlyArray<number>> => {
  const before = threads.map(({ opened }) => opened)
  for (let i = 0; i < times; i++) {
    const receiver = new RecordingReceiver()
    links.next()?.(call, receiver)
    receiver.dispatched = true
  }
  const counts = () => threads.map(({ opened }, i) => opened - (before[i] ?? 0))
  while (counts().reduce((sum, count) => sum + count, 0) < times) await turn()
  return counts()
}

describe("the calls of an attached program", () => {
  it("go to the threads of its node in turn, some in a row to each", async () => {
    expect(await open(16)).toEqual([16, 0])
    expect(await open(20)).toEqual([4, 16])
    expect(await open(32)).toEqual([16, 16])
  })

  it("go to the next one in each turn of the program's loop", async () => {
    const first = await open(1)
    const second = await open(1)
    expect([first, second].toSorted()).toEqual([
      [0, 1],
      [1, 0]
    ])
  })

  it("go to those threads that there is a link to", async () => {
    expect(await open(10)).toEqual([10, 0])
    threads[0]?.end()
    while (broken === 0) await turn()
    expect(await open(40)).toEqual([0, 40])
  })
})
