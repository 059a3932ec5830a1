/** Ends a connection so that the other side does not take what it has for the whole. */
import type net from "node:net"

/**
 * A reset, which tells a broken-off answer from one that ended. A unix socket knows none: it is closed,
 * and what was not read yet is lost all the same.
 */
export const breakOff = (socket: net.Socket): void => {
  try {
    socket.resetAndDestroy()
  } catch {
    // ERR_INVALID_HANDLE_TYPE: it is no TCP connection.
    socket.destroy()
  }
}
