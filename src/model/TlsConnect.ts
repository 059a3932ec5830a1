/**
 * A connection to a program that only speaks TLS. Both planes dial programs, one for calls and one to see
 * whether they are well; what is believed of whom is the same for both, and so is in one place.
 */
import type net from "node:net"
import tls from "node:tls"
import { expectedName, type ProgramTls, sniOf, tlsTrouble } from "./ProgramTls.ts"

export interface TlsConnectOptions {
  readonly tls: ProgramTls
  /** Of the address, see `expectedName`. */
  readonly host: string
  /**
   * The handshake is done and the program is who it is to be. Until then nothing that is written
   * leaves; when it is another, the socket is destroyed with an error that says so.
   */
  readonly onOpen: () => void
}

/** Reading the PEM of a CA takes longer than a handshake. */
const contexts = new WeakMap<ProgramTls, tls.SecureContext>()

const contextOf = (program: ProgramTls): tls.SecureContext => {
  const known = contexts.get(program)
  if (known !== undefined) return known
  const context = tls.createSecureContext(program.ca === undefined ? {} : { ca: program.ca })
  contexts.set(program, context)
  return context
}

/** `under`: it may still be connecting. It ends with the socket that is returned. */
export const connectTls = (under: net.Socket, options: TlsConnectOptions): tls.TLSSocket => {
  const { host, onOpen, tls: program } = options
  const name = expectedName(program, host)
  const servername = sniOf(name)
  const socket = tls.connect({
    socket: under,
    host: name,
    ...(servername === undefined ? {} : { servername }),
    ...(program.alpn.length === 0 ? {} : { ALPNProtocols: [...program.alpn] }),
    secureContext: contextOf(program),
    // Judged below: with what is wrong and the mend, and by pins.
    rejectUnauthorized: false
  })
  under.on("error", (error) => socket.destroy(error))
  socket.cork()
  socket.once("secureConnect", () => {
    const trouble = troubleOf(socket, program, host)
    if (trouble !== undefined) {
      socket.destroy(new Error(trouble))
      return
    }
    socket.uncork()
    onOpen()
  })
  return socket
}

const troubleOf = (
  socket: tls.TLSSocket,
  program: ProgramTls,
  host: string
): string | undefined => {
  try {
    const { raw } = socket.getPeerCertificate()
    const problem: unknown = socket.authorizationError
    return tlsTrouble(program, host, {
      authorized: socket.authorized,
      problem: problem instanceof Error ? problem.message : String(problem ?? ""),
      certificate: raw,
      now: Date.now()
    })
  } catch (error) {
    return `its certificate cannot be read: ${String(error)}`
  }
}
