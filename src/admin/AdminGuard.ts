/**
 * Who may ask. The admin address is open to everyone on this host, and a browser on this host will
 * ask on behalf of any page that is clever enough: a page whose name was made to resolve to
 * 127.0.0.1 (DNS rebinding), or a form posted from elsewhere. Such a request gives itself away by
 * the name in Host, or by Origin. Decided on the head alone, before anything is routed.
 */
import { isIP } from "node:net"
import { isLoopback } from "../model/Loopback.ts"
import { AdminForbidden } from "./AdminError.ts"

export interface GuardOptions {
  /** A unix socket: no browser can reach it. */
  readonly unix: boolean
  /** Other hosts may ask (`allowRemote`), under any address and under these names. */
  readonly remoteNames: ReadonlyArray<string> | undefined
}

export interface RequestFacts {
  readonly method: string
  readonly path: string
  readonly host: string | undefined
  readonly origin: string | undefined
}

const hostOf = (authority: string): string => {
  const six = /^\[([^\]]+)\](?::\d+)?$/.exec(authority)
  const name = six?.[1] ?? authority.replace(/:\d+$/, "")
  return name.toLowerCase().replace(/\.$/, "")
}

/** Harmless to read, and asked for by orchestrators under names we cannot know. */
const probePaths: ReadonlySet<string> = new Set(["/live", "/ready", "/metrics"])

const refuse = (message: string, hint: string) =>
  new AdminForbidden({ code: "forbidden", message, hint })

/** The refusal, or undefined when the request may go on. */
export const guard = (request: RequestFacts, options: GuardOptions): AdminForbidden | undefined => {
  if (request.origin !== undefined && request.method !== "GET" && request.method !== "HEAD") {
    return refuse(
      `a web page (${request.origin.slice(0, 100)}) may not change this node`,
      "Use the skein command, or a client that sends no Origin header."
    )
  }
  if (options.unix) return undefined
  const host = hostOf(request.host ?? "")
  if (isLoopback(host)) return undefined
  if (options.remoteNames !== undefined) {
    // An address typed as such cannot be the fruit of a name that was rebound.
    if (isIP(host) !== 0 || options.remoteNames.includes(host)) return undefined
    if (request.method === "GET" && probePaths.has(request.path)) return undefined
  }
  return refuse(
    `the Host ${JSON.stringify(host.slice(0, 100))} is not a name of this admin address`,
    "Ask under 127.0.0.1 or localhost; for other hosts see admin.allowRemote in the config."
  )
}
