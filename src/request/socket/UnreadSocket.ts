/**
 * A socket nobody reads from, because the callee takes nothing more. The system says nothing about
 * it then: a client that resets its connection would hold its exchange until a timeout.
 */
import type net from "node:net"

/** How often to ask; long beside a request, short beside any timeout. */
export const askInterval = 500

/**
 * On Deno a write of nothing takes the error off the socket and keeps it to itself: what follows
 * reads like a proper end. There the timeouts hold.
 */
const writeTells = process.versions["deno"] === undefined

/**
 * Asks whether the client has reset it: a write of nothing sends nothing and fails if so, and the
 * socket closes with that error. A FIN is no reset and stays unseen behind what was not read. What
 * still has bytes to write is told anyway, and after our own end there is no writing.
 *
 * Not for the socket of a program: its reset must come after what it said before.
 */
export const askForReset = (socket: net.Socket): void => {
  if (writeTells && socket.isPaused() && socket.writable && socket.writableLength === 0) {
    socket.write("")
  }
}
