/**
 * `host[:port]` of Host, of absolute-form and of CONNECT (RFC 3986 §3.2 without userinfo), read
 * once and written in one way, so that everybody behind this node reads the same.
 */
import { addressBytes, hostNameBytes } from "./Characters.ts"

const lastPort = 65_535

/**
 * The authority as it is forwarded: an empty port is left out, since it means the scheme's own
 * (RFC 3986 §3.2.3, RFC 9110 §4.2.1), and a port has no leading zeros. Undefined for what is none:
 * `host`, `host:port`, `[v6]` or `[v6]:port`, the port from 1 to 65535. `portRequired` is for
 * CONNECT, where an empty port must be refused (RFC 9110 §9.3.6).
 */
export const readAuthority = (text: string, portRequired = false): string | undefined => {
  let i = 0
  if (text.charCodeAt(0) === 0x5b) {
    i = 1
    while (i < text.length && addressBytes[text.charCodeAt(i)] === 1) i++
    if (i < 3 || text.charCodeAt(i) !== 0x5d) return undefined
    i++
  } else {
    // Beyond the end is NaN, and to look that up is dearer than all the rest.
    while (i < text.length && hostNameBytes[text.charCodeAt(i)] === 1) i++
    if (i === 0) return undefined
  }
  if (i === text.length) return portRequired ? undefined : text
  if (text.charCodeAt(i) !== 0x3a) return undefined
  const first = i + 1
  let port = 0
  for (i = first; i < text.length; i++) {
    const digit = text.charCodeAt(i) - 0x30
    if (!(digit >= 0 && digit <= 9)) return undefined
    // Cannot grow without bound: what is too large stays so.
    if (port <= lastPort) port = port * 10 + digit
  }
  if (i === first) return portRequired ? undefined : text.slice(0, first - 1)
  if (port < 1 || port > lastPort) return undefined
  return text.charCodeAt(first) === 0x30 ? `${text.slice(0, first)}${port}` : text
}
