/** Ends a connection so that the other side does not take what it has for the whole. */
import type net from "node:net"

/**
 * A reset, which tells a broken-off answer from one that ended. A unix socket knows none: it is closed,
 * and what was not read yet is lost all the same.
 */
export const breakOff = (socket: net.Socket): void => {
  try {
    ;(underneath.get(socket) ?? socket).resetAndDestroy()
  } catch {
    // ERR_INVALID_HANDLE_TYPE: it is no TCP connection.
  }
  socket.destroy()
}

const underneath = new WeakMap<net.Socket, net.Socket>()

/** `socket` is spoken over `under`, which is what can be reset. */
export const breaksWith = (socket: net.Socket, under: net.Socket): void => {
  underneath.set(socket, under)
}
