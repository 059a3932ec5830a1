/** A connection of an attached program to its node: dialled, and through its first lines. */
import type net from "node:net"
import { placeOf } from "../model/UnixHost.ts"
import { SocketReads } from "../request/socket/SocketReads.ts"
import { Lines } from "../request/wire/Lines.ts"
import { helloBytes } from "../request/wire/ProgramHello.ts"

/** `unix:/path` with port 0, or an address of this host. */
export interface NodePlace {
  readonly host: string
  readonly port: number
}

export interface NodeConnection {
  /** Paused. */
  readonly socket: net.Socket
  /** What reads it, for nobody yet. */
  readonly reads: SocketReads
  /** The node's first line. */
  readonly line: string
  /** What came after it. */
  readonly rest: Buffer
}

/** To connect and to be answered, ms. */
const dialTimeout = 5_000

const closed =
  "what listens there closed the connection without an answer: it is a node that ends, or no node (the place is what `programs.listen` of the node's config says)"

/** Rejects with what went wrong; `aborted` then is why, once the signal says so. */
export const dialNode = (
  { host, port }: NodePlace,
  hello: object,
  signal: AbortSignal
): Promise<NodeConnection> =>
  new Promise((resolve, reject) => {
    const reads = new SocketReads()
    const place = placeOf(host, port)
    const socket = reads.connect({ ...place, allowHalfOpen: true, noDelay: true })
    const lines = new Lines(helloBytes)
    const timer = setTimeout(
      () => fail(new Error(`no answer within ${dialTimeout} ms`)),
      dialTimeout
    )
    const done = (): void => {
      clearTimeout(timer)
      signal.removeEventListener("abort", onAbort)
      reads.onBytes = () => undefined
      for (const event of ["connect", "close", "end", "error"]) socket.removeAllListeners(event)
    }
    const fail = (error: Error): void => {
      done()
      socket.on("error", () => undefined)
      socket.destroy()
      reject(error)
    }
    const onAbort = (): void => fail(new Error("the program is ending"))
    signal.addEventListener("abort", onAbort, { once: true })
    socket.on("error", fail)
    // What listens there may be anything, so it is not called a node.
    const onClosed = (): void => fail(new Error(closed))
    socket.on("close", onClosed)
    socket.on("end", onClosed)
    socket.on("connect", () => socket.write(`${JSON.stringify(hello)}\n`))
    reads.onBytes = (bytes) => {
      try {
        lines.push(bytes)
        const line = lines.next()
        if (line === undefined) return
        socket.pause()
        done()
        resolve({ socket, reads, line, rest: lines.rest() })
      } catch (error) {
        fail(error instanceof Error ? error : new Error(String(error)))
      }
    }
  })
