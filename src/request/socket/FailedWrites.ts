/**
 * What the other side said before it closed. A program that answers on the head of an upload and
 * closes makes the next write fail, and Node then destroys the socket with the answer still unread
 * in it. The system keeps what has come, also after a reset, until it has been read. So a write that
 * fails because nobody takes it does not end the socket here: what is written from then on is
 * dropped, and reading goes on to its own end, which comes soon.
 *
 * A reset is told once, to whoever asks first. When a write was told, the read that follows the last
 * byte sees an end like a FIN's: after ECONNRESET such an end means that the connection broke.
 */
import type net from "node:net"

type WriteDone = (error?: Error | null) => void

const isGone = (error: Error): boolean =>
  "code" in error &&
  (error.code === "EPIPE" || error.code === "ECONNRESET" || error.code === "ECONNABORTED")

/** An end that is read after this was told is the system's, not the other side's. */
export const isReset = (error: Error): boolean => !("code" in error) || error.code !== "EPIPE"

/** `onGone` is called once, by the first write that fails so. */
export const outliveWrites = (socket: net.Socket, onGone: (error: Error) => void): void => {
  const write = socket._write
  const writev = socket._writev
  let gone = false
  // A socket hands over the same callback with every write, so this is made once.
  let known: WriteDone | undefined
  let guarded: WriteDone = () => undefined
  const guard = (done: WriteDone): WriteDone => {
    if (done === known) return guarded
    known = done
    guarded = (error) => {
      if (error === undefined || error === null || !isGone(error)) return done(error)
      done()
      if (gone) return
      gone = true
      onGone(error)
    }
    return guarded
  }
  socket._write = (chunk, encoding, done) => {
    if (gone) done()
    else write.call(socket, chunk, encoding, guard(done))
  }
  if (writev === undefined) return
  socket._writev = (chunks, done) => {
    if (gone) done()
    else writev.call(socket, chunks, guard(done))
  }
}
