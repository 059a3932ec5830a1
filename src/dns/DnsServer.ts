/**
 * The node as a name server: the same port by UDP and by TCP. Questions about the mesh are answered
 * from what the node knows; a service that is asked for is listened for before its address is told.
 */
import { createSocket, type Socket as Datagrams } from "node:dgram"
import { createServer, type Server, type Socket } from "node:net"
import { Effect, type Scope } from "effect"
import type { HostPort } from "../config/HostPort.ts"
import { reasonOf } from "../model/Reason.ts"
import type { MetricRegistry } from "../request/cells/Metrics.ts"
import { type ListenError, makeListenError } from "../request/listener/ListenError.ts"
import type { DnsForward } from "./DnsForward.ts"
import { DnsFrames, framed } from "./DnsFrames.ts"
import { decodeQuestion, encodeMalformed, encodeReply, maxQuestion } from "./DnsMessage.ts"
import { judge, type Reply, rcodes, type Verdict, type ZoneOptions } from "./DnsReply.ts"
import type { NameBook, NamedService } from "./NameBook.ts"

export interface DnsServerOptions {
  readonly listen: HostPort
  readonly zone: ZoneOptions
  readonly book: NameBook
  /** The address at which the service is listened for. Rejects when it cannot be; that is told already. */
  readonly reach: (service: NamedService, family: 4 | 6) => Promise<string>
  /** Who is asked what is none of the mesh's. Undefined: nobody, and that is refused. */
  readonly forward: DnsForward | undefined
  readonly metrics: MetricRegistry
  readonly warn: (message: string) => void
}

/** Questions under way; beyond them datagrams are dropped, and connections end. */
const mostUnderWay = 1_024
const mostConnections = 128
/** A connection on which nothing is asked for so long ends, ms (RFC 7766, 6.2.3). */
const idleAfter = 10_000

type Over = "udp" | "tcp"
type Result = "answered" | "nobody" | "failed" | "refused" | "malformed" | "forwarded" | "dropped"

const resultOf = (rcode: number): Result => {
  switch (rcode) {
    case rcodes.none:
      return "answered"
    case rcodes.nobody:
      return "nobody"
    case rcodes.failed:
      return "failed"
    default:
      return "refused"
  }
}

type Reached = Extract<Verdict, { readonly kind: "reach" }>

class Answering {
  readonly #options: DnsServerOptions
  readonly #count: (result: Result) => void
  #underWay = 0

  constructor(options: DnsServerOptions) {
    this.#options = options
    const questions = options.metrics.counter(
      "skein_dns_questions_total",
      "Questions for names, by what came of them. nobody: no node offers a service of that name. failed: its address could not be listened at, or no server answered that was asked. forwarded: none of the mesh's, and another server answered. dropped: too many were under way.",
      ["result"]
    )
    this.#count = (result) => questions.cell({ result }).inc()
  }

  /** Undefined: nothing is said to that. */
  async answer(bytes: Uint8Array, over: Over): Promise<Uint8Array | undefined> {
    if (this.#underWay >= mostUnderWay) {
      this.#count("dropped")
      return undefined
    }
    this.#underWay++
    try {
      return await this.#answer(bytes, over)
    } finally {
      this.#underWay--
    }
  }

  async #answer(bytes: Uint8Array, over: Over): Promise<Uint8Array | undefined> {
    const { book, forward, zone } = this.#options
    const query = decodeQuestion(bytes)
    if (query === undefined) return undefined
    if (query === "malformed") {
      this.#count("malformed")
      return encodeMalformed(bytes)
    }
    const say = (reply: Reply, result = resultOf(reply.rcode)): Uint8Array => {
      this.#count(result)
      return encodeReply(query, reply, { over, recurses: forward !== undefined })
    }
    const verdict = judge(query, book, zone)
    if (verdict === undefined) return undefined
    if (verdict.kind === "reply") return say(verdict.reply)
    if (verdict.kind === "reach") return say(await this.#reached(verdict))
    if (forward === undefined) return say({ rcode: rcodes.refused, isOurs: false })
    const answer = await forward.ask(bytes, over)
    if (answer === undefined) return say({ rcode: rcodes.failed, isOurs: false })
    this.#count("forwarded")
    return answer
  }

  async #reached({ family, otherwise, reply, service }: Reached): Promise<Reply> {
    try {
      return reply(await this.#options.reach(service, family))
    } catch {
      // Whoever could not listen has said why.
      return otherwise
    }
  }
}

/** Both of one port, and of none when one of the two cannot be had. */
interface Ports {
  readonly datagrams: Datagrams
  readonly server: Server
  readonly connections: Set<Socket>
}

/** A free port of the one kind may be taken of the other. */
const triesForAny = 10

const openPorts = async (answering: Answering, options: DnsServerOptions): Promise<Ports> => {
  const { host, port } = options.listen
  for (let tries = 1; ; tries++) {
    const datagrams = await openDatagrams(answering, options)
    const connections = new Set<Socket>()
    try {
      const bound = { host, port: datagrams.address().port }
      const server = await openConnections(answering, bound, connections)
      return { datagrams, server, connections }
    } catch (cause) {
      datagrams.close()
      if (port !== 0 || tries === triesForAny) throw cause
    }
  }
}

const openDatagrams = (answering: Answering, options: DnsServerOptions): Promise<Datagrams> =>
  new Promise((resolve, reject) => {
    const { listen, warn } = options
    const socket = createSocket(listen.host.includes(":") ? "udp6" : "udp4")
    socket.once("error", reject)
    socket.on("message", (bytes, from) => {
      void answering.answer(bytes, "udp").then((answer) => {
        // Who asked may be gone: that is theirs.
        if (answer !== undefined) socket.send(answer, from.port, from.address, () => {})
      })
    })
    socket.bind(listen.port, listen.host, () => {
      socket.off("error", reject)
      socket.on("error", (error) => warn(`names are no longer answered by UDP: ${reasonOf(error)}`))
      resolve(socket)
    })
  })

const converse = (socket: Socket, answering: Answering): void => {
  const frames = new DnsFrames(maxQuestion)
  socket.setNoDelay(true)
  socket.setTimeout(idleAfter, () => socket.destroy())
  socket.on("error", () => socket.destroy())
  socket.on("data", (chunk) => {
    const messages = frames.push(chunk)
    if (messages === undefined) {
      socket.destroy()
      return
    }
    // One after the other, and nothing more is read meanwhile: so many answers wait at most.
    socket.pause()
    void (async () => {
      for (const message of messages) {
        const answer = await answering.answer(message, "tcp")
        if (answer === undefined) {
          socket.destroy()
          return
        }
        if (!socket.write(framed(answer))) await drained(socket)
      }
      socket.resume()
    })()
  })
}

const drained = (socket: Socket): Promise<void> =>
  new Promise((resolve) => {
    socket.once("drain", resolve)
    socket.once("close", resolve)
  })

const openConnections = (
  answering: Answering,
  listen: HostPort,
  open: Set<Socket>
): Promise<Server> =>
  new Promise((resolve, reject) => {
    const server = createServer((socket) => {
      open.add(socket)
      socket.once("close", () => open.delete(socket))
      converse(socket, answering)
    })
    server.maxConnections = mostConnections
    server.once("error", reject)
    server.listen({ ...listen, exclusive: true }, () => {
      server.off("error", reject)
      resolve(server)
    })
  })

/** Done when it answers; where it does. */
export const serveDns = (
  options: DnsServerOptions
): Effect.Effect<HostPort, ListenError, Scope.Scope> =>
  Effect.gen(function* () {
    const answering = new Answering(options)
    const { listen, warn } = options
    const { datagrams, server } = yield* Effect.acquireRelease(
      Effect.tryPromise({
        try: () => openPorts(answering, options),
        catch: (cause) =>
          makeListenError(
            listen.host,
            listen.port,
            cause instanceof Error ? cause : new Error(String(cause))
          )
      }),
      ({ connections, datagrams, server }) =>
        Effect.sync(() => {
          datagrams.close()
          server.close()
          for (const socket of connections) socket.destroy()
        })
    )
    server.on("error", (error) => warn(`names are no longer answered by TCP: ${reasonOf(error)}`))
    return { host: listen.host, port: datagrams.address().port }
  })
