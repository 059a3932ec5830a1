/** What a name in a question means: a service of the mesh, an address of one, or none of our business. */

import type { AddressRange } from "../model/AddressRange.ts"
import { indexOf } from "../model/AddressRange.ts"
import { isServiceName, type ServiceName } from "../model/Names.ts"

export type Asked =
  /** The suffix itself, or a name between it and a service, like `_tcp.payments.mesh`. */
  | { readonly kind: "zone" }
  /** `srv`: asked as `_payments._tcp.payments.mesh` (RFC 2782), the labels before the name. */
  | { readonly kind: "service"; readonly service: ServiceName; readonly srv: string | undefined }
  /** An address of the range, backwards under in-addr.arpa. */
  | { readonly kind: "reverse"; readonly address: string }
  /** Under the suffix, and no service can be called so. */
  | { readonly kind: "nobody" }
  | { readonly kind: "foreign" }

const srvLabels = /^_[a-z0-9-]+\._(tcp|udp)$/
const betweenLabel = /^_(tcp|udp)$/

const reversed = (name: string): string | undefined => {
  const match = /^((?:\d{1,3}\.){4})in-addr\.arpa$/.exec(name)
  return match?.[1]?.split(".").filter(Boolean).reverse().join(".")
}

/** `name` in any case, with or without the last dot. `suffix` in small letters. */
export const askedFor = (name: string, suffix: string, range: AddressRange): Asked => {
  const lower = name.toLowerCase().replace(/\.$/, "")
  if (lower === suffix) return { kind: "zone" }
  if (!lower.endsWith(`.${suffix}`)) {
    const address = reversed(lower)
    return address !== undefined && indexOf(range, address) !== undefined
      ? { kind: "reverse", address }
      : { kind: "foreign" }
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
