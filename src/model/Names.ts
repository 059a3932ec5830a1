/**
 * The names of the mesh: services, nodes, peers, and the rule that turns a host name an
 * application wrote into the service it meant. Their Schemas are in schema/NamesSchema.ts.
 */

declare const brand: unique symbol
/** Text that has been looked at: only the predicates below make one of other text. */
type Branded<Kind extends string> = string & { readonly [brand]: Kind }

/** What is known of one kind of names. */
export interface NameKind<Name extends string> {
  readonly pattern: RegExp
  /** For people: what such a name looks like. */
  readonly rule: string
  /** Throws when `text` is no such name: for what a program knows, not for what it was told. */
  readonly make: (text: string) => Name
}

const nameKind = <Name extends string>(
  pattern: RegExp,
  is: (text: string) => text is Name,
  rule: string
): NameKind<Name> => ({
  pattern,
  rule,
  make: (text) => {
    if (is(text)) return text
    throw new Error(`${JSON.stringify(text)} cannot be used: ${rule}`)
  }
})

const servicePattern = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/
const nodePattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/
const peerPattern = /^[1-9A-HJ-NP-Za-km-z]{20,128}$/
const meshPattern = /^[0-9a-f]{32}$/

/** Asked for every request. */
export const isServiceName = (text: string): text is ServiceName => servicePattern.test(text)
export const isNodeName = (text: string): text is NodeName => nodePattern.test(text)
export const isPeerKey = (text: string): text is PeerKey => peerPattern.test(text)
export const isMeshId = (text: string): text is MeshId => meshPattern.test(text)

/** A DNS label (RFC 1123): what callers write before `.mesh`. At most 63 characters. */
export type ServiceName = Branded<"ServiceName">
export const ServiceName = nameKind(
  servicePattern,
  isServiceName,
  "a service name is 1–63 of a–z, 0–9 and '-', not starting or ending with '-'"
)

/** What people call a node; usually its host name. At most 128 characters. */
export type NodeName = Branded<"NodeName">
export const NodeName = nameKind(
  nodePattern,
  isNodeName,
  "a node name is 1–128 of A–Z, a–z, 0–9, '.', '_' and '-'"
)

/** A libp2p PeerId in its text form (`12D3Koo…`): the hash of a node's public key. */
export type PeerKey = Branded<"PeerKey">
export const PeerKey = nameKind(peerPattern, isPeerKey, "not a peer id")

/** Lower-case hex of the first 16 bytes of SHA-256 over the mesh's root public key. */
export type MeshId = Branded<"MeshId">
export const MeshId = nameKind(meshPattern, isMeshId, "a mesh id is 32 hex digits")

/** The domain under which services are called. */
export const meshDomain = "mesh"

/**
 * The service an authority names: `payments.mesh`, `payments.mesh:80`, `PAYMENTS.MESH.` all
 * mean `payments`. Undefined when the authority is not a name under `.mesh`, or under another
 * `domain`, in small letters.
 */
export const serviceOfAuthority = (
  authority: string,
  domain = meshDomain
): ServiceName | undefined => {
  const colon = authority.lastIndexOf(":")
  let host = colon === -1 ? authority : authority.slice(0, colon)
  if (host.endsWith(".")) host = host.slice(0, -1)
  if (host.length <= domain.length + 1) return undefined
  host = host.toLowerCase()
  if (!host.endsWith(`.${domain}`)) return undefined
  const name = host.slice(0, -(domain.length + 1))
  return isServiceName(name) ? name : undefined
}

/** The authority that means a service: what callers write who are told to write nothing else. */
export const authorityOf = (service: ServiceName): string => `${service}.${meshDomain}`
