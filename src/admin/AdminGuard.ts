/**
 * Who may ask, and who may change anything. A port is open to everyone on this host, so it only
 * shows: what changes the node or the mesh takes the unix socket, which only the node's user may
 * open, or the node's token. And a browser on this host will ask on behalf of any page that is clever
 * enough: a page whose name was made to resolve to 127.0.0.1 (DNS rebinding), or a form posted from
 * elsewhere. Such a request gives itself away by the name in Host, or by Origin. Decided on the head
 * alone, before anything is routed.
 */
import { isIP } from "node:net"
import { isLoopback } from "../model/Loopback.ts"
import { AdminForbidden } from "./AdminError.ts"

export interface GuardOptions {
  /** A unix socket: no browser can reach it, and nobody but the node's user. */
  readonly unix: boolean
  /** Whether an `authorization` field has this node's token. */
  readonly holdsToken: (authorization: string) => boolean
  /** Other hosts may ask (`allowRemote`), under any address and under these names. */
  readonly remoteNames: ReadonlyArray<string> | undefined
}

export interface RequestFacts {
  readonly method: string
  readonly path: string
  readonly host: string | undefined
  readonly origin: string | undefined
  readonly authorization: string | undefined
}

const hostOf = (authority: string): string => {
  const six = /^\[([^\]]+)\](?::\d+)?$/.exec(authority)
  const name = six?.[1] ?? authority.replace(/:\d+$/, "")
  return name.toLowerCase().replace(/\.$/, "")
}

/** Harmless to read, and asked for by orchestrators under names we cannot know. */
const probePaths: ReadonlySet<string> = new Set(["/live", "/ready", "/metrics"])

const refuse = (message: string, hint: string, code = "forbidden") =>
  new AdminForbidden({ code, message, hint })

/** What only shows. Everything else changes something, or may with the next version. */
export const isReading = (method: string): boolean => method === "GET" || method === "HEAD"

const socketOrToken =
  "Use the node's unix socket (the skein command does, as the user the node runs as; it is admin.sock in the data directory), or send its token: skein … --admin-token FILE, with admin.token of the data directory."

/** The refusal of a change over a port; undefined with the node's token. */
const guardChange = (
  { authorization, method, path }: RequestFacts,
  { holdsToken }: GuardOptions
): AdminForbidden | undefined => {
  const what = `${method} ${path.slice(0, 100)}`
  if (authorization === undefined) {
    const message = `${what} may change this node, and a port that everybody on this host reaches is not enough for that`
    return refuse(message, socketOrToken, "control_needed")
  }
  return holdsToken(authorization)
    ? undefined
    : refuse(`${what} came with a token that is not this node's`, socketOrToken, "wrong_token")
}

const guardHost = (
  request: RequestFacts,
  { remoteNames }: GuardOptions
): AdminForbidden | undefined => {
  const host = hostOf(request.host ?? "")
  if (isLoopback(host)) return undefined
  if (remoteNames !== undefined) {
    // An address typed as such cannot be the fruit of a name that was rebound.
    if (isIP(host) !== 0 || remoteNames.includes(host)) return undefined
    if (request.method === "GET" && probePaths.has(request.path)) return undefined
  }
  return refuse(
    `the Host ${JSON.stringify(host.slice(0, 100))} is not a name of this admin address`,
    "Ask under 127.0.0.1 or localhost; for other hosts see admin.allowRemote in the config."
  )
}

/** The refusal, or undefined when the request may go on. */
export const guard = (request: RequestFacts, options: GuardOptions): AdminForbidden | undefined => {
  const reads = isReading(request.method)
  if (request.origin !== undefined && !reads) {
    return refuse(
      `a web page (${request.origin.slice(0, 100)}) may not change this node`,
      "Use the skein command, or a client that sends no Origin header."
    )
  }
  if (options.unix) return undefined
  return guardHost(request, options) ?? (reads ? undefined : guardChange(request, options))
}
