/** Words for what the operating system says about a connection to a program on this host. */
import { handshakeTrouble } from "./ProgramTls.ts"
import { unixPathOf } from "./UnixHost.ts"

const reasons: Readonly<Record<string, string>> = {
  ECONNREFUSED: "nothing listens there",
  ENOENT: "there is no such socket",
  ECONNRESET: "the program reset the connection",
  EPIPE: "the program closed the connection while it was written to",
  ETIMEDOUT: "the host does not answer",
  EHOSTUNREACH: "there is no route to the host",
  ENETUNREACH: "there is no route to the network",
  ENOTFOUND: "the host name is not known",
  EAI_AGAIN: "the name service does not answer",
  EADDRNOTAVAIL: "this host has no free local port or no such address",
  EMFILE: "this node has no file descriptor left; raise its limit (ulimit -n)",
  ENFILE: "the system has no file descriptor left",
  ENOBUFS: "the system has no memory left for sockets",
  ENOMEM: "the system has no memory left",
  EACCES: "this node's user is not permitted to connect to it"
}

/** The error code of a system error, or undefined. */
export const systemCode = (error: Error): string | undefined =>
  "code" in error && typeof error.code === "string" ? error.code : undefined

/** `ECONNREFUSED, nothing listens there`. */
export const describeSocketError = (error: Error): string => {
  const code = systemCode(error)
  const trouble = handshakeTrouble(error)
  if (trouble !== undefined) return code === undefined ? trouble : `${code}, ${trouble}`
  if (code === undefined) return error.message
  const reason = reasons[code]
  return reason === undefined ? `${code}, ${error.message}` : `${code}, ${reason}`
}

export const hostPort = (host: string, port: number): string =>
  unixPathOf(host) !== undefined
    ? host
    : host.includes(":")
      ? `[${host}]:${port}`
      : `${host}:${port}`

/** Why there is no further connection: of those that this process may have, none is left. */
export const noRoom = ({ most }: { readonly most: number }): string =>
  `this node has the ${most} connections to programs that its limit of open files allows; raise it (ulimit -n)`
