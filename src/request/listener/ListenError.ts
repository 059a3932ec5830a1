/** Why a listener could not be opened, with what to do about it. */

export type ListenErrorCode =
  | "address_in_use"
  | "address_not_local"
  | "permission_denied"
  | "unknown_host"
  | "other"

export class ListenError extends Error {
  override readonly name = "ListenError"
  /** What Effect tells errors apart by. */
  readonly _tag = "ListenError"
  readonly code: ListenErrorCode
  /** `host:port` as configured. */
  readonly address: string

  constructor(what: {
    readonly code: ListenErrorCode
    readonly address: string
    readonly message: string
    readonly cause: Error
  }) {
    super(what.message, { cause: what.cause })
    this.code = what.code
    this.address = what.address
  }
}

const known: Readonly<Record<string, readonly [ListenErrorCode, string]>> = {
  EADDRINUSE: [
    "address_in_use",
    "the port is in use by another program, perhaps another node; stop it or choose another port"
  ],
  EADDRNOTAVAIL: [
    "address_not_local",
    "no network interface of this host has that address; use 127.0.0.1 or one that `ip addr` shows"
  ],
  EACCES: [
    "permission_denied",
    "ports below 1024 need a privilege; use a higher one or grant CAP_NET_BIND_SERVICE"
  ],
  EPERM: ["permission_denied", "the system's policy does not let this user listen there"],
  ENOTFOUND: ["unknown_host", "the host name has no address; write an IP address"],
  EAI_AGAIN: ["unknown_host", "the name service does not answer; write an IP address"]
}

/** The same of a unix socket. */
const knownOfPaths: typeof known = {
  EADDRINUSE: ["address_in_use", "another program listens there, perhaps another node"],
  EACCES: ["permission_denied", "this user may not create a socket in that directory"],
  EPERM: [
    "permission_denied",
    "this user may not give the socket to another: only root can, or leave owner out and let a group have it"
  ],
  ENOENT: ["other", "its directory does not exist; create it first"],
  ENOTSOCK: [
    "address_in_use",
    "there is a file that is no socket; remove it, or choose another path"
  ]
}

const isPath = (host: string): boolean => host.startsWith("unix:")

const textOf = (host: string, port: number): string =>
  isPath(host) ? host : host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`

export const makeListenError = (host: string, port: number, cause: Error): ListenError => {
  const address = textOf(host, port)
  const system = "code" in cause && typeof cause.code === "string" ? cause.code : ""
  const [code, mend] = (isPath(host) ? knownOfPaths : known)[system] ?? ["other", cause.message]
  return new ListenError({
    code,
    address,
    message: `cannot listen on ${address}${system === "" ? "" : ` (${system})`}: ${mend}`,
    cause
  })
}
