/**
 * What a socket reads, without the stream in between: into the memory that reads share
 * (ReadMemory.ts), because who is called takes or copies all of it at once. Node offers that for
 * sockets that connect; one that was accepted is made anew around its handle. Where that cannot be
 * (other runtimes; Windows, which is given the memory before there is anything to read) a socket
 * gives new memory for each read, and that is freed by hand.
 */
import net from "node:net"
import { free } from "../../model/Loan.ts"
import { readInto, readMemory } from "./ReadMemory.ts"

const direct =
  process.platform !== "win32" &&
  process.versions["deno"] === undefined &&
  process.versions["bun"] === undefined

type Handle = net.SocketConstructorOpts["handle"]

interface Accepted extends net.Socket {
  _handle?: Handle | null
}

export class SocketReads {
  /** To be set before the event loop turns. The bytes are good until it returns. */
  onBytes: (bytes: Buffer) => void = () => undefined
  readonly #memory: Buffer

  /** `memory`: what is read into, shared with other sockets (ReadMemory.ts). */
  constructor(memory: Buffer = readMemory) {
    this.#memory = memory
  }

  connect(options: net.NetConnectOpts): net.Socket {
    if (direct) return net.connect({ ...options, onread: this.#onread })
    return this.listen(net.connect(options))
  }

  /** Of a server with `pauseOnConnect`. Returns the socket to use instead, which it does not count. */
  accept(accepted: net.Socket): net.Socket {
    return readAccepted(accepted, this.#onread) ?? this.listen(accepted).resume()
  }

  get #onread(): net.OnReadOpts {
    return readInto((bytes) => this.onBytes(bytes), this.#memory)
  }

  /** Of a socket that gives new memory for each read. */
  listen(socket: net.Socket): net.Socket {
    return socket.on("data", (bytes) => {
      this.onBytes(bytes)
      free(bytes)
    })
  }
}

/**
 * Makes an accepted socket anew around its handle, so that it is read as `onread` says. Undefined where
 * that cannot be: then `accepted` is as it was.
 */
export const readAccepted = (
  accepted: net.Socket,
  onread: net.OnReadOpts
): net.Socket | undefined => {
  const handle = direct ? takeHandle(accepted) : undefined
  if (handle === undefined) return undefined
  const { allowHalfOpen } = accepted
  accepted.destroy() // an empty shell
  return new net.Socket({ handle, allowHalfOpen, onread })
}

const takeHandle = (accepted: Accepted): Handle => {
  const { _handle: handle } = accepted
  if (handle === undefined || handle === null) return undefined
  accepted._handle = null
  return handle
}
