/**
 * Under which authorities the port of one service may be asked. It is open to every program of this
 * host, and a browser is one: a page whose own name was made to resolve to 127.0.0.1 (DNS rebinding)
 * could else call the service as if it came from there, and read the answers. The name in Host gives
 * it away, for that is the page's own. Addresses typed as such are nobody's to rebind.
 */
import { isIP } from "node:net"
import { isLoopback } from "../../model/Loopback.ts"
import { authorityOf, type ServiceName } from "../../model/Names.ts"

export interface PortAuthorityOptions {
  readonly service: ServiceName
  /** The service an authority means. */
  readonly resolve: (authority: string) => ServiceName | undefined
  /** Other hosts may ask (`allowRemote`), under any address and under these names, in small letters. */
  readonly remoteNames: ReadonlyArray<string> | undefined
  /** Further names of the service on this host, in small letters. */
  readonly names?: ReadonlyArray<string> | undefined
}

/** `[::1]:80`, `LOCALHOST.:80` → `::1`, `localhost` */
const hostOf = (authority: string): string => {
  const six = /^\[([^\]]+)\](?::\d+)?$/.exec(authority)
  const name = six?.[1] ?? authority.replace(/:\d+$/, "")
  return name.toLowerCase().replace(/\.$/, "")
}

export class PortAuthority {
  readonly #options: PortAuthorityOptions
  /** Whom clients say they mean is the same again and again: comparing is cheaper than judging. */
  #allowed: string

  constructor(options: PortAuthorityOptions) {
    this.#options = options
    this.#allowed = authorityOf(options.service)
  }

  /** Whether the port is one of the authority's; an empty one names nobody, and so nobody else. */
  allows(authority: string): boolean {
    if (authority === this.#allowed || authority === "") return true
    if (!this.#isOurs(authority)) return false
    this.#allowed = authority
    return true
  }

  #isOurs(authority: string): boolean {
    const { names, remoteNames, resolve, service } = this.#options
    if (resolve(authority) === service) return true
    const host = hostOf(authority)
    if (isLoopback(host) || names?.includes(host) === true) return true
    return remoteNames !== undefined && (isIP(host) !== 0 || remoteNames.includes(host))
  }

  /** Why it does not, and what would do. */
  refusal(authority: string): string {
    const { remoteNames, service } = this.#options
    const own = `${authorityOf(service)}, localhost or 127.0.0.1`
    const means =
      remoteNames === undefined
        ? "; other hosts and names: see allowRemote of the upstream in the config"
        : `, an IP address or ${remoteNames.join(", ")}`
    return `this port reaches ${service} alone, and ${authority} is no name of it, as it would be if a web page had its name point here; ask for ${own}${means}`
  }
}
