/**
 * For tests of links between request threads: who calls by hand, who answers that is no node, and
 * what ends with a test.
 */
import { once } from "node:events"
import net from "node:net"
import type { Session } from "../model/Session.ts"
import { parseTcpAddress } from "../request/link/TcpAddress.ts"
import { DiallerPreface, type LinkRefusal } from "../request/wire/LinkPreface.ts"
import type { ManualTicker } from "./LinkTestPair.ts"
import { makeSessionPair, type SessionHost, type SessionPair } from "./SessionHosts.ts"

const closers: Array<() => unknown> = []

/** Runs after the test, the last first: see `closeAll`. */
export const closeLater = (close: () => unknown): void => {
  closers.push(close)
}

/** For `afterEach`. */
export const closeAll = async (): Promise<void> => {
  for (const close of closers.splice(0).reverse()) await close()
}

/** Two hosts that end with the test. */
export const hosts = async (
  ...options: Parameters<typeof makeSessionPair>
): Promise<SessionPair> => {
  const pair = await makeSessionPair(...options)
  closers.push(
    () => pair.b.stop(),
    () => pair.a.stop()
  )
  return pair
}

export const turn = () => new Promise(setImmediate)

/** What a host has refused others with, and how often. */
export const refusals = ({ transport }: SessionHost): Partial<Record<LinkRefusal, number>> =>
  Object.fromEntries(transport.counts.refused)

/** Moves the clock whenever nothing else happens, until the promise is settled. */
export const withTime = async <A>(ticker: ManualTicker, promise: Promise<A>): Promise<A> => {
  let settled = false
  const settle = () => {
    settled = true
  }
  promise.then(settle, settle)
  while (!settled) {
    await turn()
    await turn()
    ticker.advance(10)
  }
  return promise
}

/** A connection of the test's own, with what comes back and whether it is closed. */
export const raw = async ({ addresses }: SessionHost) => {
  const { port } = parseTcpAddress(addresses[0]!)!
  const socket = net.connect({ host: "127.0.0.1", port, noDelay: true })
  const heard = { bytes: Buffer.alloc(0), closed: false }
  socket.on("data", (bytes) => {
    heard.bytes = Buffer.concat([heard.bytes, bytes])
  })
  socket.on("error", () => undefined)
  socket.on("close", () => {
    heard.closed = true
  })
  closers.push(() => socket.destroy())
  await once(socket, "connect")
  return { socket, heard }
}

/** What a would say to b. */
export const prefaceOf = ({ a, b }: SessionPair, { id, secret }: Session): DiallerPreface =>
  new DiallerPreface({
    session: id,
    secret,
    dialler: a.peer,
    acceptor: b.peer,
    thread: undefined,
    tries: 0
  })

/** An answer of the test's own to whoever dials. */
export const impostor = async (answer: (socket: net.Socket, bytes: Buffer) => void) => {
  const sockets: Array<net.Socket> = []
  const server = net.createServer((socket) => {
    sockets.push(socket)
    socket.on("error", () => undefined)
    socket.on("data", (bytes) => answer(socket, bytes))
  })
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  closers.push(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const address = server.address()
  if (address === null || typeof address === "string") throw new Error("no port")
  return { address: `/ip4/127.0.0.1/tcp/${address.port}`, sockets }
}
