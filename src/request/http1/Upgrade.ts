/** What of an Upgrade field (RFC 9110 §7.8) is passed on. */
import { isToken } from "./Characters.ts"
import { splitList } from "./FieldList.ts"

/**
 * The protocols of `value` that the mesh relays, as sent where nothing is left out. `h2c` is left
 * out (RFC 9113 §3.1 withdrew it, some clients still offer it with every request, and some servers
 * with every response), and `h2`, which was never one to upgrade to: nothing behind the mesh may
 * switch to a protocol whose requests the mesh would not see. Undefined when nothing remains; so
 * also when it is malformed, since whoever gets an Upgrade may ignore it.
 */
export const relayedUpgrade = (value: string): string | undefined => {
  if (value === "websocket") return value
  const offered = splitList(value)
  if (!offered.every(isProtocol)) return undefined
  const relayed = offered.filter((protocol) => !isHttp2(protocol.toLowerCase()))
  return relayed.length === 0 ? undefined : relayed.join(", ")
}

/** The protocols that a 101 switched to, from the lowest layer up; undefined when it names none. */
export const switchedProtocols = (value: string): string | undefined => {
  const protocols = splitList(value)
  return protocols.length > 0 && protocols.every(isProtocol) ? protocols.join(", ") : undefined
}

const isHttp2 = (protocol: string): boolean => protocol === "h2c" || protocol === "h2"

/** `name` or `name/version`. */
const isProtocol = (text: string): boolean => {
  const slash = text.indexOf("/")
  return slash === -1
    ? isToken(text)
    : isToken(text.slice(0, slash)) && isToken(text.slice(slash + 1))
}
