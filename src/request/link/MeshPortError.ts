/** Why the port for other nodes could not be opened, with what to do about it. */

export type MeshPortErrorCode =
  /** Another program (or a node still running) listens on the address. */
  | "port_in_use"
  /** The address is not one of this machine. */
  | "address_not_local"
  /** Ports below 1024 need a privilege. */
  | "not_permitted"
  /** Not a multiaddr that can be listened on. */
  | "bad_multiaddr"
  | "listen_failed"

export class MeshPortError extends Error {
  override readonly name = "MeshPortError"
  readonly code: MeshPortErrorCode
  /** The address it is about. */
  readonly value: string

  constructor(code: MeshPortErrorCode, value: string, why: string, cause?: unknown) {
    super(`cannot listen on ${value}: ${why}`, cause === undefined ? undefined : { cause })
    this.code = code
    this.value = value
  }
}

const mends: Readonly<Record<string, readonly [MeshPortErrorCode, string]>> = {
  EADDRINUSE: [
    "port_in_use",
    "another program already listens there, maybe a node that still runs; stop it or choose another port"
  ],
  EADDRNOTAVAIL: [
    "address_not_local",
    "this machine has no such address; use one that `ip addr` shows, or /ip4/0.0.0.0/tcp/PORT for all"
  ],
  EACCES: ["not_permitted", "ports below 1024 need a privilege; choose a higher one"],
  EPERM: ["not_permitted", "the system's policy does not let this user listen there"]
}

export const meshPortError = (value: string, cause: Error): MeshPortError => {
  const system = "code" in cause && typeof cause.code === "string" ? cause.code : ""
  const [code, why] = mends[system] ?? ["listen_failed" as const, cause.message]
  return new MeshPortError(code, value, why, cause)
}
