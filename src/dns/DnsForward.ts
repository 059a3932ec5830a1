/**
 * Asks other servers what is none of the mesh's. Each question has a socket and a number of its own, so
 * that whoever would forge an answer has to guess both (RFC 5452); the answer goes back as it came.
 */
import { randomInt } from "node:crypto"
import { createSocket } from "node:dgram"
import { connect } from "node:net"
import type { HostPort } from "../config/HostPort.ts"
import { DnsFrames, framed } from "./DnsFrames.ts"
import { idOf } from "./DnsMessage.ts"

/** For one server to answer, ms. */
const patience = 2_000
/** One that did not answer is asked after the others for so long, ms: not each question is to wait for it. */
const silentFor = 30_000
const headerBytes = 12

export class DnsForward {
  readonly #servers: ReadonlyArray<HostPort>
  readonly #now: () => number
  /** Those that did not answer, and until when they are asked last. */
  readonly #silent = new Map<HostPort, number>()

  /** Asked in this order, the next one when one does not answer. `now`: monotonic ms. */
  constructor(servers: ReadonlyArray<HostPort>, now: () => number = () => performance.now()) {
    this.#servers = servers
    this.#now = now
  }

  /** Undefined: nobody answered. */
  async ask(query: Uint8Array, over: "udp" | "tcp"): Promise<Uint8Array | undefined> {
    const asked = Uint8Array.from(query)
    const id = randomInt(0x10000)
    setId(asked, id)
    const isSilent = (server: HostPort) => (this.#silent.get(server) ?? 0) > this.#now()
    const [last, first] = [
      this.#servers.filter(isSilent),
      this.#servers.filter((it) => !isSilent(it))
    ]
    for (const server of [...first, ...last]) {
      const answer = await (over === "udp" ? askOverUdp : askOverTcp)(server, asked)
      if (answer === undefined) {
        this.#silent.set(server, this.#now() + silentFor)
        continue
      }
      this.#silent.delete(server)
      const back = Uint8Array.from(answer)
      setId(back, idOf(query))
      return back
    }
    return undefined
  }
}

const setId = (bytes: Uint8Array, id: number): void => {
  bytes[0] = id >>> 8
  bytes[1] = id & 255
}

/** An answer of this number to the question as it was put. */
const answers = (asked: Uint8Array, bytes: Uint8Array): boolean =>
  bytes.length >= headerBytes && idOf(bytes) === idOf(asked) && ((bytes[2] ?? 0) & 0x80) !== 0

const askOverUdp = ({ host, port }: HostPort, asked: Uint8Array): Promise<Uint8Array | undefined> =>
  new Promise((resolve) => {
    const socket = createSocket(host.includes(":") ? "udp6" : "udp4")
    const end = (answer: Uint8Array | undefined): void => {
      clearTimeout(timer)
      socket.removeAllListeners().on("error", () => {})
      socket.close()
      resolve(answer)
    }
    const timer = setTimeout(() => end(undefined), patience)
    socket.on("error", () => end(undefined))
    socket.on("message", (bytes) => {
      if (answers(asked, bytes)) end(bytes)
    })
    // Connected: the system lets nobody else's packets in.
    socket.connect(port, host, () => socket.send(asked))
  })

const askOverTcp = ({ host, port }: HostPort, asked: Uint8Array): Promise<Uint8Array | undefined> =>
  new Promise((resolve) => {
    const socket = connect({ host, port })
    const end = (answer: Uint8Array | undefined): void => {
      socket.destroy()
      resolve(answer)
    }
    const frames = new DnsFrames(0xffff)
    socket.setTimeout(patience, () => end(undefined))
    socket.on("error", () => end(undefined))
    socket.on("close", () => end(undefined))
    socket.on("data", (chunk) => {
      const [answer] = frames.push(chunk) ?? []
      if (answer !== undefined) end(answers(asked, answer) ? answer : undefined)
    })
    socket.write(framed(asked))
  })
