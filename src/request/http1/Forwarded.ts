/**
 * What a gateway tells the application behind it about the request's way here.
 *
 * Always: `X-Forwarded-For` with the client's address appended, `X-Forwarded-Proto` and
 * `X-Forwarded-Host` unless an earlier hop has set them, and `Via` with this node appended, which
 * RFC 9110 §7.6.3 demands of gateways. `Forwarded` (RFC 7239) says the same again, so it is only
 * appended to when the request has one already: a chain that somebody reads is not broken.
 *
 * None of it proves anything: a client writes what it likes into the part before ours.
 */
import type { Fields } from "../../model/Exchange.ts"
import { isToken } from "./Characters.ts"
import { splitList } from "./FieldList.ts"
import { asSection, sectionOf } from "./FieldSection.ts"

export interface Hop {
  /** Address of the client without port, IPv4 or IPv6; undefined when it has none (unix socket). */
  readonly clientAddress: string | undefined
  /** How the client reached this node. */
  readonly proto: "http" | "https"
  /** HTTP/1.0, 1.1 or 2, as the client said it (RFC 9110 §7.6.3). */
  readonly version: 0 | 1 | 2
  /** What the client asked for. */
  readonly authority: string
  /** This node's name; a token. */
  readonly node: string
}

/** By version: the protocol of the hop. */
const received = ["1.0", "1.1", "2.0"] as const

/**
 * The fields with this hop added. Repeated fields are joined, in order. Of a section it is made
 * once for the same hop, and is then a section too.
 */
export const forwardFields = (fields: Fields, hop: Hop): Fields => {
  const section = sectionOf(fields)
  if (section === undefined) return addHop(fields, hop)
  const known = section.forwarded
  if (
    known !== undefined &&
    known.clientAddress === hop.clientAddress &&
    known.authority === hop.authority &&
    known.node === hop.node &&
    known.proto === hop.proto &&
    known.version === hop.version
  ) {
    asSection(known.fields)
    return known.fields
  }
  const forwarded = addHop(fields, hop)
  section.forwarded = { ...hop, fields: forwarded }
  return forwarded
}

const addHop = (fields: Fields, hop: Hop): Fields => {
  const added: Array<string> = []
  let forwardedFor = ""
  let forwarded = ""
  let via = ""
  let hasProto = false
  let hasHost = false
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i]!
    const value = fields[i + 1]!
    switch (name.length) {
      case 3:
        if (name.toLowerCase() === "via") {
          via = appended(via, value)
          continue
        }
        break
      case 9:
        if (name.toLowerCase() === "forwarded") {
          forwarded = appended(forwarded, value)
          continue
        }
        break
      case 15:
        if (name.toLowerCase() === "x-forwarded-for") {
          forwardedFor = appended(forwardedFor, value)
          continue
        }
        break
      case 16:
        if (name.toLowerCase() === "x-forwarded-host") {
          if (value === "") continue // says nothing, and would keep us from saying it
          hasHost = true
        }
        break
      case 17:
        if (name.toLowerCase() === "x-forwarded-proto") {
          if (value === "") continue
          hasProto = true
        }
        break
      default:
    }
    added.push(name, value)
  }
  const client = hop.clientAddress === undefined ? undefined : plainAddress(hop.clientAddress)
  if (client !== undefined) forwardedFor = appended(forwardedFor, client)
  if (forwardedFor !== "") added.push("x-forwarded-for", forwardedFor)
  if (!hasProto) added.push("x-forwarded-proto", hop.proto)
  if (!hasHost && hop.authority !== "") added.push("x-forwarded-host", hop.authority)
  if (forwarded !== "") added.push("forwarded", appended(forwarded, forwardedElement(hop, client)))
  added.push("via", appended(via, `${received[hop.version]} ${hop.node}`))
  return added
}

/**
 * How often a request has been through this node, by its Via. Once is no loop yet: the
 * application may itself be a proxy that calls back into the mesh and keeps the header.
 */
export const timesThrough = (fields: Fields, node: string): number => {
  let times = 0
  for (let i = 0; i < fields.length; i += 2) {
    if (fields[i]!.length !== 3 || fields[i]!.toLowerCase() !== "via") continue
    for (const member of splitList(fields[i + 1]!)) {
      if (member.split(/[ \t]+/)[1] === node) times++
    }
  }
  return times
}

/** No empty members (RFC 9110 §5.6.1). */
const appended = (list: string, value: string): string =>
  list === "" ? value : value === "" ? list : `${list}, ${value}`

/** IPv4 as sockets for both families show it (`::ffff:10.0.0.1`) is IPv4. */
const plainAddress = (address: string): string =>
  address.startsWith("::ffff:") && address.includes(".") ? address.slice(7) : address

/** By which node, as a name that is no address; `for`, `host`, `proto`; what is no token is quoted, IPv6 also bracketed (RFC 7239 §4, §6). */
const forwardedElement = (hop: Hop, client: string | undefined): string => {
  const node = client === undefined ? "unknown" : client.includes(":") ? `"[${client}]"` : client
  const host = isToken(hop.authority) ? hop.authority : `"${hop.authority}"`
  return hop.authority === ""
    ? `by=_${hop.node};for=${node};proto=${hop.proto}`
    : `by=_${hop.node};for=${node};host=${host};proto=${hop.proto}`
}
