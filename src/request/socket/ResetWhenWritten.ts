/**
 * The end of a connection that broke off: a reset, so that nobody takes what has come for all there
 * was. What was written before goes out first, as far as the other side takes it.
 */

import type net from "node:net"
import type { Ticker } from "../../model/Time.ts"
import { breakOff } from "./BreakOff.ts"
import { Linger } from "./Linger.ts"

export const resetWhenWritten = (socket: net.Socket, ticker: Ticker): void => {
  if (socket.writableLength === 0) {
    breakOff(socket)
    return
  }
  const linger = new Linger(socket, ticker)
  socket.once("close", () => linger.cancel())
  const reset = () => {
    if (!socket.destroyed) breakOff(socket)
  }
  if (socket.writableEnded) socket.once("finish", reset)
  else socket.write("", reset)
}
