/** The parts of one flush onto a socket, in one write. */
import type { Writable } from "node:stream"
import { writeOut } from "../../model/Loan.ts"

/** False: the socket has enough for now. */
export const writeParts = (socket: Writable, parts: ReadonlyArray<Uint8Array>): boolean => {
  const [first] = parts
  if (parts.length === 1 && first !== undefined) return writeOut(socket, first)
  let room = true
  socket.cork()
  for (const part of parts) room = writeOut(socket, part)
  socket.uncork()
  return room
}
