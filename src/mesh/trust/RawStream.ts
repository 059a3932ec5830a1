/**
 * The way from records to the socket and back. A stream of libp2p keeps lists, makes an event of
 * every read and looks at both before it writes; that is as much work as sealing a request. A
 * connection of our own transport (link/SocketConnection.ts) lets itself be taken over once the
 * handshake is done. Any other stream serves as well.
 */
import type { MessageStream } from "@libp2p/interface"
import { listen } from "./HandshakePipe.ts"

export interface RawEvents {
  /** The bytes are good until this returns. */
  onBytes(bytes: Uint8Array): void
  /** More may be written, after `writeRaw` returned false. */
  onRoom(): void
}

/** A stream whose bytes can be had without its lists and events; the rest of it stays as it is. */
export interface RawStream extends MessageStream {
  /** There are no `message` and `drain` events from now on. */
  takeOver(events: RawEvents): void
  /** False: enough for now. The bytes are done with (Loan.ts) once they are out. */
  writeRaw(bytes: Uint8Array): boolean
}

const isRaw = (stream: MessageStream): stream is RawStream => "takeOver" in stream

/** Takes what comes over a stream. Returns how to write to it. */
export const takeOver = (
  stream: MessageStream,
  events: RawEvents
): ((bytes: Uint8Array) => boolean) => {
  if (isRaw(stream)) {
    stream.takeOver(events)
    return (bytes) => stream.writeRaw(bytes)
  }
  listen(stream, {
    message: ({ data }) => events.onBytes(data.subarray()),
    drain: () => events.onRoom()
  })
  return (bytes) => stream.send(bytes)
}
