/**
 * What is read of a node's record. A later version may say more than this one understands: fields
 * that are not known are ignored, and so are services of a protocol that is not; both stay in the signed
 * bytes, which are what is kept and passed on.
 */
import { Either, Schema } from "effect"
import { explainInLine } from "../../schema/ExplainIssue.ts"
import { NodeRecord, Protocol } from "../../schema/NodeRecordSchema.ts"
import { decodeCbor } from "../trust/Cbor.ts"

const hasServices = Schema.is(Schema.Struct({ services: Schema.Array(Schema.Unknown) }))
const isProtocol = Schema.is(Protocol)
const isOfLaterProtocol = Schema.is(
  Schema.Struct({ protocol: Schema.String.pipe(Schema.filter((name) => !isProtocol(name))) })
)

/** Services that are spoken to in a way that this version does not know: nobody can call them here. */
const withoutLater = (value: unknown): unknown =>
  hasServices(value)
    ? { ...value, services: value.services.filter((service) => !isOfLaterProtocol(service)) }
    : value

/** Or what is wrong with it, for people. */
export const readNodeRecord = (payload: Uint8Array): Either.Either<NodeRecord, string> =>
  decodeCbor(Schema.Unknown, payload, "the record").pipe(
    Either.flatMap((value) =>
      Either.mapLeft(Schema.decodeUnknownEither(NodeRecord)(withoutLater(value)), ({ issue }) => ({
        message: explainInLine(issue)
      }))
    ),
    Either.mapLeft(({ message }) => `the record cannot be read: ${message}`)
  )

/** Two entries of one name in a list that must name each thing once. */
const duplicateOf = (names: ReadonlyArray<string>): string | undefined => {
  const seen = new Set<string>()
  return names.find((name) => seen.size === seen.add(name).size)
}

/** What it names twice, of what it must name once. */
export const duplicateIn = (record: NodeRecord): string | undefined => {
  const service = duplicateOf(record.services.map(({ name }) => name))
  if (service !== undefined) return `service ${service}`
  for (const { name, endpoints } of record.services) {
    const endpoint = duplicateOf(endpoints.map(({ id }) => id))
    if (endpoint !== undefined) return `endpoint ${endpoint} of service ${name}`
  }
  return undefined
}
