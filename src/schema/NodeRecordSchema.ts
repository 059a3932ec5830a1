/** What a node takes for another's record: the Schemas of model/NodeRecord.ts, with its bounds. */
import { Schema } from "effect"
import type * as Model from "../model/NodeRecord.ts"
import { recordLimits } from "../model/NodeRecord.ts"
import { NodeName, PeerKey, ServiceName } from "./NamesSchema.ts"

export const Protocol = Schema.Literal("http", "grpc", "tcp")
export type Protocol = Model.Protocol

export const EndpointEntry = Schema.Struct({
  id: Schema.String.pipe(Schema.minLength(1), Schema.maxLength(64)),
  healthy: Schema.Boolean,
  draining: Schema.Boolean,
  weight: Schema.Int.pipe(Schema.between(1, 1000))
})

export const ServiceEntry = Schema.Struct({
  name: ServiceName,
  protocol: Protocol,
  endpoints: Schema.Array(EndpointEntry).pipe(Schema.maxItems(recordLimits.endpointsPerService)),
  port: Schema.optional(Schema.Int.pipe(Schema.between(1, 65_535))),
  detect: Schema.optional(Schema.Int.pipe(Schema.between(1, 10_000))),
  policy: Schema.optional(Schema.Record({ key: Schema.String, value: Schema.Unknown }))
})

export const NodeRecord = Schema.Struct({
  peer: PeerKey,
  name: NodeName,
  zone: Schema.optional(Schema.String.pipe(Schema.maxLength(128))),
  addresses: Schema.Array(Schema.String.pipe(Schema.maxLength(256))).pipe(
    Schema.maxItems(recordLimits.addresses)
  ),
  epoch: Schema.Int.pipe(Schema.nonNegative()),
  version: Schema.Int.pipe(Schema.nonNegative()),
  signedAt: Schema.Int.pipe(Schema.nonNegative()),
  state: Schema.Literal("serving", "draining", "left"),
  services: Schema.Array(ServiceEntry).pipe(Schema.maxItems(recordLimits.services)),
  ephemeral: Schema.optional(Schema.Boolean),
  lifetime: Schema.optional(
    Schema.Int.pipe(Schema.between(recordLimits.lifetime.least, recordLimits.lifetime.most))
  ),
  software: Schema.String.pipe(Schema.maxLength(64))
})
export type NodeRecord = Model.NodeRecord
