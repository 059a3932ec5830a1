/**
 * The names of the mesh: services, nodes, peers, and the rule that turns a host name an
 * application wrote into the service it meant.
 */
import { Schema } from "effect"

const servicePattern = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/

/** A DNS label (RFC 1123): what callers write before `.mesh`. At most 63 characters. */
export const ServiceName = Schema.String.pipe(
  Schema.pattern(servicePattern, {
    description: "a service's name, like payments",
    message: () => "a service name is 1–63 of a–z, 0–9 and '-', not starting or ending with '-'"
  }),
  Schema.brand("ServiceName")
)
export type ServiceName = typeof ServiceName.Type

/** What people call a node; usually its host name. At most 128 characters. */
export const NodeName = Schema.String.pipe(
  Schema.pattern(/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/, {
    description: "a node's name, like host-a",
    message: () => "a node name is 1–128 of A–Z, a–z, 0–9, '.', '_' and '-'"
  }),
  Schema.brand("NodeName")
)
export type NodeName = typeof NodeName.Type

/** A libp2p PeerId in its text form (`12D3Koo…`): the hash of a node's public key. */
export const PeerKey = Schema.String.pipe(
  Schema.pattern(/^[1-9A-HJ-NP-Za-km-z]{20,128}$/, { message: () => "not a peer id" }),
  Schema.brand("PeerKey")
)
export type PeerKey = typeof PeerKey.Type

/** Lower-case hex of the first 16 bytes of SHA-256 over the mesh's root public key. */
export const MeshId = Schema.String.pipe(
  Schema.pattern(/^[0-9a-f]{32}$/, { message: () => "a mesh id is 32 hex digits" }),
  Schema.brand("MeshId")
)
export type MeshId = typeof MeshId.Type

/** The domain under which services are called. */
export const meshDomain = "mesh"

/** What `Schema.is(ServiceName)` says, at a tenth of its cost: asked for every request. */
export const isServiceName = (text: string): text is ServiceName => servicePattern.test(text)

/**
 * The service an authority names: `payments.mesh`, `payments.mesh:80`, `PAYMENTS.MESH.` all
 * mean `payments`. Undefined when the authority is not a name under `.mesh`.
 */
export const serviceOfAuthority = (authority: string): ServiceName | undefined => {
  const colon = authority.lastIndexOf(":")
  let host = colon === -1 ? authority : authority.slice(0, colon)
  if (host.endsWith(".")) host = host.slice(0, -1)
  if (host.length <= meshDomain.length + 1) return undefined
  host = host.toLowerCase()
  if (!host.endsWith(`.${meshDomain}`)) return undefined
  const name = host.slice(0, -(meshDomain.length + 1))
  return isServiceName(name) ? name : undefined
}

/** The authority that means a service: what callers write who are told to write nothing else. */
export const authorityOf = (service: ServiceName): string => `${service}.${meshDomain}`

/** SPIFFE id of a service in a mesh: `spiffe://<mesh id>/service/<name>`. */
export const spiffeId = (mesh: MeshId, service: ServiceName): string =>
  `spiffe://${mesh}/service/${service}`
