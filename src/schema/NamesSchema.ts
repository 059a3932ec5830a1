/** The Schemas of the mesh's names, by the patterns and predicates of model/Names.ts. */
import { Schema, SchemaAST } from "effect"
import * as Names from "../model/Names.ts"

/** `Schema.pattern` and `Schema.brand` in one, with the model's own brand. */
const name = <Name extends string>(
  brand: string,
  is: (text: string) => text is Name,
  { pattern, rule }: Names.NameKind<Name>,
  description = `a string matching the pattern ${pattern.source}`
) =>
  Schema.String.pipe(
    Schema.filter(is, {
      schemaId: Schema.PatternSchemaId,
      [Schema.PatternSchemaId]: { regex: pattern },
      description,
      jsonSchema: { pattern: pattern.source },
      message: () => rule,
      [SchemaAST.BrandAnnotationId]: [brand]
    })
  )

/** A DNS label (RFC 1123): what callers write before `.mesh`. At most 63 characters. */
export const ServiceName = name(
  "ServiceName",
  Names.isServiceName,
  Names.ServiceName,
  "a service's name, like payments"
)
export type ServiceName = Names.ServiceName

/** What people call a node; usually its host name. At most 128 characters. */
export const NodeName = name(
  "NodeName",
  Names.isNodeName,
  Names.NodeName,
  "a node's name, like host-a"
)
export type NodeName = Names.NodeName

/** A libp2p PeerId in its text form (`12D3Koo…`): the hash of a node's public key. */
export const PeerKey = name("PeerKey", Names.isPeerKey, Names.PeerKey)
export type PeerKey = Names.PeerKey

/** Lower-case hex of the first 16 bytes of SHA-256 over the mesh's root public key. */
export const MeshId = name("MeshId", Names.isMeshId, Names.MeshId)
export type MeshId = Names.MeshId
