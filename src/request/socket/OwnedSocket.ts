/**
 * The socket of a client, and the one object that hears of it. The listeners are the same few functions
 * for all such sockets, and look up whose it is: with a closure for each event of each socket, and a
 * scope for each closure, a connection that does nothing takes a kilobyte more, and there are
 * thousands. What throws costs that socket and not the thread, as with a SocketGuard.
 */
import type net from "node:net"
import { free } from "../../model/Loan.ts"
import { readMemory } from "./ReadMemory.ts"
import { readAccepted } from "./SocketReads.ts"

export interface SocketOwner {
  /** The bytes are good until it returns. */
  onBytes(bytes: Buffer): void
  onDrain(): void
  /** The other side's half has ended. */
  onSocketEnd(): void
  /** All that was written has left, and our half has ended. */
  onSocketFinish(): void
  /** Last of all, also after an error, of which nothing else is told. */
  onSocketClose(): void
  /** One of the others threw: tells whom it concerns, and destroys the socket. Does not throw. */
  onFailed(error: unknown): void
}

/**
 * `accepted`: of a server with `pauseOnConnect`. Returns the socket to use instead, which is read
 * from; its owner hears of nothing before the event loop turns. `begun`: it has been read from, and stays
 * what it is, since what its stream holds could not go along.
 */
export const ownSocket = (accepted: net.Socket, owner: SocketOwner, begun = false): net.Socket => {
  const direct = begun
    ? undefined
    : readAccepted(accepted, {
        buffer: readMemory,
        callback: (length) => {
          hear(owner, readMemory.subarray(0, length))
          return true
        }
      })
  const socket = direct ?? accepted.on("data", onData).resume()
  owners.set(socket, owner)
  return socket
    .on("drain", onDrain)
    .on("end", onEnd)
    .on("finish", onFinish)
    .on("error", onError)
    .on("close", onClose)
}

const owners = new WeakMap<net.Socket, SocketOwner>()

const hear = (owner: SocketOwner, bytes: Buffer): void => {
  try {
    owner.onBytes(bytes)
  } catch (error) {
    owner.onFailed(error)
  }
}

const tell = (socket: net.Socket, what: (owner: SocketOwner) => void): void => {
  const owner = owners.get(socket)
  if (owner === undefined) return
  try {
    what(owner)
  } catch (error) {
    owner.onFailed(error)
  }
}

function onData(this: net.Socket, bytes: Buffer): void {
  const owner = owners.get(this)
  if (owner !== undefined) hear(owner, bytes)
  free(bytes)
}

function onDrain(this: net.Socket): void {
  tell(this, (owner) => owner.onDrain())
}

function onEnd(this: net.Socket): void {
  tell(this, (owner) => owner.onSocketEnd())
}

function onFinish(this: net.Socket): void {
  tell(this, (owner) => owner.onSocketFinish())
}

/** What follows it is `close`, which is where it is dealt with. */
const onError = (): void => undefined

function onClose(this: net.Socket): void {
  tell(this, (owner) => owner.onSocketClose())
}
