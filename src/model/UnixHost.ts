/** Unix sockets where an address of a host could stand as well: `unix:/path`, and the port is 0 then. */

const prefix = "unix:"

/** Of a socket's path, the shortest limit of the usual systems (sun_path of 104 bytes, with its end). */
export const maxUnixPath = 103

/** Undefined: it is no unix socket. */
export const unixPathOf = (host: string): string | undefined =>
  host.startsWith(prefix) ? host.slice(prefix.length) : undefined

/** For `net.connect`. */
export const placeOf = (
  host: string,
  port: number
): { readonly path: string } | { readonly host: string; readonly port: number } => {
  const path = unixPathOf(host)
  return path === undefined ? { host, port } : { path }
}
