/**
 * Requests to the admin API of which something is missing for too long, as Node's own `headersTimeout` and
 * `requestTimeout` have it. Node looks for them at an interval, which wakes the thread of a node at rest for as long as
 * it runs, though next to nobody is ever connected; here each connection has a timer, and there is none without one.
 */
import type { IncomingMessage, Server, ServerOptions } from "node:http"
import type { Socket } from "node:net"

/** What Node answers. */
const tooLate = "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n"

/** Of a server whose requests are limited so. */
export const ownLimits: ServerOptions = {
  // Node looks itself never, as far as a timer can be set.
  connectionsCheckingInterval: 2 ** 31 - 1,
  // No other protocol is spoken, though some clients offer HTTP/2 in each request: it is answered as any other. Its
  // socket would be nobody's. Node knows this from 24.9 on; before, such a request has no answer that takes longer.
  shouldUpgradeCallback: () => false
}

/**
 * A request has arrived `patience` ms after its connection came or, on one that is used again, after what Node
 * gives it to begin, or 408 is said and the connection ends.
 */
export const limitArrival = (server: Server, patience: number): void => {
  const requests = new WeakMap<Socket, IncomingMessage>()
  const timers = new WeakMap<Socket, NodeJS.Timeout>()

  const giveUp = (socket: Socket): void => {
    const request = requests.get(socket)
    // It is being answered.
    if (request?.complete === true) return
    if (socket.writable) socket.write(tooLate)
    socket.destroy()
  }
  const expect = (socket: Socket, within: number): void => {
    clearTimeout(timers.get(socket))
    requests.delete(socket)
    if (!socket.destroyed) timers.set(socket, setTimeout(giveUp, within, socket).unref())
  }

  server.on("connection", (socket) => {
    expect(socket, patience)
    socket.once("close", () => clearTimeout(timers.get(socket)))
  })
  server.on("request", (request, response) => {
    const { socket } = request
    requests.set(socket, request)
    response.once("close", () => {
      if (requests.get(socket) === request) expect(socket, server.keepAliveTimeout + patience)
    })
  })
}
