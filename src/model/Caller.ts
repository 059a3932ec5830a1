/**
 * Who a call speaks for: a service, or a host, whose programs speak for nothing else. How that is
 * found out and proved is others' business; this is how it is written. People write `orders` and
 * `host/db-1`, and for another mesh `MESH//service/orders` and `MESH//host/db-1`; other systems read
 * it as a SPIFFE ID, `spiffe://MESH/service/orders`.
 */

import {
  isMeshId,
  isNodeName,
  isServiceName,
  type MeshId,
  type NodeName,
  type ServiceName
} from "./Names.ts"

interface OfMesh {
  /** The mesh it belongs to. Absent: the one that is asked about. */
  readonly mesh?: MeshId | undefined
}

/** A program that the host vouches for as this service. */
export interface ServiceCaller extends OfMesh {
  readonly kind: "service"
  readonly name: ServiceName
}

/** Any program on this host. */
export interface HostCaller extends OfMesh {
  readonly kind: "host"
  readonly name: NodeName
}

export type Caller = ServiceCaller | HostCaller

/** What a host speaks as where nothing else was arranged. */
export const hostCaller = (name: NodeName): HostCaller => ({ kind: "host", name })

export const serviceCaller = (name: ServiceName): ServiceCaller => ({ kind: "service", name })

/** `orders`, `host/db-1`, `MESH//service/orders`, `MESH//host/db-1`. */
export const formatCaller = ({ kind, mesh, name }: Caller): string => {
  if (mesh !== undefined) return `${mesh}//${kind}/${name}`
  return kind === "service" ? name : `host/${name}`
}

/** What `formatCaller` wrote; undefined: it did not. One caller has one text, and one text one caller. */
export const parseCaller = (text: string): Caller | undefined => {
  const border = text.indexOf("//")
  if (border === -1) {
    return text.startsWith("host/") ? called("host", text.slice(5)) : called("service", text)
  }
  const mesh = text.slice(0, border)
  return isMeshId(mesh) ? ofPath(text.slice(border + 2), mesh) : undefined
}

/** `own` is the mesh of callers that name none. */
export const spiffeIdOf = ({ kind, mesh, name }: Caller, own: MeshId): string =>
  `${scheme}${mesh ?? own}/${kind}/${name}`

/**
 * What `spiffeIdOf` wrote. A caller of `own`, when that is given, is one that names no mesh. IDs are
 * compared byte by byte (SPIFFE ID §2), so another spelling is another ID, and none of these.
 */
export const callerOfSpiffeId = (id: string, own?: MeshId): Caller | undefined => {
  if (!id.startsWith(scheme)) return undefined
  const border = id.indexOf("/", scheme.length)
  if (border === -1) return undefined
  const mesh = id.slice(scheme.length, border)
  if (!isMeshId(mesh)) return undefined
  return ofPath(id.slice(border + 1), mesh === own ? undefined : mesh)
}

export const sameCaller = (a: Caller, b: Caller): boolean =>
  a.kind === b.kind && a.name === b.name && a.mesh === b.mesh

const scheme = "spiffe://"

/** `service/orders`, `host/db-1`. */
const ofPath = (path: string, mesh: MeshId | undefined): Caller | undefined => {
  const border = path.indexOf("/")
  return called(path.slice(0, border), path.slice(border + 1), mesh)
}

const called = (kind: string, name: string, mesh?: MeshId): Caller | undefined => {
  const of: OfMesh = mesh === undefined ? {} : { mesh }
  if (kind === "service" && isServiceName(name)) return { kind, name, ...of }
  if (kind === "host" && isNodeName(name)) return { kind, name, ...of }
  return undefined
}
