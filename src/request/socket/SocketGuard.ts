/**
 * What throws in a handler of a socket costs that socket and what it carries, and not the thread: it
 * is reported, and the socket destroyed, so that `close` frees the rest.
 */
import type net from "node:net"
import type { OnDefect } from "../../model/Defect.ts"

export class SocketGuard {
  readonly #onDefect: OnDefect
  readonly #where: string
  #socket: net.Socket | undefined = undefined

  /** `where`: what kind of socket it is. */
  constructor(onDefect: OnDefect, where: string) {
    this.#onDefect = onDefect
    this.#where = where
  }

  /** The socket it is about; at once, or as soon as it is made. */
  watch(socket: net.Socket): net.Socket {
    this.#socket = socket
    return socket
  }

  /** A handler that does not throw. */
  handler<Event>(handle: (event: Event) => void): (event: Event) => void {
    return (event) => {
      try {
        handle(event)
      } catch (error) {
        this.failed(error)
      }
    }
  }

  failed(error: unknown): void {
    reportAndDestroy(this.#socket, error, this.#onDefect, this.#where)
  }
}

/** The listener of `error` is the socket's owner's; `close` follows. */
export const reportAndDestroy = (
  socket: net.Socket | undefined,
  error: unknown,
  onDefect: OnDefect,
  where: string
): void => {
  try {
    onDefect(error, where)
  } finally {
    socket?.destroy(error instanceof Error ? error : new Error(String(error)))
  }
}
