/** What a name in a question means: a service of the mesh, an address of one, or none of our business. */

import type { AddressRange } from "../model/AddressRange.ts"
import { indexOf } from "../model/AddressRange.ts"
import { isServiceName, type ServiceName } from "../model/Names.ts"
import { isUniqueLocal } from "../model/UniqueLocal.ts"

export type Asked =
  /** The suffix itself, or a name between it and a service, like `_tcp.payments.mesh`. */
  | { readonly kind: "zone" }
  /** `srv`: asked as `_payments._tcp.payments.mesh` (RFC 2782), the labels before the name. */
  | { readonly kind: "service"; readonly service: ServiceName; readonly srv: string | undefined }
  /** An address of a block, backwards under in-addr.arpa or ip6.arpa. */
  | { readonly kind: "reverse"; readonly address: string }
  /** Under the suffix, and no service can be called so. */
  | { readonly kind: "nobody" }
  | { readonly kind: "foreign" }

const srvLabels = /^_[a-z0-9-]+\._(tcp|udp)$/
const betweenLabel = /^_(tcp|udp)$/

/** The blocks of which services have addresses. */
export interface ServiceBlocks {
  readonly range: AddressRange
  /** As `fd5c:6e1a:77::/64`. Default: they have none of IPv6. */
  readonly ipv6?: string | undefined
}

const reversed4 = (name: string): string | undefined => {
  const match = /^((?:\d{1,3}\.){4})in-addr\.arpa$/.exec(name)
  return match?.[1]?.split(".").filter(Boolean).reverse().join(".")
}

/** By nibbles, the last one first (RFC 3596, 2.5). Written as `uniqueLocalOf` does. */
const reversed6 = (name: string): string | undefined => {
  const match = /^((?:[0-9a-f]\.){32})ip6\.arpa$/.exec(name)
  const nibbles = match?.[1]?.split(".").filter(Boolean).reverse().join("")
  const groups = nibbles?.match(/.{4}/g)
  return groups?.map((group) => Number.parseInt(group, 16).toString(16)).join(":")
}

/** Undefined: it is none, or of no block. */
const reversed = (name: string, { ipv6, range }: ServiceBlocks): string | undefined => {
  const four = reversed4(name)
  if (four !== undefined) return indexOf(range, four) === undefined ? undefined : four
  const six = ipv6 === undefined ? undefined : reversed6(name)
  return six !== undefined && ipv6 !== undefined && isUniqueLocal(ipv6, six) ? six : undefined
}

/** `name` in any case, with or without the last dot. `suffix` in small letters. */
export const askedFor = (name: string, suffix: string, blocks: ServiceBlocks): Asked => {
  const lower = name.toLowerCase().replace(/\.$/, "")
  if (lower === suffix) return { kind: "zone" }
  if (!lower.endsWith(`.${suffix}`)) {
    const address = reversed(lower, blocks)
    return address === undefined ? { kind: "foreign" } : { kind: "reverse", address }
  }
  const rest = lower.slice(0, -suffix.length - 1)
  const at = rest.lastIndexOf(".") + 1
  const service = rest.slice(at)
  if (!isServiceName(service)) return { kind: "nobody" }
  if (at === 0) return { kind: "service", service, srv: undefined }
  const before = rest.slice(0, at - 1)
  if (srvLabels.test(before)) return { kind: "service", service, srv: before }
  return { kind: betweenLabel.test(before) ? "zone" : "nobody" }
}
