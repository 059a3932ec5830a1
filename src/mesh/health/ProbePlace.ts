/** Where a check asks, and the connection it asks on. */
import net from "node:net"
import type { ProgramTls } from "../../model/ProgramTls.ts"
import { connectTls } from "../../model/TlsConnect.ts"
import { placeOf } from "../../model/UnixHost.ts"

export interface ProbePlace {
  readonly host: string
  readonly port: number
  /** It only speaks TLS, and is well if it is also the right one. Absent: in the clear. */
  readonly tls?: ProgramTls | undefined
}

/** What is written before `onOpen` waits until the program is there, and who it is to be. */
export const connectTo = ({ host, port, tls }: ProbePlace, onOpen = () => {}): net.Socket => {
  const socket = net.connect(placeOf(host, port))
  return tls === undefined
    ? socket.once("connect", onOpen)
    : connectTls(socket, { host, onOpen, tls })
}
