/** Connections to the program of an endpoint, in the clear or within TLS. */
import net from "node:net"
import type { ProgramTls } from "../../model/ProgramTls.ts"
import { connectTls } from "../../model/TlsConnect.ts"
import { placeOf } from "../../model/UnixHost.ts"
import { breaksWith } from "./BreakOff.ts"
import type { SocketReads } from "./SocketReads.ts"

export interface ProgramPlace {
  readonly host: string
  readonly port: number
  /** Absent: it speaks in the clear. */
  readonly tls?: ProgramTls | undefined
}

export interface DialOptions {
  readonly allowHalfOpen: boolean
  /** What is read is theirs. Absent: the socket tells of it itself. */
  readonly reads?: SocketReads | undefined
  /** The program can be spoken to, within TLS when it is the right one. Never called at once. */
  readonly onOpen: () => void
}

const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

/** What cannot be connected to, or is another than it is to be, closes with an error that says why. */
export const dialProgram = (
  { host, port, tls }: ProgramPlace,
  options: DialOptions
): net.Socket => {
  const { allowHalfOpen, onOpen, reads } = options
  const place = { ...placeOf(host, port), allowHalfOpen, noDelay: true }
  if (tls !== undefined) {
    const under = net.connect(place)
    let socket: net.Socket
    try {
      socket = connectTls(under, { host, onOpen, tls })
    } catch (error) {
      return under.destroy(new Error(`TLS cannot be begun: ${textOf(error)}`, { cause: error }))
    }
    breaksWith(socket, under)
    return reads?.listen(socket) ?? socket
  }
  const socket = reads === undefined ? net.connect(place) : reads.connect(place)
  return socket.once("connect", onOpen)
}
